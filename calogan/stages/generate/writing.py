"""What is said of a file that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calogan.errors import StoreError

__all__ = ["GOES_ON", "writing"]

GOES_ON = "; the same command goes on from the finished parts"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell of a file that cannot be written in one line.

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}{GOES_ON}"
        raise StoreError(msg) from error
