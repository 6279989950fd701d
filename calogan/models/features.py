"""Physics of a shower that gradients pass through, for the critic."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from calogan.geometry import Geometry, PolarLayer
from calogan.models.frame import LocalFrame
from calogan.models.mixing import STEPS
from calogan.models.runs import layer_runs

__all__ = ["ShowerFeatures"]

LIT = 0.1
"""The u at which a cell counts as lit by two thirds; a dark one does not count at all."""
LEVELS = (0.8, 1.6, 2.5, 3.5)
"""Further levels of u at which cells are counted."""
SHARPNESS = 5.0
"""Of the steps that count cells."""
RINGS = (0.75, 1.5, 2.5, 3.75, 5.25, 7.0, 9.25, 12.0)
"""Outer edges of rings about the track, in widths of a cell; one more ring beyond."""
NEAR = 9.5
"""How far from the track, in widths of a cell, neighbours are looked at."""
FIELDS = 3
"""Numbers of a cell whose products with its neighbours' are summed."""
HOTTEST = (1, 2, 4)
"""Numbers of hottest cells whose energy is summed."""
FARTHEST_PULL = 5.0
"""Features further from what is expected, in spreads, are drawn in to this: a rare shower shall not rule the critic."""
PREDICTORS = 5
"""Features whose products the expectation knows, too: momentum, slopes, offsets in the first layer, as far as told."""
LEAST_SPREAD, LEAST_FRACTION_SPREAD = 0.05, 1e-3
"""Of logarithms, centres [mm] and roots of counts, and of roots of energy fractions. What never differs in training
showers, such as the width in a layer of one lit cell, would otherwise have slopes beyond all bounds."""


