"""Files that only this program's user may read: databases and key files.

Invariants (K14): a file is created with mode 0600 and never through a symbolic link; a file with a wider
mode, a link, or another user's file is refused and not repaired, because somebody may already have read or
replaced it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from mssante.database.faults import AlreadyOpen, UnsafeFile


def create(path: Path) -> bool:
    """Creates an empty private file if there is none yet. Returns whether it did. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    os.close(descriptor)
    return True


def require_private(path: Path) -> None:
    """Raises UnsafeFile unless `path` is a regular file that belongs to us, is closed to group and others,
    and lies in a directory where nobody else can replace it."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(f"{path} is not a regular file")
    if status.st_uid != os.geteuid():
        raise UnsafeFile(f"{path} belongs to another user")
    if status.st_mode & 0o077:
        raise UnsafeFile(f"{path} is open to others (mode {status.st_mode & 0o777:04o}): chmod 600 {path}")
    folder = os.stat(path.parent)
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        raise UnsafeFile(f"{path.parent} is writable by others: chmod 700 {path.parent}")


def read_private(path: Path, bytes_max: int) -> bytes:
    """The first `bytes_max` bytes of a private file. Raises UnsafeFile, OSError."""
    require_private(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(bytes_max)


def write_private(path: Path, content: bytes) -> None:
    """Writes a new private file and syncs it to disk. It never overwrites: raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder_of(path)


def replace_private(path: Path, content: bytes) -> None:
    """Puts `content` in the place of a private file, or makes it: after a crash there is the old one or the
    new one, whole. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a write that was cut short
    write_private(fresh, content)
    fresh.replace(path)
    _sync_folder_of(path)


def _sync_folder_of(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Lock:
    """Makes sure that only one process runs: holds `path` locked until `release`. Raises AlreadyOpen."""

    def __init__(self, path: Path) -> None:
        create(path)
        require_private(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise AlreadyOpen(f"{path} is held by another process") from None

    def release(self) -> None:
        os.close(self._descriptor)
