"""The key broker: it decides who may open which mailbox, and only it holds the secrets of mailboxes.

The key store is a separate database (its own file, or its own PostgreSQL schema) with its own short backup
cycle. Open it with `await Database.open(url, purpose=PURPOSE, migrations_package=MIGRATIONS)`.
"""

from mssante.keys.broker import KeyBroker
from mssante.keys.custody import FloorKeeper
from mssante.keys.ring import Grant, Ring, Role, SignIn
from mssante.keys.root_key import RootKey, RootKeyMalformed
from mssante.keys.rows import Person, PersonStatus
from mssante.keys.store import MIGRATIONS, PURPOSE, WrongRootKey

__all__ = [
    "MIGRATIONS",
    "PURPOSE",
    "FloorKeeper",
    "Grant",
    "KeyBroker",
    "Person",
    "PersonStatus",
    "Ring",
    "Role",
    "RootKey",
    "RootKeyMalformed",
    "SignIn",
    "WrongRootKey",
]