class ShowerFeatures(nn.Module):
    """Numbers of a shower, as standardised residuals from what its particle makes expect.

    In each layer: log energy, centre, second moments. Over all layers: roots of the energy fractions of the hottest
    cells; in rings about the track the energy, lit cells, cells above some levels, isolated cells; and pairs of
    neighbours: both lit, both above a level, products of u. What cells drawn one by one get wrong are the pairs.

    Expectation and spread are functions of the particle's features, linear in the offsets in further layers and
    quadratic in the others, fitted to training showers; each particle type adds a function of its own.

    Args:
        geometry: Cells of a shower.
        frame: Local frame of the cells.
        faint: Energy above the threshold of a faint cell [GeV]: what layers with less have is not looked at closely,
            so that no slope grows beyond bounds where a layer goes dark.
    """

    rings: Tensor
    least_spread: Tensor
    resolution: Tensor
    location: Tensor
    log_spread: Tensor

    def __init__(self, geometry: Geometry, frame: LocalFrame, faint: float) -> None:
        super().__init__()
        self.n_layers, self.faint = geometry.n_layers, faint
        x, y, spread = frame.cell_x, frame.cell_y, frame.cell_spread.square() / 2
        powers = torch.stack([torch.ones_like(x), x, y, x * x + spread, y * y + spread, x * y])
        ring = torch.bucketize(frame.cell_distance, torch.tensor(RINGS))
        rings = nn.functional.one_hot(ring, len(RINGS) + 1).float()
        self.register_buffer("rings", rings, persistent=False)
        self.runs = layer_runs(geometry, partial(_seen_alike, frame, ring, geometry))
        self.near = [_near(frame, geometry, run.first) for run in self.runs]
        for number, (run, (rows, columns)) in enumerate(zip(self.runs, self.near, strict=True)):
            self.register_buffer(f"moments_{number}", run.of(powers).flatten(2).permute(1, 2, 0), persistent=False)
            near = run.of(rings.T)[:, 0, slice(*rows), slice(*columns)].permute(1, 2, 0)
            self.register_buffer(f"near_rings_{number}", near.flatten(0, 1), persistent=False)
            for step, partners in enumerate(_partners(near.shape[0], near.shape[1], wraps=run.wraps)):
                first = near.flatten(0, 1)[: len(partners)] * partners.unsqueeze(1)
                self.register_buffer(f"pair_rings_{number}_{step}", first, persistent=False)
                self.register_buffer(f"partners_{number}_{step}", partners, persistent=False)
        self.n_types = frame.n_types
        known = _powers(torch.zeros(1, frame.size), self.n_types).shape[1]
        least = torch.full((self.size,), LEAST_SPREAD)
        fractions = self.n_layers * 6 + torch.arange(len(HOTTEST) + len(RINGS) + 1)
        least[fractions] = LEAST_FRACTION_SPREAD
        self.register_buffer("least_spread", least, persistent=False)
        resolution = torch.tensor([layer.cell_width for layer in geometry.layers], dtype=torch.float32).square()
        self.register_buffer("resolution", resolution, persistent=False)
        self.register_buffer("location", torch.zeros(known, self.size))
        self.register_buffer("log_spread", torch.zeros(known, self.size))

    @property
    def size(self) -> int:
        """Number of features."""
        return self.n_layers * 6 + len(HOTTEST) + (len(RINGS) + 1) * (3 + len(LEVELS) + FIELDS * len(STEPS))

    @torch.no_grad()
    def fit_scale(self, u: Tensor, energy: Tensor, features: Tensor) -> None:
        """Fit expectation and spread to training showers.

        Args:
            u: Transformed cells, shape ``(showers, cells)``.
            energy: Their energies above the threshold [GeV], same shape.
            features: Of the particles, shape ``(showers, features)``.
        """
        raw, known = self._raw(u, energy), _powers(features, self.n_types)
        self.location.copy_(_regress(known, raw))
        residual = (raw - known @ self.location).square()
        floor = 0.05 * residual.mean(dim=0) + self.least_spread.square()
        self.log_spread.copy_(_regress(known, 0.5 * torch.log(residual + floor)))
        pull = residual / (2 * known @ self.log_spread).exp()
        self.log_spread[0] += 0.5 * torch.log(pull.mean(dim=0).clamp_min(1e-6))

    def forward(self, u: Tensor, energy: Tensor, features: Tensor) -> Tensor:
        """Features of showers.

        Args:
            u: Transformed cell energies, shape ``(showers, cells)``.
            energy: The same cells' energies above the threshold [GeV], shape ``(showers, cells)``.
            features: Of the particles, shape ``(showers, features)``.

        Returns:
            Numbers of about unit size, shape ``(showers, size)``.
        """
        known = _powers(features, self.n_types)
        spread = torch.maximum((known @ self.log_spread).exp(), self.least_spread)
        pull = (self._raw(u, energy) - known @ self.location) / spread
        return pull * (1.0 + (pull / FARTHEST_PULL).square()).rsqrt()

    def _raw(self, u: Tensor, energy: Tensor) -> Tensor:
        sums = torch.cat([self._moments(energy, number) for number in range(len(self.runs))], dim=1)
        layer = sums[:, :, 0] + self.faint
        x, y, xx, yy, xy = (sums[:, :, power] / layer for power in range(1, 6))
        total = layer.sum(dim=1, keepdim=True)
        hottest = energy.topk(min(max(HOTTEST), energy.shape[1]), dim=1).values
        in_hottest = torch.stack([hottest[:, :count].sum(dim=1) for count in HOTTEST], dim=1)
        lit = 1.0 - torch.exp(-u.clamp_min(0.0) / LIT)
        counts = torch.stack([lit, *(torch.sigmoid(SHARPNESS * (u - level)) for level in LEVELS)])
        pairs, isolated = self._pairs(torch.stack([counts[0], counts[2], u]))
        features = [
            torch.log(layer),
            x,
            y,
            torch.log((xx - x * x).clamp_min(0.0) + self.resolution),
            torch.log((yy - y * y).clamp_min(0.0) + self.resolution),
            (xy - x * y) / 100.0,
            (in_hottest / total + 1e-4).sqrt(),
            (energy @ self.rings / total + 1e-4).sqrt(),
            *((count @ self.rings + 0.1).sqrt() for count in counts),
            (torch.cat([pairs, isolated], dim=1) + 0.1).sqrt(),
        ]
        return torch.cat(features, dim=1)

    def _moments(self, energy: Tensor, number: int) -> Tensor:
        """Sums of energy times powers of the position in the layers of a run, shape ``(showers, layers, 6)``."""
        powers: Tensor = getattr(self, f"moments_{number}")
        return (self.runs[number].of(energy).flatten(2).transpose(0, 1) @ powers).transpose(0, 1)

    def _pairs(self, fields: Tensor) -> tuple[Tensor, Tensor]:
        """Sums in rings, over the cells near the track.

        Args:
            fields: Numbers of cells, shape ``(fields, showers, cells)``; the first is how much a cell is lit.

        Returns:
            Sums of products of neighbours, shape ``(showers, fields * steps * rings)``, and numbers of cells that are
            lit alone, shape ``(showers, rings)``.
        """
        pairs, alone = [], []
        for number, (run, (rows, columns)) in enumerate(zip(self.runs, self.near, strict=True)):
            near = run.of(fields)[..., slice(*rows), slice(*columns)]
            width, size = near.shape[4], near.shape[3] * near.shape[4]
            cells = near.flatten(3)
            if run.wraps:
                cells = torch.cat([cells, cells[..., :width]], dim=3)
            found, around = [], torch.zeros_like(cells[0])
            for step, (down, right) in enumerate(STEPS):
                apart = min(down * width + right, cells.shape[3])
                rings: Tensor = getattr(self, f"pair_rings_{number}_{step}")
                first, second = cells[..., : len(rings)], cells[..., apart : apart + len(rings)]
                found.append(((first * second) @ rings).sum(dim=2))
                partners: Tensor = getattr(self, f"partners_{number}_{step}")
                beyond = cells.shape[3] - len(rings)
                around = around + nn.functional.pad(second[0] * partners, (0, beyond))
                around = around + nn.functional.pad(first[0] * partners, (apart, beyond - apart))
            if run.wraps:
                around = around[..., :size] + nn.functional.pad(around[..., size:], (0, size - width))
            pairs.append(torch.stack(found))
            near_rings: Tensor = getattr(self, f"near_rings_{number}")
            alone.append(((cells[0, ..., :size] * torch.exp(-2.0 * around)) @ near_rings).sum(dim=1))
        total = torch.stack(pairs).sum(dim=0)
        return total.permute(2, 0, 1, 3).flatten(1), torch.stack(alone).sum(dim=0)


