"""Every bound in the system, with the clause or the measurement that sets it. Bytes and seconds."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# Messages
MESSAGE_OCTETS_MAX = (
    35 * MIB
)  # default; configurable. MSSanté letters carry 25 MB of documents, base64 adds a third.
LINE_OCTETS_MAX = (
    4096  # inbound text line without CRLF; RFC 5321 §4.5.3.1.6 asks 998, field software writes more.
)
LINE_OCTETS_OUT_MAX = 998  # RFC 5322 §2.1.1: what we write ourselves.
RECEIVED_HOPS_MAX = 25  # RFC 5321 §6.3 asks a large count; ours is a closed space of few hops.

# SMTP sessions (docs/findings.md, where the bounds come from)
COMMAND_LINE_OCTETS_MAX = 2048  # RFC 5321 §4.5.3.1.4 asks 512; MAIL and RCPT parameters grow it.
RECIPIENTS_MAX = 200  # RFC 5321 §4.5.3.1.8 asks at least 100.
UNKNOWN_RECIPIENTS_MAX = 20  # per session: more is harvesting.
SESSION_ERRORS_MAX = 20
SESSION_JUNK_MAX = 100  # NOOP, RSET, EHLO without mail.
SESSION_COMMANDS_WITHOUT_MAIL_MAX = 1000
NULL_SENDERS_AT_ONCE = 300  # of one peer, from <> (T7): a morning's receipts; more is told 450
NULL_SENDERS_PER_MINUTE = 60  # what comes back of it: 86,400 notices and receipts a day
NULL_SENDERS_PEERS_REMEMBERED_MAX = 10_000  # 392 names were listed in March 2025
HANDSHAKE_SECONDS_MAX = 10
GREETING_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 60
SESSION_SECONDS_MAX = 1800
DATA_OCTETS_PER_SECOND_MIN = 500
DATA_CREDIT_SECONDS = 300
WRITE_SECONDS_MAX = 60
CONNECTIONS_MAX = 500
CONNECTIONS_PER_ADDRESS_MAX = 50
CONNECTIONS_PRE_TLS_MAX = 200
CONNECTIONS_PRE_TLS_PER_ADDRESS_MAX = 10
CONNECTIONS_KNOWN_MAX = 1000  # addresses remembered as good; the oldest are forgotten
CONNECTIONS_DISMISSED_AT_ONCE = 64  # refused, and being told so for two seconds; more are cut at once
OTHER_FILES_MAX = 300  # databases, couriers, log, threads: what is open besides connections
REPEATED_SECONDS = 60  # how long what happens again is only counted, then told as one line
REPEATED_KINDS_MAX = 1000  # address and cause, so counted apart; the surplus is one kind
MESSAGES_IN_FLIGHT_MAX = 64  # messages between DATA and 250, all sessions; above: 452 4.3.1.
TLS_BUFFER_OCTETS = 65536  # asyncio keeps 256 KiB a connection (finding A44).

# Sealing
CHUNK_OCTETS = 65536  # plaintext octets per sealed chunk
INTAKE_MEMORY_OCTETS_MAX = 1 * MIB  # sealed content kept in memory before it flows into chunk rows
DEDUP_DAYS = 7

# MIME (catalogue R10): beyond a limit the rest is opaque text, the message still delivered.
MIME_DEPTH_MAX = 50
MIME_PARTS_MAX = 1000
MIME_HEADER_OCTETS_MAX = 256 * KIB  # per part
MIME_HEADER_OCTETS_TOTAL_MAX = 1 * MIB
MIME_HEADER_LINES_MAX = 1000
MIME_ADDRESSES_MAX = 1000  # per field
MIME_PARAMETERS_MAX = 100  # per field
MIME_BOUNDARY_OCTETS_MAX = 200
HEADER_KEPT_OCTETS_MAX = 64 * KIB  # of the top header, sealed apart so that listing never opens a body
LISTED_OCTETS_MAX = 4 * KIB  # of the fields that listings ask for, kept in the summary; a letter has 0.6 KiB
SEARCH_TEXT_OCTETS_MAX = 8 * MIB  # of one message's text parts, as they are written; no letter has that
ARCHIVE_ENTRIES_MAX = 1000  # X1: of a zip whose documents are searched
ARCHIVE_ENTRY_OCTETS_MAX = 2 * MIB  # of text inflated from one of them

PREVIEW_CHARACTERS_MAX = 200  # RFC 8970 §3.3; above 256 it forbids
PREVIEW_OCTETS_READ_MAX = 64 * KIB  # from the start of a message, header included

# IMAP (docs/findings.md, where the bounds come from)
IMAP_LINE_OCTETS_MAX = 64 * KIB
IMAP_LINE_OCTETS_PRE_AUTH_MAX = 8 * KIB
IMAP_LITERAL_OCTETS_PRE_AUTH_MAX = 1 * KIB
IMAP_PRE_AUTH_OCTETS_MAX = 16 * KIB
IMAP_LITERAL_OCTETS_MAX = 100 * KIB  # APPEND's message apart
IMAP_LITERALS_MAX = 1000
IMAP_COMMAND_OCTETS_MAX = 1 * MIB
IMAP_NESTING_MAX = 20
IMAP_SET_ELEMENTS_MAX = 10_000
IMAP_SEARCH_KEYS_MAX = 100
IMAP_FETCH_ITEMS_MAX = 100
IMAP_DECODED_SECTIONS_MAX = 32  # BINARY items in one FETCH; each may decode a whole part: 35 MiB cost 0.2 s
IMAP_HEADER_NAMES_MAX = 100  # in one BODY[HEADER.FIELDS (...)]
IMAP_LIST_PATTERNS_MAX = 20
IMAP_TAG_OCTETS_MAX = 128
IMAP_SKIPPED_OCTETS_MAX = 128 * MIB  # of a refused APPEND whose client does not wait (LITERAL+)
IMAP_PART_DEPTH_MAX = 50
IMAP_SEARCH_SECONDS_MAX = 5  # of a search's own work (catalogue I4)
IMAP_INDEXING_SECONDS_MAX = 60  # of a search that is the first to ask: 10,000 letters take some 5, once
IMAP_SORT_CRITERIA_MAX = 20  # there are nine keys
IMAP_SORTS_AT_ONCE = 4  # per port; one of 100,000 messages holds some 50 MiB
IMAP_THREAD_REFERENCES_MAX = 100  # of one message; RFC 5322 §3.6.4 gives no bound, what writes it cuts
IMAP_THREAD_IDENTIFIERS_MAX = 500_000  # named by references, of messages that are not there
IMAP_THREAD_STEPS_MAX = 1_000_000  # up chains of references whose links were broken: a tenth of a second
IMAP_CONTENTS_SEARCHED_AT_ONCE = 2  # per port; a 32 MiB message costs 180 MiB while it is looked through
IMAP_REST_SECONDS = 1  # a client that has asked for nothing so long leaves time for its mailbox's index
INDEX_WORDS_OCTETS_MAX = 256 * KIB  # of one message: its different words; above, it is opened at every search
IMAP_LOGIN_SECONDS_MAX = 180  # from the greeting to a login, however busy the client seems (Dovecot's)
IMAP_IDLE_SECONDS_MAX = 1800  # RFC 2177: a client renews at least every 29 minutes
IMAP_CONNECTIONS_MAX = 2000  # per port; an idle one costs some tens of KiB
IMAP_CONNECTIONS_PER_USER_MAX = 20
IMAP_HEAVY_AT_ONCE = 2  # commands of one person that open contents by the hundred (catalogue I5)
IMAP_HEAVY_BODIES = 100  # messages: a command that opens more contents is heavy
IMAP_HEAVY_WAIT_SECONDS_MAX = 90  # for a turn; a client that does not read is cut after WRITE_SECONDS_MAX
IMAP_BAD_COMMANDS_MAX = 20
FOLDERS_MAX = 1000
FOLDER_NAME_OCTETS_MAX = 512
KEYWORDS_MAX = 54  # bits 8..61 of a flag mask
KEYWORD_OCTETS_MAX = 128

# Authentication
PASSWORD_OCTETS_MAX = 1024
PASSWORD_MEMORY_KIB = 64 * 1024  # Argon2id
PASSWORD_ITERATIONS = 3
PASSWORD_CHECKS_AT_ONCE = 2
PASSWORD_CHECKS_QUEUED_MAX = 100

# Directory and trust
LDAP_SECONDS_MAX = 5
LDAP_PAGE_ENTRIES = 500
LDAP_VALUE_OCTETS_MAX = 256  # of a value put in a filter
LDAP_QUESTION_SECONDS_MAX = 10  # connection, TLS and every page of one question
LDAP_TRUST_SECONDS_MAX = 60  # the whole trust space: 8,655 pairs in June 2026
LDAP_QUESTIONS_AT_ONCE = 4  # threads
LDAP_QUESTIONS_MAX = 64  # under way or waiting for a thread
LDAP_MESSAGE_OCTETS_MAX = 256 * KIB  # one entry, one result
LDAP_ANSWER_OCTETS_MAX = 16 * MIB  # one question; the whole trust space is 3 MiB
LDAP_REFERENCES_MAX = 100  # in one page, beside its entries
DIRECTORY_VALUE_OCTETS_MAX = 1024
DIRECTORY_VALUES_MAX = 64  # of one attribute
DIRECTORY_WORDS_MAX = 8  # of one search
DIRECTORY_FOUND_MAX = 100  # answers to one search
DIRECTORY_CANDIDATES_MAX = 1000  # entries looked at to answer one search over LDAP
LDIF_OCTETS_MAX = 64 * MIB
LDIF_LINE_OCTETS_MAX = 16 * KIB  # unfolded
LDIF_ENTRIES_MAX = 100_000
LDIF_LINES_PER_ENTRY_MAX = 2000  # as folded
WHITE_LIST_OCTETS_MAX = 50 * MIB
WHITE_LIST_ENTRIES_MAX = 100_000
WHITE_LIST_DEPTH_MAX = 100
TRUST_SPACE_HOURS_MAX = 7 * 24  # catalogue T17: past it nobody is trusted, 4xx; configurable
DN_CHARACTERS_MAX = 4096
CERTIFICATE_OCTETS_MAX = 64 * KIB  # an operator's certificate is 2 KiB
CERTIFICATES_PRESENTED_MAX = 8  # by one peer
CHAIN_CERTIFICATES_MAX = 5  # leaf and anchor included; IGC-Santé has 3
CRL_OCTETS_MAX = 20 * MIB
CRL_GRACE_SECONDS = 24 * 3600  # project rule: the last good list serves a day more, with an alarm

# Queue
RETRY_SECONDS_FIRST = 300
RETRY_SECONDS_MAX = 4000
QUEUE_DAYS_MAX = 5
QUEUE_DELAY_NOTICE_SECONDS = 4 * 3600  # when a sender is told that a letter still waits
QUEUE_NOTICES_REMEMBERED_MAX = 10_000
COURIERS_PER_DESTINATION = 5
REPLY_SECONDS_FINAL_DOT = 600  # RFC 5321 §4.5.3.2.6
QUEUE_LEASE_SECONDS = 1800  # a worker has a recipient to itself that long: above any conversation's length

# Databases (docs/findings.md, SQLite and PostgreSQL)
DATABASE_BATCH_JOBS_MAX = 64  # jobs committed together: one fsync for all of them
DATABASE_GATHER_SECONDS = 0.005  # a commit waits no longer for letters whose content is coming in
DATABASE_JOBS_QUEUED_MAX = 1024  # jobs waiting for the writer; above, callers wait their turn
DATABASE_READERS = 4
DATABASE_BUSY_SECONDS = 5  # waiting for a lock before the answer is "try later"
DATABASE_STATEMENT_SECONDS_MAX = 60
DATABASE_LEISURE_SECONDS = 0.5  # waiting for a write that is a comfort; then it is left undone
DATABASE_LEISURE_LOCK_SECONDS = 0.05  # what such a write waits for a lock: a letter may come behind it
DATABASE_CHECKPOINT_PAGES = 4000  # a write-ahead log of 16 MiB is folded into the database
DATABASE_WAL_OCTETS_KEPT_MAX = 64 * MIB
