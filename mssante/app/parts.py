"""Opens the parts of an operator, in order: databases, keys, store, directory, trust space."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mssante.annuaire.directory import Directory
from mssante.annuaire.ldap import LdapDirectory
from mssante.annuaire.ldif import LdifDirectory
from mssante.app.trust import kept_folder, trust_state
from mssante.clock import Clock, SystemClock
from mssante.config import Config, TrustSource
from mssante.control.operations import Parts, Settings
from mssante.control.outbox import outbox
from mssante.control.settling import settle
from mssante.database import CannotOpen, Database, files
from mssante.keys import MIGRATIONS as KEY_MIGRATIONS
from mssante.keys import PURPOSE as KEYS_PURPOSE
from mssante.keys.broker import KeyBroker
from mssante.keys.custody import FloorKeeper
from mssante.keys.root_key import RootKey
from mssante.ldap.client.session import LdapTarget
from mssante.limits import MIB, PASSWORD_OCTETS_MAX
from mssante.model import Malformed, Secret
from mssante.reasons import Declined, Passing
from mssante.store import MailStore
from mssante.store.key_floor import KeyFloorDoor
from mssante.store.mail_store import MIGRATIONS as MAIL_MIGRATIONS
from mssante.store.proving import UnprovenMailbox
from mssante.trust.space import TrustSpace
from mssante.trust.state import TrustState


class CannotStart(Exception):
    """The server cannot run as it is configured; `args[0]` says what must be mended."""


def create_root_key(config: Config) -> None:
    """Writes a new, random root key into its file. Raises FileExistsError rather than replace one."""
    assert config.storage.root_key is not None  # a first configuration names a file
    RootKey.create(config.storage.root_key)


def _root_key(config: Config) -> RootKey:
    storage = config.storage
    if storage.root_key is not None:
        return RootKey.load(storage.root_key)
    assert storage.root_key_credential is not None  # config refuses the contrary
    return RootKey.from_credential(storage.root_key_credential)


@contextlib.asynccontextmanager
async def open_parts(
    config: Config, *, clock: Clock | None = None, serving: bool = False
) -> AsyncIterator[Parts]:
    """The parts of an operator, opened in order and closed in reverse. Raises CannotStart, Passing. A
    directory or a trust space that cannot be read is only an error when `serving`: otherwise
    `parts.trust.trouble` says why, for the doctor to tell."""
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        try:
            root = _root_key(config)
            mail = await Database.open(
                config.storage.database.url(config.folder),
                purpose="mail",
                migrations_package=MAIL_MIGRATIONS,
            )
            stack.push_async_callback(mail.close)
            keys = await Database.open(
                config.storage.keys.url(config.folder),
                purpose=KEYS_PURPOSE,
                migrations_package=KEY_MIGRATIONS,
                schema="keys",
            )
            stack.push_async_callback(keys.close)
            floor = KeyFloorDoor(mail)
            broker = await KeyBroker.start(
                keys, root=root, clock=clock, floor=FloorKeeper(floor.read, floor.keep)
            )
        except (CannotOpen, OSError) as error:
            raise CannotStart(_words(error)) from error
        stack.callback(broker.close)
        file = config.storage.database.file(config.folder)
        store = await MailStore.start(
            mail,
            clock=clock,
            verifier=broker.verifier,
            audit=broker.audit_public_key,
            disk=file.parent if file is not None else None,
            reserve_octets=config.bounds.disk_reserve_mib * MIB,
        )
        stack.push_async_callback(store.close)
        await _proven(store, broker, clock, serving=serving)
        directory, trouble = _directory(config)
        stack.push_async_callback(directory.aclose)
        state = trust_state(config, directory, clock)
        unread = None if trouble else await _load(state, keep=serving)
        if unread is not None:
            trouble = f"trust: {_words(unread)}"
        if trouble and serving:
            raise unread if isinstance(unread, Passing) else CannotStart(trouble)
        state.trouble = trouble
        yield Parts(
            settings=_settings(config),
            clock=clock,
            store=store,
            broker=broker,
            directory=directory,
            trust=state,
        )


async def _proven(store: MailStore, broker: KeyBroker, clock: Clock, *, serving: bool) -> None:
    """Makes sure that what is stored is what our broker made. What is not is only an error when `serving`:
    doctor names it otherwise. Raises CannotStart, Passing."""
    if broker.trouble:
        if serving:
            raise CannotStart(broker.trouble)
        return
    await settle(store, broker)
    try:
        await outbox(store, broker, clock)
    except UnprovenMailbox as trouble:
        if serving:
            raise CannotStart(trouble.detail) from trouble


def _settings(config: Config) -> Settings:
    storage = config.storage
    places = (storage.database.file(config.folder), storage.keys.file(config.folder))
    databases = tuple(file for file in places if file is not None)
    return Settings(
        folder=config.folder,
        domains=config.operator.domains,
        quota_kib=config.messages.quota_mib * 1024,
        certificate=config.tls.certificate,
        secret_files=(
            config.tls.key,
            *filter(None, [storage.root_key]),
            *databases,
            kept_folder(config),
        ),
        database_files=databases,
        space_hours_max=config.trust.space_hours_max,
    )


async def configured_space(config: Config) -> TrustSpace:
    """The trust space as the server would read it now. Raises CannotStart, OSError, Malformed, Passing."""
    directory, trouble = _directory(config)
    try:
        if trouble and TrustSource.DIRECTORY in config.trust.sources:
            raise CannotStart(trouble)
        return await trust_state(config, directory, SystemClock()).read_space()
    finally:
        await directory.aclose()


def _directory(config: Config) -> tuple[Directory, str]:
    """The configured directory and ""; or, when it cannot be used, an empty directory and the reason."""
    source = config.directory
    try:
        if source.ldif is not None:
            return LdifDirectory.load(source.ldif), ""
        assert source.ldap is not None  # config refuses the contrary
        assert source.ldap_base is not None
        secret = source.ldap_password_file
        password = files.read_private(secret, PASSWORD_OCTETS_MAX) if secret is not None else None
        target = LdapTarget.parse(
            source.ldap,
            base_dn=source.ldap_base,
            ca_file=source.ldap_ca,
            bind_dn=source.ldap_bind_dn,
            password=Secret(password.decode("utf-8", "replace").strip()) if password is not None else None,
        )
        return LdapDirectory(target), ""
    except (CannotOpen, OSError, Malformed, Declined) as error:
        return LdifDirectory(b"version: 1\n"), f"directory: {source.ldif or source.ldap}: {_words(error)}"


async def _load(state: TrustState, *, keep: bool) -> Exception | None:
    """Reads the trust space. Returns why it cannot be read, None when it was."""
    try:
        await state.load(keep=keep)
    except (OSError, Malformed, Declined) as error:
        return error
    return None


def _words(error: Exception) -> str:
    """An error as an operator reads it."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
