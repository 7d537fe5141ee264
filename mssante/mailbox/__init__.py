"""What an owner does with a mailbox: open it, read it, write in it, hear what changed."""

from mssante.mailbox.opening import OpenMailbox, sign_in

__all__ = ["OpenMailbox", "sign_in"]
