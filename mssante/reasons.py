"""Why something was not done, and whether it may succeed later.

What a peer, a user or an operator is told about a Reason stands in words/ alone: each Reason has one row
there, in the file of its group.

Invariants: every refusal in the system carries one Reason; Refused is final (5xx, NO), Passing may succeed
later (4xx). Trouble of an unknown kind counts as Passing, so that a fault of ours never loses a letter.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One value per cause a user, an operator or a peer can act on."""

    # The peer and its certificate
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_UNTRUSTED_ISSUER = "certificate_untrusted_issuer"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_WRONG_USAGE = "certificate_wrong_usage"
    CERTIFICATE_WEAK = "certificate_weak"
    CERTIFICATE_NAME_MISMATCH = "certificate_name_mismatch"
    REVOCATION_UNKNOWN = "revocation_unknown"
    PEER_NOT_LISTED = "peer_not_listed"
    DOMAIN_NOT_LISTED = "domain_not_listed"
    DOMAIN_OF_ANOTHER_OPERATOR = "domain_of_another_operator"
    TRUST_SPACE_STALE = "trust_space_stale"
    TLS_REQUIRED = "tls_required"
    TLS_FAILED = "tls_failed"
    # Addresses and mailboxes
    ADDRESS_MALFORMED = "address_malformed"
    RELAY_DENIED = "relay_denied"
    MAILBOX_UNKNOWN = "mailbox_unknown"
    MAILBOX_SUSPENDED = "mailbox_suspended"
    MAILBOX_CLOSED = "mailbox_closed"
    MAILBOX_FULL = "mailbox_full"
    SENDER_NOT_YOURS = "sender_not_yours"
    # The message
    MESSAGE_TOO_LARGE = "message_too_large"
    BARE_LINE_ENDING = "bare_line_ending"
    NUL_OCTET = "nul_octet"
    LINE_TOO_LONG = "line_too_long"
    LOOP_DETECTED = "loop_detected"
    HEADER_FROM_MALFORMED = "header_from_malformed"
    AUTHOR_OURS = "author_ours"
    AUTHOR_UNPROVED = "author_unproved"
    # The session
    AUTHENTICATION_FAILED = "authentication_failed"
    ACCESS_EXPIRED = "access_expired"
    AUTHENTICATION_REQUIRED = "authentication_required"
    NOT_PERMITTED = "not_permitted"
    NULL_SENDERS_TOO_MANY = "null_senders_too_many"
    RECIPIENTS_GUESSED = "recipients_guessed"
    SENDING_TOO_FAST = "sending_too_fast"
    SENDER_QUEUE_FULL = "sender_queue_full"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    TOO_MANY_ERRORS = "too_many_errors"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    TOO_SLOW = "too_slow"
    TOO_SLOW_FOR_OTHERS = "too_slow_for_others"
    # Reading
    FOLDER_UNKNOWN = "folder_unknown"
    FOLDER_EXISTS = "folder_exists"
    FOLDER_HAS_CHILDREN = "folder_has_children"
    FOLDER_PROTECTED = "folder_protected"
    LIMIT_REACHED = "limit_reached"
    MESSAGE_GONE = "message_gone"
    CORRUPTION = "corruption"
    ENCODING_UNKNOWN = "encoding_unknown"
    # What an operator asks
    ARGUMENT_MALFORMED = "argument_malformed"
    # Ours
    DIRECTORY_UNAVAILABLE = "directory_unavailable"
    STORAGE_FULL = "storage_full"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    KEYS_UNAVAILABLE = "keys_unavailable"
    REMOTE_UNREACHABLE = "remote_unreachable"
    REMOTE_REFUSED = "remote_refused"
    REMOTE_DEFERRED = "remote_deferred"
    REMOTE_SEVEN_BIT = "remote_seven_bit"
    EXPIRED_IN_QUEUE = "expired_in_queue"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


class Declined(Exception):
    """Something was not done. `reason` says why; `detail` is for our log and our operator, and never holds a
    secret or a correspondent. A peer is sent neither: it is told the words for the reason."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


class Refused(Declined):
    """The answer is no, and stays no: trying the same again will not help."""


class Passing(Declined):
    """Not now: the same request may succeed later."""
