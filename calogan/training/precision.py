"""How finely a training computes: float32, TF32 or bfloat16 where it costs nothing in physics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Precision", "PrecisionName"]

PrecisionName = Literal["float32", "tf32", "bf16"]


class Precision:
    """Precision of the matrix products of a training.

    With tf32 a GPU rounds the factors of all products. With bf16 the large networks' forward passes are in bfloat16,
    and what is computed from energies, likelihoods and the gradient penalty is in float32.

    Args:
        name: Of the precision.
        device: Of the training.
    """

    def __init__(self, name: PrecisionName, device: torch.device) -> None:
        self._name, self._device, self._reduced = name, device, False

    @contextmanager
    def of(self, networks: Iterable[nn.Module]) -> Iterator[None]:
        """Let networks compute so, called with one tensor, while the context lasts."""
        before, changed = torch.get_float32_matmul_precision(), list(networks) if self._name == "bf16" else []
        if self._name == "tf32" and self._device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        for network in changed:
            network.forward = self._reduce(network.forward)
        self._reduced = True
        try:
            yield
        finally:
            self._reduced = False
            for network in changed:
                del network.forward
            torch.set_float32_matmul_precision(before)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Keep float32, or TF32, for what is called in this context."""
        before, self._reduced = self._reduced, False
        try:
            yield
        finally:
            self._reduced = before

    def _reduce(self, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def call(inputs: Tensor) -> Tensor:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._reduced):
                outputs = forward(inputs)
            return outputs.to(inputs.dtype)

        return call
