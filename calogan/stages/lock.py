"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calogan.errors import StoreError
from calogan.progress import Reporter

__all__ = ["LOCK", "locked"]

LOCK = ".lock"


@contextmanager
def locked(folder: Path, kind: str, otherwise: str, reporter: Reporter) -> Iterator[None]:
    """Keep other processes out of a folder; the lock ends with the process, however it ends.

    Args:
        folder: Folder to work in.
        kind: What the folder is, for the message.
        otherwise: What to do instead of waiting, likewise.
        reporter: Warned where the file system cannot lock.

    Raises:
        StoreError: Another process works in the folder.
    """
    with (folder / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            msg = f"{folder}: {holder} works in this {kind}; wait for it to end or {otherwise}"
            raise StoreError(msg) from None
        except OSError as error:
            reporter.warning(f"{folder}: the file system cannot lock ({error}); run one command on it at a time")
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield
