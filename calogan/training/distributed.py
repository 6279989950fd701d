"""Processes that train together: who they are, how they add up gradients, and how they agree.

Networks stay as they are. Wrapped in DistributedDataParallel, the second backward pass of the gradient penalty raises;
summed gradients of each network are exact, and one collective a step.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from calogan.errors import CaloganError, ProcessLostError, TrainingError

__all__ = ["Exchange", "Group", "process_group"]

T = TypeVar("T")
PATIENCE, PATIENCE_OF_GPUS = timedelta(minutes=30), timedelta(minutes=5)
"""How long processes wait for one another: for the first one's physics score, export and bundle, above all; and how
long for gradients on GPUs, which come soon or never.
"""
_PR_SET_PDEATHSIG = 1
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Group:
    """A process among those that train together; by default it is alone.

    Attributes:
        rank: Number among all processes; process 0 alone writes, logs and scores.
        size: How many there are.
        local_rank: Number among those of this node.
        local_size: How many are on this node.
        watched: Whether one agent has started all of them, and tells which one was lost.
        gpus: The same processes, for tensors on GPUs.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    watched: bool = False
    gpus: dist.ProcessGroup | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Group:
        """The group that torchrun describes; a group of one where nothing does.

        Raises:
            TrainingError: The description is not whole.
        """
        given = {name: environment[name] for name in _NAMES if environment.get(name)}
        if not {"RANK", "WORLD_SIZE"} & given.keys() or given.get("WORLD_SIZE") == "1":
            return cls()
        if missing := [name for name in _NAMES if name not in given]:
            msg = (
                f"the environment has {' and '.join(given)}, but not {', '.join(missing)}: start several processes "
                "with calogan launch or torchrun, or unset these for one"
            )
            raise TrainingError(msg)
        try:
            rank, size, local_rank, local_size = (int(given[name]) for name in _NAMES[:4])
        except ValueError as error:
            msg = f"{', '.join(_NAMES[:4])} in the environment must be whole numbers: {error}"
            raise TrainingError(msg) from error
        return cls(rank, size, local_rank, local_size, watched=environment.get("GROUP_WORLD_SIZE") == "1")

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes, logs and scores."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """Device of this process; GPUs are given to a node's processes in order.

        Args:
            name: ``training.device``: auto, cpu, cuda, cuda:1, ...

        Raises:
            TrainingError: It is not there, or there are fewer GPUs than processes.
        """
        found = torch.cuda.is_available()
        if self.size == 1 or name == "cpu" or (name == "auto" and not found):
            return _present("cuda" if name == "auto" and found else name.replace("auto", "cpu"), name)
        if name not in ("auto", "cuda"):
            msg = f"training.device is {name!r} for {self.size} processes; take cuda, and each gets its own, or cpu"
            raise TrainingError(msg)
        gpus = torch.cuda.device_count()
        if 0 < gpus < self.local_size:
            msg = (
                f"{self.local_size} processes on this node, but {gpus} GPU{'s' * (gpus != 1)}: start as many processes "
                "as there are GPUs (--nproc-per-node gpu), or set training.device=cpu"
            )
            raise TrainingError(msg)
        device = _present(f"cuda:{self.local_rank}", name)  # no memory is taken of the GPUs of others
        torch.cuda.set_device(device)
        return device

    def add_up(self, numbers: Tensor) -> None:
        """Replace numbers by their sums over all processes.

        Raises:
            ProcessLostError: Another process has gone.
        """
        if self.size > 1:
            with self._in_touch():
                dist.all_reduce(numbers, group=self.gpus if numbers.is_cuda else None)

    def together(self, work: Callable[[], T]) -> T:
        """Do what every process does by itself; if one cannot, none goes on.

        Args:
            work: Called on every process.

        Returns:
            Its result on this process.

        Raises:
            CaloganError: What the first process that failed was refused for.
        """
        if self.size == 1:
            return work()
        done: list[T] = []
        failure: Exception | None = None
        try:
            done.append(work())
        except Exception as error:  # noqa: BLE001 - raised below, once the others know
            failure = error
        self._raise_first(self._gather(_told(failure)), failure)
        return done[0]

    def lead(self, work: Callable[[], T]) -> T:
        """Do what process 0 does for all, while they wait.

        Args:
            work: Called on process 0; what it returns must be picklable and small.

        Returns:
            Its result, on every process.

        Raises:
            CaloganError: It failed.
        """
        if self.size == 1:
            return work()
        result: T = self._gather(self.together(work) if self.leads else self.together(lambda: None))[0]
        return result

    def spread(self, content: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """Send plain values and tensors from process 0 to the others.

        Args:
            content: Called on process 0.

        Returns:
            What the others receive, on the CPU; None on process 0.
        """
        if self.size == 1:
            return None
        buffer = io.BytesIO()
        if self.leads:
            torch.save(content(), buffer)
        parcel = [buffer.getvalue()]
        with self._in_touch():
            dist.broadcast_object_list(parcel, src=0)
        if self.leads:
            return None
        received: dict[str, Any] = torch.load(io.BytesIO(parcel[0]), map_location="cpu", weights_only=True)
        return received

    @contextmanager
    def led(self, context: AbstractContextManager[T], otherwise: T) -> Iterator[T]:
        """Hold a context on process 0; the others begin after it is entered, and end after it is left.

        Args:
            context: Entered on process 0 alone.
            otherwise: What the other processes have instead.
        """
        agreed = True
        try:
            with ExitStack() as stack:
                yield self.together(lambda: stack.enter_context(context) if self.leads else otherwise)
        except BaseException as error:
            agreed = isinstance(error, CaloganError) and error.agreed
            raise
        finally:
            if agreed:
                self.together(lambda: None)

    def agreed(self, error: CaloganError) -> CaloganError:
        """Mark an error that every process raises at the same place: process 0 is to say it."""
        error.agreed, error.said = True, not self.leads
        return error

    def _gather(self, item: object) -> list[Any]:
        """What each process has."""
        items: list[Any] = [None] * self.size
        with self._in_touch():
            dist.all_gather_object(items, item)
        return items

    def _raise_first(self, errors: list[CaloganError | str | None], own: Exception | None) -> None:
        rank = next((rank for rank, error in enumerate(errors) if error is not None), None)
        if rank is None:
            return
        if own is not None and not isinstance(own, CaloganError):
            raise own
        error = errors[rank]
        if isinstance(error, CaloganError):
            raise self.agreed(error)
        lost = ProcessLostError(f"process {rank} of {self.size} failed: {' '.join(str(error).split())}")
        lost.said = True  # by the traceback of that process
        raise lost

    @contextmanager
    def _in_touch(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            why = " ".join(str(error).split())[:200]
            msg = (
                f"process {self.rank} of {self.size} lost touch with the others ({why}); "
                "run the same command to go on from the last checkpoint"
            )
            lost = ProcessLostError(msg)
            lost.said = self.watched or self.local_rank > 0
            raise lost from error


class Exchange:
    """Adds up gradients over all processes, and with them passes on what each of them asks for.

    Asking costs no message of its own, and nobody waits for the answer: it is looked at a step later, when a GPU has
    had time to compute it. All processes see the same answer at the same step.

    Args:
        group: The processes.
        device: Of the gradients.
        ask: What this process asks for now, always as many.
    """

    def __init__(self, group: Group, device: torch.device, ask: Callable[[], list[bool]]) -> None:
        self._group, self._device, self._ask = group, device, ask
        self._latest: tuple[Tensor, torch.cuda.Event | None] | None = None
        self._before: tuple[Tensor, torch.cuda.Event | None] | None = None

    def add_up(self, weights: Iterable[Tensor]) -> None:
        """Replace the gradients of a network's weights by their sums over all processes."""
        if self._group.size == 1:
            return
        held = [(weight, weight.grad) for weight in weights if weight.grad is not None]
        asked = torch.tensor(self._ask(), dtype=held[0][1].dtype).to(self._device, non_blocking=True)
        numbers = torch.cat([*(gradient.flatten() for _, gradient in held), asked])
        self._group.add_up(numbers)
        *sums, answer = torch.split(numbers, [*(gradient.numel() for _, gradient in held), len(asked)])
        for (weight, gradient), total in zip(held, sums, strict=True):
            weight.grad = total.view_as(gradient)
        told = answer.to("cpu", non_blocking=True, copy=True)
        self._latest = told, torch.cuda.current_stream().record_event() if told.is_pinned() else None

    def answer(self) -> list[bool]:
        """What any process asks for; with several, what they had asked for by the step before. Call it once a step."""
        own = self._ask()
        if self._group.size == 1:
            return own
        known, self._before = self._before, self._latest
        if known is None:
            return [False] * len(own)
        numbers, event = known
        if event is not None:
            event.synchronize()
        return [number > 0 for number in numbers.tolist()]


@contextmanager
def process_group() -> Iterator[Group]:
    """The processes that torchrun started, joined while the context lasts; this one alone where it started none.

    Raises:
        TrainingError: The environment describes the group by halves.
        ProcessLostError: The others do not come.
    """
    group = Group.from_environment(os.environ)
    if group.size == 1:
        yield group
        return
    if not dist.is_available():
        msg = "this PyTorch trains in one process only: it was built without torch.distributed"
        raise TrainingError(msg)
    _end_with_launcher(signal.SIGKILL)  # nothing else ends a process that waits for the others
    try:
        # What a GPU build of PyTorch takes by default is NCCL alone, also where there is no GPU.
        dist.init_process_group("gloo", timeout=PATIENCE)
        if torch.cuda.is_available():
            group = replace(group, gpus=dist.new_group(backend="nccl", timeout=PATIENCE_OF_GPUS))
    except (RuntimeError, ValueError) as error:
        msg = f"process {group.rank} of {group.size} does not find the others: {' '.join(str(error).split())[:200]}"
        raise ProcessLostError(msg) from error
    _end_with_launcher(signal.SIGTERM)
    try:
        yield group
    except CaloganError as error:
        if error.agreed:
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def _end_with_launcher(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when the one that started it is killed; of Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _told(failure: Exception | None) -> CaloganError | str | None:
    """What the other processes are told of a failure: all may not be able to read an exception of another library."""
    return failure if failure is None or isinstance(failure, CaloganError) else f"{type(failure).__name__}: {failure}"


def _present(device: str, name: str) -> torch.device:
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError) as error:
        msg = f"training.device is {name!r}, which is not there: {str(error).splitlines()[0]}; use auto or cpu"
        raise TrainingError(msg) from error
    return found
