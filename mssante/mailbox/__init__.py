"""What an owner does with a mailbox: open it, read it, write in it, hear what changed."""

from mssante.mailbox.access import OpenMailbox, sign_in

__all__ = ["OpenMailbox", "sign_in"]
