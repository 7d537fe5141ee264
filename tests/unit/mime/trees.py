"""Ordinary messages as trees, written by the test and so known part by part."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Tree:
    """`kind`: a media type; a leaf has `body`, a multipart or a message has `children`."""

    kind: str
    body: bytes = b""
    children: tuple[Tree, ...] = ()

    def written(self, number: str = "0") -> bytes:
        """Header, blank line and body, CRLF throughout; the body does not end in a line end of its own."""
        boundary = b"=_" + number.encode()
        if self.kind.startswith("multipart/"):
            head = b'Content-Type: %b;\r\n boundary="%b"\r\n' % (self.kind.encode(), boundary)
            parts = b"".join(
                b"--%b\r\n%b\r\n" % (boundary, child.written(f"{number}.{n}"))
                for n, child in enumerate(self.children)
            )
            body = b"preamble\r\n" + parts + b"--%b--\r\nepilogue" % boundary
        elif self.kind == "message/rfc822":
            head = b"Content-Type: message/rfc822\r\n"
            body = b"Subject: inner\r\n" + self.children[0].written(number + ".m")
        else:
            head = b"Content-Type: %b; charset=utf-8\r\n" % self.kind.encode()
            body = self.body
        return head + b"\r\n" + body


lines = st.sampled_from(
    [b"text", b"", b"--", b"--=_", b"--=_0.9", b"--=_0--x", b"-- ", "é".encode(), b"From: x", b".", b" " * 80]
)
leaves = st.builds(
    Tree,
    st.sampled_from(["text/plain", "text/html", "application/pdf"]),
    st.lists(lines, max_size=5).map(b"\r\n".join),
)


def _containers(inside: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    several = st.lists(inside, min_size=1, max_size=4).map(tuple)
    one = inside.map(lambda child: (child,))
    return st.builds(
        Tree, st.sampled_from(["multipart/mixed", "multipart/alternative"]), st.just(b""), several
    ) | st.builds(Tree, st.just("message/rfc822"), st.just(b""), one)


trees = st.recursive(leaves, _containers, max_leaves=10)
