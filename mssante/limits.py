"""Every bound in the system, one on each line, with its reason. Its name says the unit, or what is counted.

Invariants: no other module has a bound of its own, and every line gives a reason; a test sees to both
(tests/unit/test_limits.py). A reason is a clause of an RFC, a measurement, a fact (docs/facts.md), a row of
docs/attack-catalogue.md (R7), a finding of docs/findings.md (A44), or what another server does (the same page
says where that comes from). "Ours" marks our own judgement, which may be changed.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# Messages
MESSAGE_OCTETS_MAX = 35 * MIB  # default: MSSanté letters carry 25 MB of documents, base64 adds a third
LINE_OCTETS_MAX = 4096  # inbound, without CRLF: RFC 5321 §4.5.3.1.6 asks 998, field software writes more
LINE_OCTETS_OUT_MAX = 998  # RFC 5322 §2.1.1: what we write ourselves
HEADER_WORD_OCTETS_MAX = LINE_OCTETS_OUT_MAX - 100  # ours: leaves room for any field name before the word
RECEIVED_HOPS_MAX = 25  # RFC 5321 §6.3 asks for a large count; letters in MSSanté pass few servers (R11)

# SMTP sessions
COMMAND_LINE_OCTETS_MAX = 2048  # RFC 5321 §4.5.3.1.4 asks for 512, and more for parameters of MAIL and RCPT
PATH_OCTETS_MAX = 256  # RFC 5321 §4.5.3.1.3
ESMTP_PARAMETERS_MAX = 8  # ours: of one MAIL or RCPT; we offer fewer
ENVID_OCTETS_MAX = 100  # RFC 3461 §5.4
ORCPT_OCTETS_MAX = 500  # RFC 3461 §5.4
RECIPIENTS_MAX = 200  # RFC 5321 §4.5.3.1.8 asks at least 100
UNKNOWN_RECIPIENTS_MAX = 20  # ours: per session; more looks like harvesting of addresses
SESSION_ERRORS_MAX = 20  # Postfix's; then 421 (R9)
SESSION_JUNK_MAX = 100  # ours: NOOP, RSET, EHLO without mail (R9)
SESSION_COMMANDS_WITHOUT_MAIL_MAX = 1000  # ours: whoever asks so much and sends nothing keeps others out (R7)
NULL_SENDERS_AT_ONCE = 300  # ours: messages from <> of one peer (T7): a morning's receipts; then 450
NULL_SENDERS_PER_MINUTE = 60  # ours: how fast that allowance grows back: 86,400 notices and receipts a day
GUESSES_AT_ONCE = 200  # ours: mailboxes that do not exist, of one peer or person (R5): an old list of them
GUESSES_PER_HOUR = 120  # ours: how fast that grows back: 2,880 a day, far too slow to learn our addresses
CORRESPONDENTS_REMEMBERED_MAX = 20_000  # ours: pairs of a peer or person and a mailbox: some 5 MiB
ALLOWANCES_REMEMBERED_MAX = 10_000  # ours: peers, persons or mailboxes; 392 names were listed in March 2025
HANDSHAKE_SECONDS_MAX = 10  # ours: a TLS handshake takes far less, and a slow one holds a place (R7)
GREETING_SECONDS_MAX = 30  # ours: from our greeting to the first command (R7)
COMMAND_SECONDS_MAX = 60  # ours: Postfix waits 300, and 10 under stress (R7)
SESSION_SECONDS_MAX = 1800  # ours: whoever has more to send opens another session (R7)
DATA_OCTETS_PER_SECOND_MIN = 500  # Postfix's, on average after the credit (R7)
DATA_CREDIT_SECONDS = 300  # ours: what a peer may wait in all before its average counts (R7)
WRITE_SECONDS_MAX = 60  # ours: a peer that reads nothing for so long is cut (R7)
LINGER_SECONDS = 2  # ours: how long we go on reading after our last reply, so that the peer receives it
LINGER_OCTETS_MAX = 1 * MIB  # ours: how much is read and thrown away after our last reply
CONNECTIONS_MAX = 500  # ours: per port, known peers and strangers together (R8)
CONNECTIONS_PER_ADDRESS_MAX = 50  # Postfix's; configurable, for hospitals behind one address (I8)
CONNECTIONS_PRE_TLS_MAX = 200  # ours: strangers; a peer known as good is let in beside them (R8)
CONNECTIONS_PRE_TLS_PER_ADDRESS_MAX = 10  # ours: a peer needs no more handshakes at once (R8)
CONNECTIONS_RESERVED_FOR_KNOWN = 0.2  # ours: of the places of a port and of those without TLS (R8)
CONNECTIONS_SHARE_OF_PARTY = 0.25  # ours: above, the reserve is closed to a peer or person at many addresses
KNOWN_ADDRESSES_REMEMBERED_MAX = 1000  # ours: addresses that were good; who has the most loses its oldest
CONNECTIONS_DISMISSED_AT_ONCE = 64  # ours: connections that are being told no; more are cut without a word
OTHER_FILES_MAX = 300  # ours: databases, couriers, log, threads: what is open besides connections
REPEATED_SECONDS = 60  # ours: how long a repeated event is only counted, before one line of log tells of all
REPEATED_KINDS_MAX = 1000  # ours: pairs of address and cause that are counted apart; all others count as one
INTAKE_OCTETS_MEMORY_MAX = 192 * MIB  # ours: of letters between DATA and 250, all ports: 64 large ones (R3)
INTAKE_OCTETS_DISK_MAX = 4096 * MIB  # ours: the same, written early: a hundred of the largest
INTAKE_OCTETS_PER_OCTET = 4  # measured: what a letter full of parts holds in memory for each octet at first
INTAKE_OCTETS_PER_LETTER_MAX = 3 * MIB  # measured: 2.1 of an ordinary large letter, 2.9 of one full of parts
COPIES_OCTETS_MAX = 16 * MIB  # ours: summaries and headers of a letter for 200 mailboxes: 80 KiB for each
ROOM_SHARE_OF_PORT = 0.5  # ours: of what all ports share, so that no port can close the others (R3)
ROOM_SHARE_OF_PARTY = 0.25  # ours: of the same, for one peer or person (R3)
ROOM_WAIT_SECONDS = 15  # ours: for octets that are short; above ROOM_PATIENCE_SECONDS; then 452 4.3.1 (R3)
ROOM_PATIENCE_SECONDS = 5  # ours: so long we listen to a client before we may judge it slow
ROOM_PACE_OCTETS_PER_SECOND = 64 * KIB  # ours: slower than today's lines: may be cut when others wait (R7)
ROOM_PACE_PERIOD_SECONDS = 5  # ours: a pace is that of the last one or two periods
ROOM_LOOK_AGAIN_SECONDS = 0.25  # ours: somebody may have become slow meanwhile
OCCUPIED_BUFFER_OCTETS = 4 * KIB  # ours: read at once of a far side that is made to wait (a delayed login)
TLS_BUFFER_OCTETS = 65536  # ours: asyncio keeps 256 KiB a connection (A44)

# Sending to other operators
RECIPIENTS_OUT_AT_ONCE = 100  # RFC 5321 §4.5.3.1.8: what every server takes in one transaction
MESSAGES_OUT_PER_CONNECTION = 100  # ours: then the connection ends, and the next letter begins a new one
CONNECTION_OUT_IDLE_SECONDS = 10  # ours: a connection waits so long for the next letter to the same domain
CONNECTIONS_OUT_IDLE_MAX = 60  # ours: waiting so; one more ends instead (OTHER_FILES_MAX has room)
RESOLVE_SECONDS_MAX = 20  # ours: all questions to the DNS about one domain
HOSTS_TRIED_MAX = 5  # RFC 5321 §5.1 asks for at least two addresses; ours: trying more would take too long
REMOTE_REPLY_LINE_OCTETS_MAX = 2048  # Postfix's; RFC 5321 §4.5.3.1.5 allows 512
REMOTE_REPLY_LINES_MAX = 100  # ours: an EHLO has some twenty; aiosmtplib takes 32 KiB of them in all
REMOTE_OCTETS_BEFORE_PROOF_MAX = 16 * KIB  # ours: greeting, EHLO and STARTTLS of whoever it may be
REMOTE_REPLY_CHARACTERS_MAX = 500  # ours: of a remote's text, kept for the log and told in notices

# Sealing
CHUNK_OCTETS = 65536  # ours: plaintext octets per sealed chunk; the stored format has it
CHUNKS_AT_ONCE = 16  # ours: read and opened together: a mebibyte
PADDING_STEP_OF_CONTENT = 256  # ours: lengths of contents are multiples of it (crypto.padding)
PADDING_STEP_OF_TEXT = 64  # ours: the same of summaries, headers and names; 3 to 9 % of a summary
PADDING_STEP_OF_DETAIL = 256  # ours: the same of journal lines, so that nearly all have one length
INTAKE_MEMORY_OCTETS_MAX = 1 * MIB  # ours: sealed content kept in memory before it flows into chunk rows
PUBLIC_KEYS_REMEMBERED_MAX = 4096  # ours: keys read into the library's form, 1.2 KiB each

# MIME: beyond a limit the rest is opaque text, the message still delivered (R10)
MIME_DEPTH_MAX = 50  # ours: Dovecot and Postfix take 100
MIME_PARTS_MAX = 1000  # ours: Dovecot takes 10,000
MIME_HEADER_OCTETS_MAX = 256 * KIB  # ours: per part; a quarter of the whole message's
MIME_HEADER_OCTETS_TOTAL_MAX = 1 * MIB  # ours: all parts; Dovecot takes 50 MiB
AUTHOR_FIELD_OCTETS_MAX = 4 * KIB  # ours: of one From or Sender, folded; a longer one is a trick (T22)
AUTHOR_AT_SIGNS_MAX = 20  # ours: in one From or Sender as people see it; more is a trick (T22)
MIME_HEADER_LINES_MAX = 1000  # ours: per part (R10)
MIME_ADDRESSES_MAX = 1000  # ours: per field (R10)
MIME_ADDRESS_OCTETS_MAX = 64 * KIB  # ours: read of one address field: MIME_ADDRESSES_MAX ordinary ones (R10)
MIME_ADDRESS_PIECES_MAX = 12_000  # ours: of all address fields of a message: 3,000 ordinary ones (R10)
MIME_ADDRESS_PIECE_OCTETS = 16  # measured: a piece of one word costs no less than this many octets of a word
MIME_COMMENT_PIECE_OCTETS = 4  # measured: the same of a comment, where each parenthesis costs
MIME_VALUE_OCTETS_MAX = 8 * KIB  # ours: read of a field with parameters or comments (R10)
MIME_PARAMETERS_MAX = 100  # ours: per field (R10)
MIME_ENCODED_WORDS_MAX = 1000  # ours: read in one value (R10); the rest stays as written
MIME_ENCODED_LINE_OCTETS_MAX = 64 * KIB  # ours: of quoted-printable; RFC 2045 §6.7 asks 76
MIME_BOUNDARY_OCTETS_MAX = 200  # ours: RFC 2046 §5.1.1 allows 70
MIME_DELIMITER_OCTETS_MAX = MIME_BOUNDARY_OCTETS_MAX + 52  # ours: the boundary, `--`, and blanks behind it
MIME_SCANNED_OCTETS_AT_ONCE = 128 * KIB  # ours: of a message, searched in one go
MIME_SCANNED_PARTS_AT_ONCE = 64  # ours: beginnings and ends of parts, before others have their turn: 2 ms
MIME_PART_WEIGHT_OCTETS = 64  # measured: of a header, which cost as much as a part does in a summary
MIME_SUMMARISED_INLINE_OCTETS_MAX = 8 * KIB  # ours: of headers and parts; more: summarised in a thread (R10)
MIME_STRUCTURE_OCTETS_MAX = 256 * KIB  # ours: a thousand ordinary parts take a third of it
SUMMARY_V1_DEPTH_MAX = 500  # ours: MIME_DEPTH_MAX parts inside one another, each a few lists deep
ENVELOPE_SHAPE_OCTETS_REMEMBERED_MAX = 500  # ours: some sixty addresses; longer is seldom seen twice
HEADER_KEPT_OCTETS_MAX = 64 * KIB  # ours: of the top header, sealed apart so that listing opens no body
LISTED_OCTETS_MAX = 4 * KIB  # ours: of the fields that listings ask for, in the summary; a letter has 0.6 KiB
LISTED_CHOICES_REMEMBERED_MAX = 1000  # ours: choices of fields made ready; then all are forgotten
SEARCH_TEXT_OCTETS_MAX = 8 * MIB  # ours: of one message's text parts, still encoded; no letter has so much
TEXT_PIECE_CHARACTERS = 64 * KIB  # ours: of text looked through in one go
TEXT_DECODED_OCTETS_AT_ONCE = 1 * MIB  # ours: of base64; base64 needs a multiple of 4
ARCHIVE_ENTRIES_MAX = 1000  # ours: of a zip whose documents are searched (X1)
ARCHIVE_ENTRY_OCTETS_MAX = 2 * MIB  # ours: of text inflated from one of them (X1)

PREVIEW_CHARACTERS_MAX = 200  # RFC 8970 §3.3 asks for 200 and forbids more than 256
PREVIEW_OCTETS_READ_MAX = 64 * KIB  # ours: from the start of a message, header included
PREVIEW_PLAIN_OCTETS_READ_MAX = 8 * KIB  # ours: two hundred characters, with room for quotations
PREVIEW_MARKUP_OCTETS_READ_FIRST = 8 * KIB  # ours: of HTML; the rest is read only if this gives too little

# IMAP
IMAP_LINE_OCTETS_MAX = 64 * KIB  # Dovecot's (I2)
IMAP_LINE_OCTETS_PRE_AUTH_MAX = 8 * KIB  # ours: a login fits, with any token (I2)
IMAP_LITERAL_OCTETS_PRE_AUTH_MAX = 1 * KIB  # ours: a login or a password fits; no room for a bomb (I1)
IMAP_PRE_AUTH_OCTETS_MAX = 16 * KIB  # ours: all that a stranger may send (I1)
IMAP_LITERAL_OCTETS_MAX = 100 * KIB  # ours: of any literal but the message of an APPEND (I1)
IMAP_APPEND_MESSAGES_MAX = 100  # ours: of one APPEND: they are kept in one transaction (I7)
IMAP_LITERALS_MAX = 1000  # mox's (I1)
IMAP_COMMAND_OCTETS_MAX = 1 * MIB  # mox's (I1)
IMAP_NESTING_MAX = 20  # ours: parentheses or brackets; no client goes deeper than a few (I2)
IMAP_SET_ELEMENTS_MAX = 10_000  # ours: a client names scattered messages of a large folder (I3)
IMAP_SEARCH_KEYS_MAX = 100  # ours: of one SEARCH (I4)
IMAP_FETCH_ITEMS_MAX = 100  # ours: of one FETCH (I5)
IMAP_FETCH_REMEMBERED_OCTETS_MAX = 1 * KIB  # ours: lists of items that clients repeat are shorter
IMAP_DECODED_SECTIONS_MAX = 32  # ours: BINARY items of one FETCH; each may decode 35 MiB, which cost 0.2 s
IMAP_HEADER_NAMES_MAX = 100  # ours: in one BODY[HEADER.FIELDS (...)] (I5)
IMAP_LIST_PATTERNS_MAX = 20  # ours: of one LIST; each is matched with every folder
IMAP_TAG_OCTETS_MAX = 128  # ours: clients write a few; a tag comes back in the answer
IMAP_ACL_IDENTIFIER_OCTETS_MAX = 256  # ours: a mail address fits (RFC 5321 §4.5.3.1.3)
IMAP_CASEMAP_REMEMBERED_MAX = 20_000  # ours: characters; what mail is written in takes some hundreds
IMAP_QUOTED_OCTETS_MAX = 1000  # ours: longer ones go as literals: some clients read quoted strings line-wise
IMAP_SKIPPED_OCTETS_MAX = 128 * MIB  # ours: of a refused APPEND whose client does not wait (LITERAL+)
IMAP_PART_DEPTH_MAX = 50  # MIME_DEPTH_MAX: a longer path leads to no part (I5)
IMAP_SEARCHED_AT_ONCE = 20_000  # ours: messages that a search decides together: some 20 MiB (I4)
IMAP_ALIVE_SECONDS = 10  # Dovecot's: a search without an answer says so often that it goes on (I4)
IMAP_SORT_CRITERIA_MAX = 20  # ours: RFC 5256 and RFC 5957 have nine keys
IMAP_SORTS_AT_ONCE = 4  # ours: per port; one of 100,000 messages holds some 50 MiB
IMAP_THREAD_REFERENCES_MAX = 100  # ours: of one message; RFC 5322 §3.6.4 has no bound, mail programs cut
IMAP_THREAD_IDENTIFIERS_MAX = 500_000  # ours: of messages that references name and that are not there
IMAP_THREAD_STEPS_MAX = 1_000_000  # ours: steps up chains whose links were broken: a tenth of a second
IMAP_CONTENTS_SEARCHED_AT_ONCE = 2  # ours: per port; one of the two may be large: 180 MiB for one of 32 MiB
IMAP_REST_SECONDS = 1  # ours: a client that asks nothing for so long leaves time for its mailbox's index
IMAP_LOGIN_SECONDS_MAX = 180  # Dovecot's: from the greeting to a login, however busy the client seems
IMAP_IDLE_SECONDS_MAX = 1800  # RFC 2177: a client renews at least every 29 minutes
IMAP_ACCESS_CHECK_SECONDS = 2.0  # ours: who loses access hears BYE within five seconds (I14)
IMAP_CONNECTIONS_MAX = 2000  # ours: per port; an idle one costs some tens of KiB
IMAP_PERSON_MEMORY_OCTETS_MAX = 16 * MIB  # ours: held for one person's commands, all connections (I7)
IMAP_CONNECTIONS_PER_USER_MAX = 20  # ours: a mail program opens a handful, on several devices (I8)
IMAP_HEAVY_AT_ONCE = 2  # ours: commands of one person that open or change messages by the hundred (I5)
IMAP_HEAVY_BODIES = 100  # ours: messages: a command that opens more contents is heavy
IMAP_HEAVY_ROWS = 2000  # ours: messages: a command that changes more of them is heavy (I5)
IMAP_HEAVY_WAIT_SECONDS_MAX = 90  # ours: for a turn: above WRITE_SECONDS_MAX, when a stalled client is cut
IMAP_BAD_COMMANDS_MAX = 20  # ours, as SESSION_ERRORS_MAX: in a row answered BAD, then BYE
PLACES_MAX = 1_000_000  # ours: letters in a mailbox's folders, copies counted: ten of 100,000 (I5)
UIDS_GIVEN_MAX = 20_000_000  # ours: in all folders of a mailbox; gone ones take some 50 octets each (I5)
PLACE_OCTETS = 256  # measured: of quota: its rows and indexes take 60 on SQLite, 200 on PostgreSQL
FOLDERS_MAX = 1000  # ours: of one mailbox; LIST tells them all (I13)
FOLDER_NAME_OCTETS_MAX = 512  # ours: in UTF-8, with every folder above it (I13)
FOLDER_NAME_WIRE_OCTETS_MAX = 4 * FOLDER_NAME_OCTETS_MAX  # RFC 3501 §5.1.3: modified UTF-7
KEYWORDS_MAX = 54  # bits 8 to 61 of a flag mask of 64
KEYWORD_OCTETS_MAX = 128  # ours: those that mail programs define are far shorter

# How much is done before others have their turn
IMAP_FETCHED_AT_ONCE = 1000  # ours: messages read for one FETCH in one go
IMAP_LINES_AT_ONCE = 2000  # ours: answers of flags written before the loop is given to others
IMAP_ROWS_AT_ONCE = 2000  # ours: looked at, or told, before the loop is given to others
IMAP_FLAGS_AT_ONCE = 5000  # ours: messages decided by what is in memory before the loop is given to others
IMAP_NUMBERS_AT_ONCE = 5000  # ours: UIDs turned into sequence numbers before the loop is given to others
SEARCH_LARGE_OCTETS_MIN = 1 * MIB  # ours: a message above is searched while no other such one is
SEARCH_CHARACTERS_HELD = 128 * KIB  # ours: of opened texts judged together, or one text that is longer
IMAP_TEMPLATE_SHAPE_OCTETS_MAX = 500  # ours: a letter has less than 200; longer is seldom seen again
IMAP_TEMPLATES_REMEMBERED_MAX = 1000  # ours: shapes of letters whose text is prepared; then all are forgotten
IMAP_VANISHED_AT_ONCE = 20_000  # ours: UIDs in one response: some milliseconds
IMAP_SEND_OCTETS = 64 * KIB  # ours: lines of an answer are gathered up to this
IMAP_SECTION_WHOLE_OCTETS_MAX = 4 * CHUNK_OCTETS  # ours: held whole; what is larger is read twice
IMAP_SORTED_IN_ONE_STEP = 4000  # ours: items sorted before others are given their turn
IMAP_THREADED_IN_ONE_STEP = 2000  # ours: messages gone through before others are given their turn
READ_MESSAGES_AT_ONCE = 500  # ours: sealed summaries read from the store in one go
READ_METADATA_OCTETS_AT_ONCE = 1 * MIB  # ours: of sealed metadata held for it
READ_OPENED_AT_ONCE = 100  # ours: opened before the loop is given to others: a millisecond or two
READ_SMALL_OCTETS_AT_ONCE = 512 * KIB  # ours: of small contents read in one go
READ_ROWS_AT_ONCE = 16  # ours: fetched before the octets read are counted again
READ_SUMMARY_OCTETS_AT_ONCE = 128 * KIB  # ours: a summary full of parts takes long to write out
JOURNAL_SEALED_AT_ONCE = 500  # ours: lines of before sealed in one transaction: some 10 ms
JOURNAL_ROWS_AT_ONCE = 2000  # ours: entries of a mailbox's journal held while it is gone through
LIVE_ROWS_AT_ONCE = 2000  # ours: changes taken in before the loop is given to others
EXPUNGED_AT_ONCE = 500  # measured: in one transaction, 11 ms; letters pass before the next

# What one transaction writes, so that letters and other people's commands pass before the next
FLAGS_STORED_AT_ONCE = 10_000  # measured: of one STORE, 20 to 24 ms
PLACES_COPIED_AT_ONCE = 3000  # measured: of one COPY, 12 to 18 ms
PLACES_MOVED_AT_ONCE = 1500  # measured: of one MOVE, which writes three tables: 10 to 20 ms
SHREDDED_KIB_AT_ONCE = 4 * KIB  # measured: 4 MiB of content, overwritten: 16 ms
CHUNKS_ERASED_AT_ONCE = 64  # as SHREDDED_KIB_AT_ONCE: chunks of 64 KiB
INDEX_SEGMENTS_FORGOTTEN_AT_ONCE = 16  # ours: of 256 messages each; scattered expunges touch many
EXPUNGED_FORGOTTEN_AT_ONCE = 10_000  # measured: UIDs that a deleted folder remembered as gone: 10 ms
RECIPIENTS_HASTENED_AT_ONCE = 1000  # measured: made due at once when a destination answers again: 15 ms
DEDUP_SWEPT_AT_ONCE = 5000  # ours: old keys deleted, some milliseconds
COPY_DEAD_SECONDS = 600  # ours: a COPY that wrote nothing for so long was cut off; what it wrote is undone

# The index of words
INDEX_WORDS_OCTETS_MAX = 256 * KIB  # ours: of one message's different words; above, every search opens it
INDEX_SETTLE_SECONDS = 5.0  # ours: waited after a change, because more may follow
INDEX_STEP_OCTETS = 16 * MIB  # ours: looked through before others have their turn: about a second
INDEX_STEP_WORDS = 200_000  # ours: different words of each message, held in one step: some 20 MiB
INDEX_SEGMENTS_AT_ONCE = 8  # ours: read and asked: about a mebibyte
INDEX_OPENED_INSTEAD_MAX = 64  # ours: messages; a search opens so few instead of indexing them
INDEX_ASKED_MIN = 20  # ours: to open fewer messages is quicker than to ask the index about them

# Authentication
LOGIN_OCTETS_MAX = 320  # RFC 5321 §4.5.3.1: 64 before the @, 255 behind it: a whole mail address fits
PASSWORD_OCTETS_MIN = 12  # ours: of a password that is set; guessing is slowed, not stopped (I9)
WHOLE_NUMBER_BITS_MAX = 63  # of a number in an operation: both databases keep so many, and the sign
PASSWORD_OCTETS_MAX = 1024  # ours: as IMAP_LITERAL_OCTETS_PRE_AUTH_MAX; Argon2id is given no more
PASSWORD_MEMORY_KIB = 64 * 1024  # RFC 9106 §4, its second choice: Argon2id with 64 MiB
PASSWORD_ITERATIONS = 3  # RFC 9106 §4, its second choice: 250 ms of one core with that memory
PASSWORD_CHECKS_AT_ONCE = 2  # measured: two at once take twice as long, so more gain nothing
PASSWORD_CHECKS_QUEUED_MAX = 1000  # ours: of each kind of caller; each costs some KiB, and its wait ends
PASSWORD_CHECK_WAIT_SECONDS_MAX = 60.0  # ours: for a turn: some 240 checks; programs wait about so long
PASSWORD_REMEMBERED_SECONDS = 300  # ours: mail programs sign in again and again
PASSWORDS_REMEMBERED_MAX = 10_000  # ours: persons; the oldest are forgotten
GUESS_FREE_FAILURES = 2  # ours: so many wrong passwords may be typing errors, and cost no delay
GUESS_DELAY_SECONDS_FIRST = 1.0  # ours: after the third wrong password; then it doubles
GUESS_DELAY_SECONDS_MAX = 15.0  # Dovecot's (I9)
GUESS_WAIT_SECONDS_MAX = 30.0  # ours: a longer wait is refused instead
GUESS_FORGET_SECONDS = 600.0  # ours: after so long without a failure, the count begins anew
GUESS_REMEMBERED_MAX = 10_000  # ours: addresses and persons that failed; the oldest are forgotten
GUESS_FREE_FAILURES_INSIDE = 10  # ours: of all who are known at one address: a hospital mistypes more
GUESS_ALARM_EVERY = 10  # ours: an alarm for so many wrong passwords of one address or person: 10 an hour (I9)
KNOWN_PAIR_DAYS_MAX = 90  # ours: a person not seen from an address for so long is a stranger there
KNOWN_PAIRS_PER_PERSON_MAX = 32  # ours: addresses of one person; the oldest go, nobody else's
KNOWN_PAIRS_REMEMBERED_MAX = 10_000  # ours: pairs in memory, beside the database that has them all

# Keys
KEYS_UNWRAPPED_INLINE_MAX = 200  # ours: about a millisecond on the loop; HPKE costs a hundred times more
KEYS_OPENED_INLINE_MAX = 8  # ours: opened with HPKE on the loop; more go to a thread
ROOT_KEY_FILE_OCTETS_MAX = 256  # ours: a word, a number and 32 octets in base64 fit

# Directory and trust
LDAP_SECONDS_MAX = 5  # ours: one connection or one read (C11)
DIRECTORY_UNANSWERED_MAX = 3  # ours: questions in a row without an answer; then it is not asked (C11)
DIRECTORY_SLOW_SECONDS = 2  # ours: a later answer counts as none: somebody waits for it at each RCPT
DIRECTORY_REST_SECONDS = 30  # ours: how long a directory that does not answer is left alone
LDAP_PAGE_ENTRIES = 500  # OpenLDAP's own size limit, unless it is told otherwise
LDAP_VALUE_OCTETS_MAX = 256  # RFC 5321 §4.5.3.1.3: an address fits; of a value put in a filter
LDAP_QUESTION_SECONDS_MAX = 10  # ours: connection, TLS and every page of one question (C11)
LDAP_TRUST_SECONDS_MAX = 60  # ours: the whole trust space: 8,655 pairs in June 2026
LDAP_QUESTIONS_AT_ONCE = 4  # ours: threads, because ldap3 blocks
LDAP_QUESTIONS_MAX = 64  # ours: under way or waiting for a thread
LDAP_LENGTH_OCTETS_MAX = 4  # ours: X.690 §8.1.3.5 allows 126; four say 4 GiB, far above any answer
LDAP_MESSAGE_OCTETS_MAX = 256 * KIB  # ours: one entry, one result
LDAP_ANSWER_OCTETS_MAX = 16 * MIB  # ours: one question; the whole trust space is 3 MiB
LDAP_REFERENCES_MAX = 100  # ours: in one page, beside its entries
DIRECTORY_VALUE_OCTETS_MAX = 1024  # ours: the longest value of the format, a DN, is far shorter
DIRECTORY_VALUES_MAX = 64  # ours: of one attribute
DIRECTORY_WORDS_MAX = 8  # ours: of one search
DIRECTORY_WORD_CHARACTERS_MIN = 3  # ours: of the longest word: fewer would walk a whole national directory
DIRECTORY_FOUND_MAX = 100  # ours: answers to one search
DIRECTORY_CANDIDATES_MAX = 1000  # ours: entries looked at to answer one search over LDAP
ODD_ENTRY_CHARACTERS_MAX = 200  # ours: of the name of an entry that cannot be read, as it is told
LDIF_OCTETS_MAX = 64 * MIB  # ours: LDIF_ENTRIES_MAX entries of the development directory's size, about
LDIF_LINE_OCTETS_MAX = 16 * KIB  # ours: unfolded; DIRECTORY_VALUE_OCTETS_MAX in base64, and room
LDIF_ENTRIES_MAX = 100_000  # ours: beyond it a directory belongs in a server
LDIF_LINES_PER_ENTRY_MAX = 2000  # ours: as folded
WHITE_LIST_OCTETS_MAX = 50 * MIB  # ours: WHITE_LIST_ENTRIES_MAX entries of half a kibibyte (T20)
WHITE_LIST_ENTRIES_MAX = 100_000  # ours: the real list had 8,655 pairs in June 2026 (T20)
WHITE_LIST_DEPTH_MAX = 100  # ours: elements inside one another; the format has four levels (T19)
WHITE_LIST_WARN_HOURS = 48  # T17: an operator is warned
TRUST_SPACE_HOURS_MAX = 7 * 24  # T17: with an older list nobody is trusted, peers get 4xx; configurable
TRUST_AHEAD_SECONDS_MAX = 300  # ours: a list dated further ahead of our clock would freeze the space (T17)
TRUST_LOST_SHARE_MAX = 0.25  # ours: of a source's pairs; one that lost more is held back for an operator
TRUST_LOST_PAIRS_MIN = 10  # ours: a source may lose so many, whatever their share
KEPT_FLOORS_OCTETS_MAX = 1 * MIB  # ours: some hundred octets for each source and each authority
KEPT_HEARD_SECONDS = 3600  # ours: how often it is written down that a source without dates still answers
TRUST_REFRESH_SECONDS = 60  # ours: how soon a new list or a revocation is in force (T8, T9)
DN_CHARACTERS_MAX = 4096  # ours: far above any subject; a longer text is not parsed
CERTIFICATE_OCTETS_MAX = 64 * KIB  # ours: an operator's certificate is 2 KiB
CERTIFICATES_REMEMBERED_MAX = 256  # ours: 16 MiB if every one were as large as it may be
CERTIFICATES_PRESENTED_MAX = 8  # ours: by one peer
CERTIFICATE_RENEW_DAYS = 30  # ours: before its end, doctor warns that ours must be renewed
CHAIN_CERTIFICATES_MAX = 5  # ours: leaf and anchor included; IGC-Santé has 3
PATH_SIGNATURES_CHECKED_MAX = 40  # ours: a peer's certificates could all claim each other
RSA_BITS_MIN = 2048  # facts §2: IGC-Santé's end entities have 2048 bits; shorter ones are refused
CRL_OCTETS_MAX = 20 * MIB  # ours: half a million revocations of some 40 octets (T10)
CRL_NUMBER_OCTETS_MAX = 20  # RFC 5280 §5.2.3; one above it would stand as the floor for ever (T10)
CRL_GRACE_SECONDS = 24 * 3600  # project rule: the last good list serves a day more, with an alarm

# Queue
RETRY_SECONDS_FIRST = 300  # Postfix's: the first wait; then it doubles
RETRY_SECONDS_MAX = 4000  # Postfix's: no wait is longer, before it is spread
QUEUED_AT_STEP_SECONDS = 3600  # ours: of the time in clear beside a queued letter; its second is sealed
QUEUE_TIME_STEP_SECONDS = 60  # ours: a new letter is due from its minute on, so no second lies in clear
QUEUE_DAYS_MAX = 5  # Postfix's; RFC 5321 §4.5.4.1: at least four or five; as long we know a retry (R14)
QUEUE_DELAY_NOTICE_SECONDS = 4 * 3600  # ours: when a sender is told that a letter still waits
QUEUE_NOTICES_REMEMBERED_MAX = 10_000  # ours: letters whose sender knows of the delay; then all are forgotten
SENT_RECIPIENTS_PER_HOUR = 10_000  # ours: of one person or mailbox, a hospital's software too; configurable
QUEUED_OCTETS_MAX = 4096 * MIB  # ours: of one person or mailbox, waiting to be sent; configurable
QUEUED_RECIPIENTS_MAX = 20_000  # ours: of one person or mailbox, still to be reached; configurable
COURIERS_AT_ONCE = 60  # ours: conversations with other operators, all together (R15)
COURIERS_AT_UNPROVED = 40  # ours: of these, with operators that did not answer lately
COURIERS_AT_SILENT = 10  # ours: of these, with operators where nobody answered last time
DESTINATIONS_REMEMBERED_MAX = 10_000  # ours: that answered; 8,655 pairs of domain and name in June 2026
COURIERS_PER_DESTINATION = 5  # ours: conversations with one operator at once (R15)
REPLY_SECONDS_FINAL_DOT = 600  # RFC 5321 §4.5.3.2.6
QUEUE_LEASED_AT_ONCE = 100  # ours: recipients taken from the queue in one go
QUEUE_LEASE_SECONDS = 1800  # ours: a worker has a recipient to itself: above any conversation's length
QUEUE_ATTEMPT_SECONDS_MAX = 1500  # ours: it ends before its lease, so that two runners never try at once
QUEUE_HOLDER_GONE_SECONDS = 10  # ours: above how soon a living process is back; then others take its letters
QUEUE_OUTCOME_AGAIN_SECONDS = 1.0  # ours: before an outcome that the database did not take is written again
QUEUE_POLL_SECONDS = 5  # ours: how soon what another host queued, or what is due again, is seen

# Databases (docs/findings.md, SQLite and PostgreSQL)
DATABASE_BATCH_JOBS_MAX = 64  # ours: jobs committed together: one fsync for all of them
DATABASE_BATCH_ROWS_MAX = 128  # ours: of letters (for each mailbox) or chunks committed together: some 40 ms
DATABASE_LIGHT_ROWS_MAX = 50  # ours: a job that writes more rows has a transaction of its own
DATABASE_GATHER_SECONDS = 0.005  # ours: a commit waits no longer for letters whose content is coming in
DATABASE_JOBS_QUEUED_MAX = 1024  # ours: jobs waiting for the writer; above, callers wait their turn
DATABASE_COMMIT_TRIES = 4  # ours: of a commit that the database undid because it conflicted with another
DATABASE_READERS = 4  # ours: threads or connections that read beside the one that writes
DATABASE_BUSY_SECONDS = 5  # ours: waiting for a lock before the answer is "try later" (C6)
DATABASE_STATEMENT_SECONDS_MAX = 60  # ours: above any statement we have; then PostgreSQL ends it
DATABASE_LEISURE_SECONDS = 0.5  # ours: waiting for a write that only saves time later; then it is left undone
DATABASE_LEISURE_LOCK_SECONDS = 0.05  # ours: such a write's wait for a lock: a letter may wait behind it
DATABASE_LEISURE_REST_SECONDS = 1  # ours: after the database was busy, no such write is tried for so long
DATABASE_CHECKPOINT_PAGES = 4000  # ours: a write-ahead log of 16 MiB is folded into the database
DATABASE_CHECKPOINT_TRIES = 5  # ours: to fold in all of the log after shredding, while others read (K6)
DATABASE_CHECKPOINT_PAUSE_SECONDS = 0.1  # ours: between those tries
DATABASE_CHECKPOINT_WAIT_MS = 50  # ours: the writer waits no longer for readers; the caller tries again
DATABASE_WAL_OCTETS_KEPT_MAX = 64 * MIB  # ours: what a burst left is cut back to this
SESSION_PROBE_SECONDS = 3  # ours: how soon we notice that our session was cut; PostgreSQL's probes of us too
SESSION_PROBES = 3  # ours: of PostgreSQL, unanswered, before it ends the session of a host that fell silent
LISTEN_AGAIN_SECONDS = 1.0  # ours: before PostgreSQL is listened to again after a cut
MAILBOXES_REMEMBERED_MAX = 10_000  # ours: mailboxes, and public keys of 1.2 KiB each
KEY_ROWS_READ_AT_ONCE = 500  # ours: people and accesses in memory while all are checked
KEY_STORE_CHECK_REST = 100  # ours: after all of them were checked, a rest of so many times what it took
STRANGE_ROWS_NAMED_MAX = 100  # ours: rows of the key store that doctor names; the others are counted
MAILBOXES_PROVEN_AT_ONCE = 500  # ours: signatures that doctor checks on one snapshot: 0.2 ms each
LETTERS_PROVED_AT_ONCE = 100  # ours: waiting letters of before proofs, opened between two reads: some 20 ms
MAILBOX_REMEMBERED_SECONDS = 10  # ours: how soon another host's change to a mailbox is seen here
PUBLIC_KEY_REMEMBERED_SECONDS = 60  # ours: another host may add an epoch; the old one opens for much longer
ORPHAN_SECONDS = 3600  # invariant 3: no blob without DEK is older; a session in progress may have one
BLOBS_SWEPT_AT_ONCE = 1000  # ours: abandoned receptions looked up in one go

# The server and those who run it
RECHECK_SECONDS = 3  # ours: how soon an access that was ended on another host ends here too (I14)
SWEEP_SECONDS = 3600  # ours: as ORPHAN_SECONDS: nothing is left over for longer than twice that
SERVER_STOP_SECONDS_MAX = 30  # ours: for conversations under way; systemd waits 60 (our unit file)
CONTROL_LINE_OCTETS_MAX = 4 * MIB  # ours: one answer on the socket of the command line, all mailboxes listed
CONTROL_STOP_SECONDS_MAX = 5  # ours: for commands under way, when the server ends
CONTROL_REQUEST_SECONDS_MAX = 600  # ours: a whole verification of the data may take minutes
STATUS_REQUEST_OCTETS_MAX = 8 * KIB  # ours: a browser's request for a page fits
STATUS_REQUEST_SECONDS_MAX = 5  # ours: one request and its answer, both short
STATUS_CONNECTIONS_MAX = 32  # ours: a few watchers; of more, the oldest is cut
DISK_RESERVE_OCTETS = 512 * MIB  # ours: nothing new below it (R3): DELETE needs its log; configurable
DISK_FREE_MIN = 0.05  # ours: of the disk; below, doctor warns that the reserve comes near

# The demo
DEMO_START_SECONDS_MAX = 30  # ours: an operator starts in some seconds, on a slow machine in some more
DEMO_ARRIVAL_SECONDS_MAX = 30  # ours: a letter arrives in less than one, on a slow machine in some more
DEMO_SLAPD_START_SECONDS_MAX = 60  # ours: slapd loads the data first
DEMO_SLAPD_STOP_SECONDS_MAX = 10  # ours: then it is killed: all its data is thrown away
DEMO_SLAPD_PORT_TRIES = 5  # ours: another program may take a free port before slapd has it
