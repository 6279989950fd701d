"""One process at a time in a folder, or several that have agreed to share it."""

from __future__ import annotations

import fcntl
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from calogan.errors import BusyError, StoreError
from calogan.progress import Reporter, SilentReporter

__all__ = ["LOCK", "is_held", "locked"]

LOCK = ".lock"
_ATTEMPTS = 100  # while others come and go
# A file server keeps the locks of a node that is lost for a while, NFS for 90 s: the job that goes on elsewhere waits.
_PATIENCE, _PAUSE = 150.0, 1.0  # [s]


@contextmanager
def locked(
    folder: Path,
    kind: str,
    otherwise: str,
    reporter: Reporter,
    *,
    name: str = LOCK,
    sharer: str | None = None,
    patience: float | None = None,
) -> Iterator[None]:
    """Keep other processes out of a folder; the lock ends with the process, however it ends.

    Who holds it may remove lock and folder: a process that waits at the door sees that, and begins again. A lock that
    another machine holds is waited for, for a while: that machine may be lost.

    Args:
        folder: Folder to work in; made if it is not there.
        kind: What the folder is, for the message.
        otherwise: What to do instead of waiting, likewise.
        reporter: Warned where the file system cannot lock.
        name: Name of the lock; those of different names do not exclude each other.
        sharer: What others that are kept out call this process, which lets in those that share the folder too.
        patience: How long to wait for another process [s]; by default not at all for one of this machine, and for
            one of another machine, which may be lost, as long as file servers keep locks.

    Raises:
        BusyError: Another process works in the folder.
        StoreError: Nothing can be written there.
    """
    how = fcntl.LOCK_EX if sharer is None else fcntl.LOCK_SH
    with _take(folder / name, how, kind, otherwise, reporter, patience) as lock:
        try:
            lock.truncate(0)
            lock.write(f"{sharer or f'process {os.getpid()} on {socket.gethostname()}'}\n")
            lock.flush()
        except OSError as error:
            raise _unwritable(folder, kind, error) from error
        yield


def is_held(folder: Path) -> bool:
    """Whether somebody works in a run folder; only who holds the folder that it is a part of may ask."""
    try:
        with locked(folder, "run folder", "ask later", SilentReporter(), patience=0.0):
            return False
    except BusyError:
        return True


def _take(path: Path, how: int, kind: str, otherwise: str, reporter: Reporter, patience: float | None) -> TextIO:
    """The locked file that is at the lock's path."""
    folder = path.parent
    for _ in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue  # the folder went away in between
        except OSError as error:
            raise _unwritable(folder, kind, error) from error
        try:
            _lock(lock, how, folder, kind, otherwise, reporter, patience)
            if _is_at(lock, path):
                return lock
        except BaseException:
            lock.close()
            raise
        lock.close()
    msg = f"{folder}: the lock in this {kind} does not stay; {otherwise}"
    raise StoreError(msg)


def _lock(
    lock: TextIO, how: int, folder: Path, kind: str, otherwise: str, reporter: Reporter, patience: float | None
) -> None:
    latest: float | None = None
    while True:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.readline().strip() or "another process"
            here = holder.endswith(f" on {socket.gethostname()}") or " on " not in holder
            wait = patience if patience is not None else 0.0 if here else _PATIENCE
            if latest is None:
                latest = time.monotonic() + wait
                if wait > 0:
                    until = f"{wait:.0f} s for it to end" if math.isfinite(wait) else "for it to end"
                    reporter.message(f"{folder}: {holder} works in this {kind}; waiting {until}")
            if time.monotonic() >= latest:
                msg = f"{folder}: {holder} works in this {kind}; wait for it to end or {otherwise}"
                raise BusyError(msg) from None
            time.sleep(_PAUSE)
        except OSError as error:
            reporter.warning(f"{folder}: the file system cannot lock ({error}); run one command on it at a time")
            return
        else:
            return


def _is_at(lock: TextIO, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _unwritable(folder: Path, kind: str, error: OSError) -> StoreError:
    return StoreError(f"{folder}: the {kind} cannot be written: {error.strerror or error}")
