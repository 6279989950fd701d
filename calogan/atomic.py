"""Files that appear as a whole or not at all, also when the process is killed or the machine lost."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["sync_folder", "write_atomically", "write_durably"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that appears as a whole, or not at all.

    Raises:
        OSError: It cannot be written; what was at the path is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    write_durably(temporary, content)
    temporary.replace(path)
    sync_folder(path.parent)


def write_durably(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file and wait until the disk has it; nothing is left of one that cannot be written.

    Raises:
        OSError: It cannot be written.
    """
    try:
        with path.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):  # the first error says more
            path.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows which files a folder has, where the file system can tell."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse; they need not be asked
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
