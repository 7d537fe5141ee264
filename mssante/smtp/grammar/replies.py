"""SMTP replies as values: a code, an enhanced code (RFC 3463) and a line of ASCII.

Invariants: every reply is one line of at most 200 printable ASCII characters. Its text is fixed in advance
and holds nothing that a peer sent, so it cannot be made to look like another reply (S15). A refusal says who
must act. The text is French first, without accents.
"""

from __future__ import annotations

from mssante.words.reply import Reply

OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "OK")
RECIPIENT_OK = Reply(250, "2.1.5", "OK")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
BYE = Reply(221, "2.0.0", "Bye")
AUTHENTICATED = Reply(235, "2.7.0", "OK")

# Errors that the client makes: each counts against its limit of errors (R9).
LINE_MALFORMED = Reply(500, "5.5.2", "Ligne mal formee / Lines end with CRLF and hold ASCII only")
LINE_TOO_LONG = Reply(500, "5.5.2", "Commande trop longue / Command line too long")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Commande inconnue / Unknown command")
NOT_OFFERED = Reply(502, "5.5.1", "Commande non offerte / Command not implemented")
BAD_ARGUMENT = Reply(501, "5.5.4", "Argument mal forme / Malformed argument")
BAD_SEQUENCE = Reply(503, "5.5.1", "Commande hors sequence / Bad sequence of commands")
MAIL_FIRST = Reply(503, "5.5.1", "MAIL d'abord / Send MAIL first")
NO_RECIPIENT = Reply(554, "5.5.1", "Aucun destinataire accepte / No valid recipients")
TLS_ALREADY = Reply(503, "5.5.1", "TLS deja actif / TLS is already active")
PIPELINED = Reply(554, "5.5.0", "Commandes envoyees trop tot / Commands sent before the reply: closing")
SENDER_MALFORMED = Reply(553, "5.1.7", "Adresse d'expediteur mal formee / Malformed sender address")
RECIPIENT_MALFORMED = Reply(553, "5.1.3", "Adresse de destinataire mal formee / Malformed recipient address")
UTF8_NOT_OFFERED = Reply(555, "5.6.7", "SMTPUTF8 n'est pas offert / SMTPUTF8 is not offered")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parametre inconnu / Unknown parameter")
BAD_PARAMETER = Reply(501, "5.5.4", "Parametre mal forme / Malformed parameter")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentification abandonnee / Authentication cancelled")
AUTH_MALFORMED = Reply(501, "5.5.2", "Reponse mal formee / Malformed authentication response")
AUTH_UNKNOWN_MECHANISM = Reply(504, "5.5.4", "Mecanisme non offert / Unknown mechanism: use PLAIN or LOGIN")
AUTH_NEEDS_TLS = Reply(
    538, "5.7.11", "TLS d'abord: envoyez STARTTLS / Encryption required: send STARTTLS before AUTH"
)

# 354 and the greeting have no enhanced code (RFC 2034 §4), and neither have AUTH challenges.
GO_AHEAD = b"354 End data with <CR><LF>.<CR><LF>\r\n"


def every_reply() -> tuple[Reply, ...]:
    """The whole table, for the test that reads it."""
    return tuple(value for value in globals().values() if isinstance(value, Reply))
