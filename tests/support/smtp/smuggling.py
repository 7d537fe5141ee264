"""Ends of data that are none, and that some server of the field takes for one (catalogue S1, S4)."""

from __future__ import annotations

# Nothing forbidden in them: one message goes on.
PLAIN_TEXT = (b"\r\n. \r\n", b"\xc2\x85.\xc2\x85")
# A bare CR or LF, or a NUL: refused.
FORBIDDEN = (
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n.\x0b\n",
)
FAKE_TERMINATORS = (*FORBIDDEN, *PLAIN_TEXT)
# Two of them in a row, or turned round: what a lenient remote could make of what we send.
FORBIDDEN_IN_A_ROW = (b"\n.\n.\r\n", b"\n\r.\n\r", b"\r\n.\n\r\n")
