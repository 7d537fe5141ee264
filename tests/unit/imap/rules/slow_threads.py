"""THREAD=REFERENCES read from RFC 5256 §3 sentence by sentence, however slow: what the fast one is held to.

It shares no code with it but the base subject, and knows nodes, parents and children, nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field

from mssante.imap.rules.base_subject import base_subject


@dataclass(frozen=True)
class Letter:
    """`number` is its place in the mailbox."""

    number: int
    sent: int
    subject: str
    identifier: str | None
    references: tuple[str, ...]


@dataclass(eq=False)
class Node:
    letter: Letter | None = None
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def is_below(self, other: Node) -> bool:
        node: Node | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False

    def leave(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def give_child(self, child: Node) -> None:
        if not self.is_below(child):
            child.parent = self
            self.children.append(child)

    @property
    def first(self) -> Letter:
        return self.letter or min(
            (child.first for child in self.children), key=lambda letter: (letter.sent, letter.number)
        )

    @property
    def age(self) -> tuple[int, int]:
        return self.first.sent, self.first.number


def linked(letters: list[Letter]) -> list[Node]:
    """(1) and (2): those without a parent."""
    nodes: dict[str, Node] = {}
    own: list[Node] = []
    for letter in letters:
        node = Node(letter)
        own.append(node)
        if letter.identifier is not None and letter.identifier not in nodes:
            nodes[letter.identifier] = node
    everybody = list(own)
    for letter, node in zip(letters, own, strict=True):
        for reference in letter.references:
            if reference not in nodes:
                nodes[reference] = Node()
                everybody.append(nodes[reference])
        for before, after in zip(letter.references, letter.references[1:], strict=False):
            if nodes[after].parent is None:
                nodes[before].give_child(nodes[after])
        node.leave()
        if letter.references:
            nodes[letter.references[-1]].give_child(node)
    return [node for node in everybody if node.parent is None]


def pruned(node: Node, *, at_root: bool) -> list[Node]:
    """(3): what stands in this node's place."""
    node.children = [each for child in node.children for each in pruned(child, at_root=False)]
    for child in node.children:
        child.parent = node
    if node.letter is not None:
        return [node]
    if not at_root or len(node.children) <= 1:
        return node.children
    return [node]


def subject_of(node: Node, fold: dict[str, str]) -> str:
    return fold[base_subject(node.first.subject)[0]]


def answers(node: Node) -> bool:
    return node.letter is not None and base_subject(node.letter.subject)[1]


def gathered(roots: list[Node], fold: dict[str, str]) -> list[Node]:
    """(5)."""
    table: dict[str, Node] = {}
    for node in roots:
        subject = subject_of(node, fold)
        if subject == "":
            continue
        if subject not in table or (
            table[subject].letter is not None
            and (node.letter is None or (answers(table[subject]) and not answers(node)))
        ):
            table[subject] = node
    result = list(roots)
    for node in roots:
        subject = subject_of(node, fold)
        if subject == "" or table[subject] is node:
            continue
        head = table[subject]
        result.remove(node)
        if head.letter is None and node.letter is None:
            head.children += node.children
        elif head.letter is None or (answers(node) and not answers(head)):
            head.children.append(node)
        else:
            dummy = Node(None, None, [head, node])
            result.remove(head)
            result.append(dummy)
            table[subject] = dummy
    return result


def rendered(node: Node) -> str:
    children = sorted(node.children, key=lambda child: child.age)
    text = "" if node.letter is None else str(node.letter.number)
    if len(children) == 1:
        return f"{text} {rendered(children[0])}"
    if not children:
        return text
    return text + (" " if text else "") + "".join(f"({rendered(child)})" for child in children)


def threads(letters: list[Letter]) -> str:
    """The thread-lists of a THREAD REFERENCES response."""
    fold = {base: base.upper() for base in {base_subject(letter.subject)[0] for letter in letters}}
    roots = [each for root in linked(letters) for each in pruned(root, at_root=True)]
    roots.sort(key=lambda node: node.age)
    roots = gathered(roots, fold)
    return "".join(f"({rendered(node)})" for node in sorted(roots, key=lambda node: node.age))
