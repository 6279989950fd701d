"""Memory that a training has taken."""

from __future__ import annotations

import resource

import torch

__all__ = ["peak_memory"]


def peak_memory(device: torch.device) -> dict[str, float]:
    """The most memory taken so far [MB], by name: of the process and, on a GPU, of torch there."""
    peak = {"memory/process_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}
    if device.type == "cuda":
        peak["memory/gpu_peak_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
    return peak
