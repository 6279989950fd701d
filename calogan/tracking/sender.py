"""A thread that keeps MLflow up to date, so that no training ever waits for a server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from calogan.progress import Reporter
from calogan.redaction import redact
from calogan.tracking.mirror import Mirror
from calogan.tracking.record import RunRecord
from calogan.tracking.store import Failures, is_local, one_line, remedy

__all__ = ["Sender"]

INTERVAL = 5.0
"""Seconds between two looks at the record."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 120.0
"""Seconds until a store that failed is tried again: from the first, doubled each time up to the longest."""
PATIENCE, LOCAL_PATIENCE = 10.0, 120.0
"""Seconds without any answer after which the end of the work waits no longer, for servers and for files."""


class _Left(Exception):  # noqa: N818 - an end, not a fault
    """Nobody waits any longer for what is sent."""


class Sender:
    """Sends the record of a run folder, from its file, until it is closed.

    A store that fails is reported once, tried again, and reported once more when it is back.

    Args:
        folder: Run folder.
        uri: Store.
        connect: Makes MLflow's client.
        failures: What it raises when the store fails.
        reporter: Told about losses.
    """

    def __init__(
        self, folder: Path, uri: str, connect: Callable[[str], Any], failures: Failures, reporter: Reporter
    ) -> None:
        self._folder, self._uri, self._place = folder, uri, f"MLflow at {redact(uri)}"
        self._connect, self._failures, self._reporter = connect, failures, reporter
        self._mirror: Mirror | None = None
        self._lost = self._closing = self._complete = self._left = False
        self._wake = threading.Event()
        self._answered = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="MLflow sender", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send the rest, for as long as the store answers, and say so if something is left."""
        self._closing = True
        self._wake.set()
        begun = time.monotonic()
        patience = LOCAL_PATIENCE if is_local(self._uri) else PATIENCE
        while self._thread.is_alive() and time.monotonic() - max(begun, self._answered) < patience:
            self._thread.join(0.1)
        self._left = True
        if self._complete:
            return
        if self._lost:
            self._reporter.message(f"the record in MLflow is not complete; send the rest: {self._command}")
        else:
            self._reporter.warning(f"{self._place} did not take the whole record; send the rest: {self._command}")

    @property
    def _command(self) -> str:
        return f"calogan runs sync {self._folder}"

    def _work(self) -> None:
        with suppress(_Left):
            self._keep_up()

    def _keep_up(self) -> None:
        wait = FIRST_WAIT
        while True:
            closing = self._closing  # what is set before it is sent below
            sent = self._send()
            if closing:
                self._complete = sent
                return
            pause, wait = (INTERVAL, FIRST_WAIT) if sent else (wait, min(2 * wait, LONGEST_WAIT))
            self._wake.wait(pause)

    def _send(self) -> bool:
        """Whether the record is in MLflow as far as it goes."""
        try:
            if self._mirror is None:
                self._mirror = Mirror(self._connect(self._uri), self._failures, self._count)
            self._mirror.send(RunRecord.read(self._folder))
        except self._failures as error:
            if self._left:
                raise _Left from error
            self._mirror = None
            if not self._lost:
                what = "; ".join(filter(None, (remedy(error), "going on without it, trying again now and then")))
                self._reporter.warning(
                    f"{self._place} failed ({one_line(error)}); {what}; "
                    f"what is missing at the end is sent by {self._command}"
                )
            self._lost = True
            return False
        if self._lost:
            self._reporter.message(f"{self._place} is back and has all of the record so far")
        self._lost = False
        return True

    def _count(self) -> None:
        self._answered = time.monotonic()
        if self._left:
            raise _Left
