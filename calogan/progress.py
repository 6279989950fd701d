"""What a stage says while it works: a bar on a terminal, plain lines in a batch log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = [
    "PlainReporter",
    "Reporter",
    "SilentReporter",
    "Task",
    "TerminalReporter",
    "WarningReporter",
    "make_reporter",
]


class Task(Protocol):
    """A piece of work that is counted."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count work that is done; `note` is the latest figure worth showing."""


class Reporter(Protocol):
    """Where messages and progress go."""

    def message(self, text: str) -> None:
        """Say one line."""

    def warning(self, text: str) -> None:
        """Say one line that a user must not miss."""

    @contextmanager
    def task(self, description: str, total: int, unit: str, completed: int = 0) -> Iterator[Task]:
        """Count work until the context ends."""


class SilentReporter:
    """Says nothing (library use)."""

    def message(self, text: str) -> None:
        """Drop the line."""

    def warning(self, text: str) -> None:
        """Drop the line."""

    @contextmanager
    def task(self, description: str, total: int, unit: str, completed: int = 0) -> Iterator[Task]:
        """Count nothing."""
        yield _SilentTask()


class WarningReporter(SilentReporter):
    """Prints warnings on standard error and nothing else."""

    def warning(self, text: str) -> None:
        """Print the line, marked."""
        print(f"warning: {text}", file=sys.stderr, flush=True)  # noqa: T201


class _SilentTask:
    def advance(self, count: int = 1, note: str = "") -> None:
        pass


class PlainReporter:
    """One line now and then on standard error, for batch logs."""

    def __init__(self, interval: float = 30.0) -> None:
        self._interval = interval

    def message(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def warning(self, text: str) -> None:
        """Print the line, marked."""
        self.message(f"warning: {text}")

    @contextmanager
    def task(self, description: str, total: int, unit: str, completed: int = 0) -> Iterator[Task]:
        """Print the rate and the remaining time at most every `interval` seconds."""
        task = _PlainTask(self, description, total, unit, completed, self._interval)
        yield task
        task.finish()


class _PlainTask:
    def __init__(
        self, reporter: PlainReporter, description: str, total: int, unit: str, completed: int, interval: float
    ) -> None:
        self._reporter, self._description, self._total, self._unit = reporter, description, total, unit
        self._first, self._done, self._interval = completed, completed, interval
        self._start = self._last = time.monotonic()
        self._note = ""

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        self._note = note or self._note
        now = time.monotonic()
        if now - self._last >= self._interval:
            self._last = now
            self._print(now)

    def finish(self) -> None:
        self._print(time.monotonic())

    def _print(self, now: float) -> None:
        rate = (self._done - self._first) / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate > 0 else float("inf")
        eta = f", {left:.0f} s left" if 0 < left < float("inf") else ""
        note = f", {self._note}" if self._note else ""
        self._reporter.message(
            f"{self._description}: {self._done}/{self._total} {self._unit}, {rate:.4g} {self._unit}/s{eta}{note}"
        )


class TerminalReporter:
    """A live bar on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    def message(self, text: str) -> None:
        """Print the line."""
        self._console.print(text, markup=False, highlight=False)

    def warning(self, text: str) -> None:
        """Print the line, marked and coloured."""
        self._console.print(f"warning: {text}", style="yellow", markup=False, highlight=False)

    @contextmanager
    def task(self, description: str, total: int, unit: str, completed: int = 0) -> Iterator[Task]:
        """Show a bar with rate and remaining time."""
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
        )
        with bar:
            task_id = bar.add_task(description, total=total, completed=completed, note="", rate="")
            yield _TerminalTask(bar, task_id, unit)


class _TerminalTask:
    def __init__(self, bar: Progress, task_id: TaskID, unit: str) -> None:
        self._bar, self._id, self._unit, self._done = bar, task_id, unit, 0
        self._start, self._note = time.monotonic(), ""

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        self._note = note or self._note
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self._bar.update(self._id, advance=count, note=self._note, rate=f"{rate:.4g} {self._unit}/s")


def make_reporter(*, quiet: bool = False) -> Reporter:
    """Reporter for where standard error goes: bar on a terminal, lines elsewhere; warnings alone if quiet."""
    if quiet:
        return WarningReporter()
    return TerminalReporter() if sys.stderr.isatty() else PlainReporter()
