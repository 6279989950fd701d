"""Memory: whether the training showers fit into it, and what a training has taken."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from calogan.config import TrainingConfig

__all__ = ["Keeping", "free_memory", "keep_showers", "peak_memory"]

SHARE = 0.7
"""Of the free memory that the showers may take: networks and batches need some, too."""
SECTION = 2**29
"""Memory of a section of streamed showers [byte], of which there are two, and what it takes to read one."""
_SECTIONS = 4
_GB = 1e9
_OWN, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of a control group, version 2 and 1: its limit, what is used, and what of that is files' content, to be had back."""


@dataclass(frozen=True)
class Keeping:
    """How the training showers are kept.

    Attributes:
        section: Showers that are read at a time; None where all are in memory.
        reason: Why, in a few words.
    """

    section: int | None
    reason: str


def keep_showers(
    settings: TrainingConfig, n_showers: int, numbers: int, device: torch.device, *, sharers: int = 1
) -> Keeping:
    """Decide whether the showers are held on the device or streamed; the training is the same.

    Args:
        settings: Whether it is asked for, and the limit.
        n_showers: Training showers.
        numbers: 32-bit numbers that each of them takes.
        device: Where they are wanted.
        sharers: Processes of this training on this machine.
    """
    needed, limit = 4 * n_showers * numbers, settings.memory_gb
    room = free_memory(device, sharers) * SHARE if limit is None else limit * _GB
    allowed = f"{room / _GB:.3g} GB are " + ("free for them" if limit is None else "allowed by training.memory_gb")
    said = f"training.data is {settings.data}" if settings.data != "auto" else f"{allowed} on {device}"
    if settings.data == "memory" or (settings.data == "auto" and needed <= room):
        return Keeping(None, f"in memory: they take {needed / _GB:.3g} GB, {said}")
    section = SECTION if limit is None else min(SECTION, int(limit * _GB / _SECTIONS))
    reason = f"streamed from disk: in memory they take {needed / _GB:.3g} GB, {said}"
    return Keeping(max(1, section // (4 * numbers)), reason)


def free_memory(device: torch.device, sharers: int = 1) -> int:
    """Memory that a process may still take [byte]: of its GPU; else of the machine, and of the limits of its job.

    Args:
        device: Where it is wanted.
        sharers: Processes that share it on a CPU; each has its own GPU.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [room for folder, names in _groups() if (room := _room(folder, *names)) is not None]
    return max(0, min([int(psutil.virtual_memory().available), *limits])) // sharers


def peak_memory(device: torch.device) -> dict[str, float]:
    """The most memory taken so far [MB], by name: of the process and, on a GPU, of torch there."""
    peak = {"memory/process_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}
    if device.type == "cuda":
        peak["memory/gpu_peak_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
    return peak


def _groups() -> list[tuple[Path, tuple[str, str, str]]]:
    """Folders of this process' control groups and those above them, which a batch system sets limits in."""
    try:
        lines = _OWN.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, kind, path = line.split(":", 2)
        if kind in _FILES:
            own = Path(path.lstrip("/"))
            found += [(_GROUPS / kind / folder, _FILES[kind]) for folder in (own, *own.parents)]
    return found


def _room(folder: Path, limit: str, used: str, reclaimed: str) -> int | None:
    """What a control group may still take; None where it has no limit."""
    try:
        most, now = ((folder / name).read_text(encoding="utf-8") for name in (limit, used))
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        back = dict(line.split(maxsplit=1) for line in lines).get(reclaimed, "0")
        return int(most) - int(now) + int(back)
    except (OSError, ValueError):
        return None
