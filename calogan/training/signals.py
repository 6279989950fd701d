"""Signals that ask a training to stop: it saves its state first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequest", "stop_on_signals"]

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Whether a stop was asked for, and by what."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Remember the signal."""
        self.name = signal.Signals(number).name


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn SIGTERM, SIGINT and SIGUSR1 into a request while the context lasts (main thread only).

    A request that came too late for the work in the context is left to whoever handled the signals before.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request) for number in STOPPING}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if request.name is not None:
        signal.raise_signal(signal.Signals[request.name])
