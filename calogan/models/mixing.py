"""Noise of neighbouring cells that goes together."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.runs import LayerRun, layer_runs

__all__ = ["STEPS", "NoiseMixing"]

STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns from a cell to a neighbour; each pair of neighbours once. Sectors close to a circle."""
_FIRST_KERNEL = ((0.2, 0.5, 0.2), (0.5, 0.0, 0.5), (0.2, 0.5, 0.2))
_FIRST_AMPLITUDE = 0.1


class NoiseMixing(nn.Module):
    r"""Standard normal noise a cell -> standard normal noise that is correlated between neighbours.

    .. math:: \epsilon_i = \frac{n_i + a_i \sum_e k_e n_{i+e}}{\sqrt{1 + a_i^2 \sum_e k_e^2}}

    with a kernel k over the eight neighbours in the same layer, one a layer, and an amplitude :math:`a_i` that each
    cell has by itself and that depends on the incident particle: a moving average. A particle that crosses the border
    of two cells lights both, and that happens as often near the track, where all cells are lit anyway, as far from it.

    Args:
        geometry: Cells of a shower.
        n_features: Features of the incident particle.
    """

    def __init__(self, geometry: Geometry, n_features: int) -> None:
        super().__init__()
        self.runs = layer_runs(geometry)
        self.kernel = nn.Parameter(torch.tensor(_FIRST_KERNEL).repeat(geometry.n_layers, 1, 1, 1))
        self.amplitude = nn.Linear(n_features, geometry.n_cells)
        nn.init.zeros_(self.amplitude.weight)
        nn.init.constant_(self.amplitude.bias, _FIRST_AMPLITUDE)
        centre = torch.ones(3, 3)
        centre[1, 1] = 0.0
        self.register_buffer("around", centre, persistent=False)
        self.register_buffer("beside", torch.cat([_beside(run) for run in self.runs]), persistent=False)
        for number, run in enumerate(self.runs):
            shift = torch.stack([torch.diag(torch.ones(run.columns - abs(step)), -step) for step in (-1, 0, 1)])
            self.register_buffer(f"shift_{number}", shift, persistent=False)
        for number, step in enumerate(STEPS):
            pairs = np.concatenate([_pairs(run, step) for run in self.runs], axis=1)
            self.register_buffer(f"pairs_{number}", torch.from_numpy(pairs), persistent=False)

    around: Tensor
    beside: Tensor

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """Correlated noise.

        Args:
            features: Of the incident particles, shape ``(showers, features)``.
            noise: Independent standard normals, shape ``(showers, cells)``.

        Returns:
            Standard normals, each correlated with its neighbours, shape ``(showers, cells)``.
        """
        amplitude = self.amplitude(features)
        around = torch.cat([self._convolve(noise, number) for number in range(len(self.runs))], dim=1)
        mixed: Tensor = (noise + amplitude * around) / (1.0 + amplitude * amplitude * self._power()).sqrt()
        return mixed

    def correlation(self, features: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Pairs of neighbours and the correlation of their noise.

        Args:
            features: Of the incident particles, shape ``(showers, features)``.
            step: Number of the step in `STEPS`.

        Returns:
            Numbers of the cells, shape ``(2, pairs)``, and correlations, shape ``(showers, pairs)``.
        """
        down, right = STEPS[step]
        pairs: Tensor = getattr(self, f"pairs_{step}")
        first, second, layer = pairs
        kernel = (self.kernel * self.around).squeeze(1)
        wide = nn.functional.pad(kernel, (1, 1, 1, 1))
        products = kernel * wide[:, 1 - down : 4 - down, 1 - right : 4 - right]
        overlap = (products.flatten(1)[layer] * self.beside[first]).sum(dim=1)
        ahead, behind = kernel[layer, 1 + down, 1 + right], kernel[layer, 1 - down, 1 - right]
        amplitude = self.amplitude(features)
        scale = (1.0 + amplitude.square() * self._power()).rsqrt()
        one, other = amplitude[:, first], amplitude[:, second]
        covariance = one * ahead + other * behind + one * other * overlap
        return pairs[:2], covariance * scale[:, first] * scale[:, second]

    def _power(self) -> Tensor:
        """Sum of the squares of the kernel over the neighbours that a cell has, shape ``(1, cells)``."""
        ones = self.kernel.new_ones(1, len(self.beside))
        return torch.cat([self._convolve(ones, number, square=True) for number in range(len(self.runs))], dim=1)

    def _convolve(self, values: Tensor, number: int, *, square: bool = False) -> Tensor:
        """Sum over neighbours; as a product with a band matrix, which is several times faster than a convolution."""
        run = self.runs[number]
        kernel = self.kernel[run.layers, 0] * self.around
        shift: Tensor = getattr(self, f"shift_{number}")
        bands = torch.einsum("lrc,cij->rlij", kernel.square() if square else kernel, shift)
        layers = run.of(values).transpose(0, 1)
        before, after = (
            (layers[:, :, -1:], layers[:, :, :1]) if run.wraps else 2 * (torch.zeros_like(layers[:, :, :1]),)
        )
        wide = torch.cat([before, layers, after], dim=2)
        above, level, below = (wide[:, :, start : start + run.rows].flatten(1, 2) for start in range(3))
        total = torch.baddbmm(torch.baddbmm(level @ bands[1], above, bands[0]), below, bands[2])
        return total.reshape(run.count, values.shape[0], -1).transpose(0, 1).flatten(1)


def _beside(run: LayerRun) -> Tensor:
    """1 where a cell has a neighbour in the 3 x 3 cells around it, itself being one, shape ``(cells, 9)``."""
    inside = nn.functional.pad(torch.ones(run.rows, run.columns), (1, 1))
    edge = inside[:1] if run.wraps else torch.zeros_like(inside[:1])
    around = nn.functional.unfold(torch.cat([edge, inside, edge])[None, None], 3)
    return around.squeeze(0).T.repeat(run.count, 1)


def _pairs(run: LayerRun, step: tuple[int, int]) -> NDArray[np.int64]:
    """First cell, second cell and layer of the pairs of neighbours, shape ``(3, pairs)``."""
    down, right = step
    cells = run.start + np.arange(run.count * run.rows * run.columns).reshape(run.count, run.rows, run.columns)
    last = run.rows if run.wraps else run.rows - down
    first = cells[:, :last, max(0, -right) : run.columns - max(0, right)]
    second = np.roll(cells, (-down, -right), axis=(1, 2))[:, :last, max(0, -right) : run.columns - max(0, right)]
    layer = np.arange(run.count).reshape(-1, 1, 1) + run.first
    return np.stack([part.ravel() for part in np.broadcast_arrays(first, second, layer)])
