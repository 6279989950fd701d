"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from calogan.errors import BusyError, StoreError
from calogan.progress import Reporter

__all__ = ["LOCK", "locked"]

LOCK = ".lock"
_ATTEMPTS = 100  # while others come and go


@contextmanager
def locked(folder: Path, kind: str, otherwise: str, reporter: Reporter, *, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a folder; the lock ends with the process, however it ends.

    Who holds it may remove lock and folder: a process that waits at the door sees that, and begins again.

    Args:
        folder: Folder to work in; made if it is not there.
        kind: What the folder is, for the message.
        otherwise: What to do instead of waiting, likewise.
        reporter: Warned where the file system cannot lock.
        wait: Wait for the other process instead of refusing.

    Raises:
        BusyError: Another process works in the folder.
        StoreError: Nothing can be written there.
    """
    with _take(folder, kind, otherwise, reporter, wait=wait) as lock:
        try:
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
        except OSError as error:
            raise _unwritable(folder, kind, error) from error
        yield


def _take(folder: Path, kind: str, otherwise: str, reporter: Reporter, *, wait: bool) -> TextIO:
    """The locked file that is at the lock's path."""
    for _ in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / LOCK).open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue  # the folder went away in between
        except OSError as error:
            raise _unwritable(folder, kind, error) from error
        try:
            _lock(lock, folder, kind, otherwise, reporter, wait=wait)
            if _is_at(lock, folder / LOCK):
                return lock
        except BaseException:
            lock.close()
            raise
        lock.close()
    msg = f"{folder}: the lock in this {kind} does not stay; {otherwise}"
    raise StoreError(msg)


def _lock(lock: TextIO, folder: Path, kind: str, otherwise: str, reporter: Reporter, *, wait: bool) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        msg = f"{folder}: {holder} works in this {kind}; wait for it to end or {otherwise}"
        raise BusyError(msg) from None
    except OSError as error:
        reporter.warning(f"{folder}: the file system cannot lock ({error}); run one command on it at a time")


def _is_at(lock: TextIO, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _unwritable(folder: Path, kind: str, error: OSError) -> StoreError:
    return StoreError(f"{folder}: the {kind} cannot be written: {error.strerror or error}")
