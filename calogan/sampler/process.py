"""Things that have threads, and so belong to one process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["OncePerProcess"]

T = TypeVar("T")


class OncePerProcess(Generic[T]):
    """Made when it is first asked for, and anew in a process that was forked: threads do not survive that.

    What was inherited is kept, though it is of no use: to free it would be to wait for ever for its threads.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[tuple[int, T]] = []

    def get(self) -> T:
        """That of this process."""
        if not self._made or self._made[-1][0] != os.getpid():
            self._made.append((os.getpid(), self._make()))
        return self._made[-1][1]
