"""Several processes of one training, here and on other nodes: torchrun's agent, with calogan's signals and exit codes.

The agent starts the processes of a node, and ends all of them once one has failed. What is added: signals are passed
on, so that the processes save their state and stop by themselves; a training that has stopped or was refused is not
started again; and the exit code is theirs.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import tempfile
import uuid
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from types import FrameType
from typing import Any

from torch.distributed import DistError
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.rendezvous import RendezvousError, RendezvousHandler, RendezvousParameters
from torch.distributed.elastic.rendezvous import registry as rendezvous
from torch.distributed.launcher.api import LaunchConfig
from torch.distributed.run import config_from_args, get_args_parser

from calogan.errors import ConfigError, TrainingError
from calogan.training.signals import STOPPING

__all__ = ["Ending", "launch", "parse_options"]

_DONE, _FAILED, _REFUSED, _STOPPED = 0, 1, 2, 75


@dataclass(frozen=True)
class Ending:
    """How the processes of this node ended.

    Attributes:
        code: 0 done, 75 stopped with the state saved, 2 refused, 128 + n if signal n ended a process, else 1.
        text: What to say of it, where no process has said it.
    """

    code: int
    text: str = ""


def parse_options(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Options of torchrun, and the command of calogan after them.

    Raises:
        ConfigError: They are not torchrun's, or the command is not ``train``.
    """
    words = list(arguments)
    if "--" in words:
        words.remove("--")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = get_args_parser().parse_args(words)
    except SystemExit as end:
        reason = said.getvalue().strip().rpartition("error: ")[2]
        msg = f"calogan launch: {reason}; for example: calogan launch --nproc-per-node 2 -- train my.yaml"
        raise ConfigError(msg) from end
    if options.module or options.no_python or options.run_path:
        msg = "calogan launch starts calogan itself: leave out --module, --no-python and --run-path"
        raise ConfigError(msg)
    if options.training_script != "train":
        msg = (
            f"calogan launch starts calogan train, not {options.training_script!r}: all else is one process, "
            "run it without launch"
        )
        raise ConfigError(msg)
    return options, list(options.training_script_args)


def launch(options: Namespace, arguments: Sequence[str]) -> Ending:
    """Train on several processes of this node, and wait for them.

    Args:
        options: As torchrun's parser gives them.
        arguments: Of ``calogan train``.

    Raises:
        ConfigError: The options do not go together.
        TrainingError: The nodes do not find each other.
    """
    # The agent's own store keeps the addresses of lost processes over a restart (pytorch/pytorch#135712).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    with _quiet_torch(), tempfile.TemporaryDirectory() as folder, _kept_handlers():
        options.log_dir = options.log_dir or folder
        config = _launch_config(options)
        meeting = rendezvous.get_rendezvous_handler(_meeting_point(config))
        agent = _Agent(_worker_spec(config, meeting, arguments), config.logs_specs)  # type: ignore[arg-type]
        agent.pass_signals_on()
        try:
            result = agent.run()
        except (RendezvousError, DistError) as error:
            msg = f"the nodes do not meet at {config.rdzv_endpoint}: {' '.join(str(error).split())[:200]}"
            raise TrainingError(msg) from error
        except SignalException as error:
            return Ending(128 + error.sigval, f"ended by {error.sigval.name}, as all processes")
        finally:
            meeting.shutdown()  # other nodes are not to wait for this one
    # none, where more nodes came than were wanted
    return Ending(_DONE) if result is None else _ending(result, agent.stopped_by)


class _Agent(LocalElasticAgent):
    """torchrun's agent, that passes signals on and does not start again what has stopped or was refused."""

    stopped_by: signal.Signals | None = None
    _pids: Sequence[int] = ()

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        processes: dict[int, Any] = super()._start_workers(worker_group)
        self._pids = list(processes.values())
        self.pass_signals_on()  # again: the start of processes has put handlers of its own in their place
        if self.stopped_by is not None:  # while they were being started
            self._pass_on(self.stopped_by, None)
        return processes

    def pass_signals_on(self) -> None:
        """From now on, what asks this process to stop asks those that it starts, or has started."""
        for number in STOPPING:
            signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.stopped_by = signal.Signals(number)
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result: RunResult = super()._monitor_workers(worker_group)
        codes = {failure.exitcode for failure in result.failures.values()}
        if self.stopped_by is not None or codes & {_STOPPED, _REFUSED}:
            self._remaining_restarts = 0
        return result


