"""The key broker: who may open which mailbox, and the only holder of mailbox secrets.

The key store is a database of its own (its own file, or its own PostgreSQL schema), with its own short
backup cycle: `await Database.open(url, purpose=PURPOSE, migrations_package=MIGRATIONS)`.
"""

from mssante.keys.broker import KeyBroker
from mssante.keys.ring import Grant, Ring, Role, SignIn
from mssante.keys.root_key import RootKey, RootKeyMalformed
from mssante.keys.rows import Person, PersonStatus
from mssante.keys.store import MIGRATIONS, PURPOSE, WrongRootKey

__all__ = [
    "MIGRATIONS",
    "PURPOSE",
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