def _powers(features: Tensor, n_types: int) -> Tensor:
    """1, features, products of the first, and higher powers of the momentum; shape ``(showers, powers)``.

    Where the last features tell the type, all of these follow once more for each type, 0 but for the particle's own.
    """
    features, types = torch.split(features, [features.shape[1] - n_types, n_types], dim=1)
    some, size = features[:, :PREDICTORS], features[:, :1]
    first, second = torch.triu_indices(some.shape[1], some.shape[1], device=features.device)
    powers = torch.cat([torch.ones_like(size), features, some[:, first] * some[:, second], size**3, size**4], dim=1)
    return torch.cat([powers, *(types[:, number : number + 1] * powers for number in range(n_types))], dim=1)


def _regress(known: Tensor, wanted: Tensor) -> Tensor:
    """Ridge regression, shape ``(powers, wanted)``."""
    known, wanted = known.double(), wanted.double()
    ridge = 1e-3 * len(known) * torch.eye(known.shape[1], dtype=known.dtype, device=known.device)
    ridge[0, 0] = 0.0
    found: Tensor = torch.linalg.solve(known.T @ known + ridge, known.T @ wanted)
    return found.float()


def _near(frame: LocalFrame, geometry: Geometry, number: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and column of a layer that are near the track, and the ones after the last; of sectors, all."""
    layer = geometry.layers[number]
    cells = slice(int(geometry.offsets[number]), int(geometry.offsets[number + 1]))
    if isinstance(layer, PolarLayer):
        return (0, layer.rows), (0, min(layer.columns, int(NEAR) + 1))
    grid, reach = (layer.rows, layer.columns), torch.tensor(NEAR) * torch.tensor(layer.cell_width)
    along_x, along_y = frame.cell_x[cells].reshape(grid)[:, 0], frame.cell_y[cells].reshape(grid)[0]
    rows, columns = (
        torch.nonzero(along.abs() <= torch.maximum(reach, along.abs().min())).flatten().tolist()
        for along in (along_x, along_y)
    )
    return (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)


def _seen_alike(frame: LocalFrame, ring: Tensor, geometry: Geometry, number: int) -> Hashable:
    """What layers with one grid have in common if they have the same cells near the track, and in the same rings."""
    cells = slice(int(geometry.offsets[number]), int(geometry.offsets[number + 1]))
    return _near(frame, geometry, number), tuple(ring[cells].tolist())


def _partners(rows: int, columns: int, *, wraps: bool) -> Iterator[Tensor]:
    """At each step, 1 for cells of a grid that have a neighbour; the last cells, that have none, are left out.

    Where the grid closes to a circle, its first row comes once more behind the last.
    """
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    last = rows + wraps
    for down, right in STEPS:
        inside = (row + down < last) & (column + right >= 0) & (column + right < columns)
        yield inside.float()[: max(last * columns - down * columns - right, 0)]