def _launch_config(options: Namespace) -> LaunchConfig:
    alone = options.nnodes in ("1", "1:1") and options.rdzv_backend == "static"
    if options.standalone or (alone and not options.rdzv_endpoint and options.master_port is None):
        options.rdzv_backend, options.rdzv_endpoint, options.rdzv_id = "c10d", "localhost:0", str(uuid.uuid4())
        options.local_addr = options.local_addr or "localhost"
    options.master_port = 29500 if options.master_port is None else options.master_port
    try:
        return config_from_args(options)[0]
    except (ValueError, RuntimeError, AssertionError) as error:
        msg = f"calogan launch: {error}"
        raise ConfigError(msg) from error


def _meeting_point(config: LaunchConfig) -> RendezvousParameters:
    return RendezvousParameters(
        backend=config.rdzv_backend,
        endpoint=config.rdzv_endpoint,
        run_id=config.run_id,
        min_nodes=config.min_nodes,
        max_nodes=config.max_nodes,
        local_addr=config.local_addr,
        **config.rdzv_configs,
    )


def _worker_spec(config: LaunchConfig, meeting: RendezvousHandler, arguments: Sequence[str]) -> WorkerSpec:
    same = {field.name for field in fields(WorkerSpec)} & {field.name for field in fields(LaunchConfig)}
    address, _, port = config.rdzv_endpoint.rpartition(":") if config.rdzv_backend == "static" else ("", "", "")
    return WorkerSpec(
        **{name: getattr(config, name) for name in same},
        local_world_size=config.nproc_per_node,
        entrypoint=sys.executable,
        args=("-m", "calogan", "train", *arguments),
        rdzv_handler=meeting,
        master_addr=address or None,
        master_port=int(port) if port else None,
    )


def _ending(result: RunResult, stopped_by: signal.Signals | None) -> Ending:
    """That of the process that ended first: the others are then ended by the agent, or have lost touch."""
    if not result.is_failed():
        return Ending(_DONE)
    start = min(failure.timestamp for failure in result.failures.values())
    first = {rank: failure for rank, failure in result.failures.items() if failure.timestamp <= start + 1}
    codes = {failure.exitcode for failure in first.values()}
    if stopped_by is not None and codes & {_STOPPED, -stopped_by}:
        return Ending(_STOPPED)  # a process that a signal ends before it can handle it has not begun
    killed = {rank: failure for rank, failure in first.items() if failure.exitcode < 0}
    by_others = {rank: failure for rank, failure in killed.items() if failure.exitcode != -signal.SIGTERM}
    if killed and (by_others or len(killed) == len(first)):
        rank, failure = min((by_others or killed).items())
        what = f"process {rank} (pid {failure.pid}) was killed by {signal.Signals(-failure.exitcode).name}"
        return Ending(128 - failure.exitcode, _told(what))
    if known := codes & {_STOPPED, _REFUSED}:
        return Ending(max(known))
    # several where one has failed and others have lost touch with it at once; the agent has ended the others
    failed = sorted(rank for rank, failure in first.items() if failure.exitcode > 0)
    who = f"process {failed[0]}" if len(failed) == 1 else f"one of the processes {', '.join(map(str, failed))}"
    return Ending(_FAILED, _told(f"{who} failed with exit code {first[failed[0]].exitcode}"))


def _told(what: str) -> str:
    return f"error: {what}; the others were stopped; run the same command to go on from the last checkpoint"


@contextmanager
def _quiet_torch() -> Iterator[None]:
    """Leave out torchrun's own account of how processes ended, unless LOGLEVEL asks for it."""
    if "LOGLEVEL" in os.environ:
        yield
        return
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _kept_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGHUP, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
