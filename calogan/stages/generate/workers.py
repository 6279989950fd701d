"""Processes that make the parts of a job, each one part after the other."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from calogan.errors import CaloganError, WorkerError
from calogan.stages.generate.folder import WorkFolder
from calogan.stages.generate.job import Job, Part
from calogan.stages.generate.making import Advance, Tally, make_part

__all__ = ["make_parts"]

Finished = Callable[[Part, Tally], None]


def make_parts(
    job: Job, parts: Sequence[Part], folder: WorkFolder, workers: int, advance: Advance, finished: Finished
) -> None:
    """Make parts in this process, or in several others, and write down each that is whole.

    Args:
        job: What is to be made.
        parts: Parts to make.
        folder: Where they go.
        workers: Number of processes; 1 stands for this one.
        advance: Called with the entries of each chunk, and the particles that it leaves out.
        finished: Called with each part that is whole.

    Raises:
        WorkerError: A process died; the parts that are whole are kept.
        CaloganError: A part cannot be made; the message says why.
    """
    for part in parts:
        folder.start_part(part)
    if min(workers, len(parts)) > 1:
        _Workers(job, folder, advance, finished).run(parts, workers)
        return
    for part in parts:
        finished(part, make_part(job, part, folder.part(part), folder.outside_list(part), advance))


@dataclass
class _Worker:
    process: BaseProcess
    part: Part | None = None


class _Workers:
    """The processes of a job as their parent sees them."""

    def __init__(self, job: Job, folder: WorkFolder, advance: Advance, finished: Finished) -> None:
        self._job, self._folder, self._advance, self._finished = job, folder, advance, finished
        self._workers: dict[Connection, _Worker] = {}

    def run(self, parts: Sequence[Part], workers: int) -> None:
        waiting = deque(parts)
        try:
            for _ in range(min(workers, len(parts))):
                self._assign(self._start(), waiting)
            while any(worker.part for worker in self._workers.values()):
                for connection in wait([known for known, worker in self._workers.items() if worker.part]):
                    assert isinstance(connection, Connection)
                    self._receive(connection, waiting)
        finally:
            for worker in self._workers.values():
                worker.process.kill()  # parts appear whole or not at all
            for connection, worker in self._workers.items():
                worker.process.join()
                connection.close()

    def _start(self) -> Connection:
        # A forked process would share the threads and locks of this one.
        context = multiprocessing.get_context("spawn")
        connection, other = context.Pipe()
        process = context.Process(target=_work, args=(other, self._job), daemon=True)
        with _signals_blocked():
            process.start()
        other.close()
        self._workers[connection] = _Worker(process)
        return connection

    def _assign(self, connection: Connection, waiting: deque[Part]) -> None:
        worker = self._workers[connection]
        worker.part = waiting.popleft() if waiting else None
        if worker.part is not None:
            try:
                connection.send((worker.part, self._folder.part(worker.part), self._folder.outside_list(worker.part)))
            except OSError:
                raise _died(worker) from None

    def _receive(self, connection: Connection, waiting: deque[Part]) -> None:
        worker = self._workers[connection]
        try:
            message = connection.recv()
        except (EOFError, OSError):
            raise _died(worker) from None
        if isinstance(message, CaloganError):
            raise message
        if isinstance(message, Tally) and worker.part is not None:
            self._finished(worker.part, message)
            self._assign(connection, waiting)
        else:
            self._advance(*message)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let processes that are started meanwhile ignore what stops a job: their parent gets it, too, and ends them."""
    resource_tracker.ensure_running()  # which would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _died(worker: _Worker) -> WorkerError:
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = "; out of memory? Take fewer workers or a smaller batch" if code == -signal.SIGKILL else ""
    part = worker.part
    where = "" if part is None else f" in part {part.number} (entries {part.start} to {part.stop - 1})"
    return WorkerError(f"a worker {how}{where}; the same command goes on from the finished parts{hint}")


def _work(connection: Connection, job: Job) -> None:
    """Make one part after the other, as the parent asks for, until the parent is gone."""
    try:
        while True:
            part, path, listed = connection.recv()
            connection.send(make_part(job, part, path, listed, lambda *counts: connection.send(counts)))
    except CaloganError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone
