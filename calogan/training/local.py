"""Training showers in their local frames, on the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calogan.data.stored import ShowerRows
from calogan.models.generator import Generator
from calogan.physics.kinematics import momentum
from calogan.physics.particles import network_input

__all__ = ["FrameChoices", "LocalShowers", "ShowerSource"]

CHUNK = 4096
"""Showers that are put into their frames at a time."""
DRAWN = 4096
"""Showers whose choice is drawn at a time."""
_LEAST = 16
"""torch draws fewer numbers than these in another way."""


class ShowerSource(Protocol):
    """Training showers as the networks see them: all of them on the device, or each batch when it is its turn."""

    @property
    def device(self) -> torch.device:
        """Where they are wanted."""

    @property
    def index_device(self) -> torch.device:
        """Where their numbers are wanted."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: Tensor) -> LocalShowers:
        """Some of them."""

    def prefetch(self, batches: Iterator[Tensor]) -> AbstractContextManager[None]:
        """While the context lasts, get batches ready that are going to be asked for, in this order."""


class FrameChoices:
    """Standard normals that choose the frame of each shower, the same in whatever pieces they are asked for.

    They are one draw for all showers; so that it need not be in memory, the generator's state is kept along it.

    Args:
        n_showers: Showers in all.
        size: Numbers of each.
    """

    def __init__(self, n_showers: int, size: int) -> None:
        rng = torch.Generator().manual_seed(0)
        starts = [0, *(start for start in range(DRAWN, n_showers, DRAWN) if (n_showers - start) * size >= _LEAST)]
        self._size, self._bounds = size, np.array([*starts, n_showers])
        self._states = []
        for height in np.diff(self._bounds).tolist():
            self._states.append(rng.get_state())
            torch.randn(height, size, generator=rng)

    def __getitem__(self, rows: NDArray[np.int64]) -> Tensor:
        """Numbers of showers, by their ascending numbers, shape ``(rows, size)``."""
        edges = np.searchsorted(rows, self._bounds)
        found = torch.empty(len(rows), self._size)
        for block in np.flatnonzero(np.diff(edges)).tolist():
            part = slice(edges[block], edges[block + 1])
            found[part] = self._draw(block)[torch.from_numpy(rows[part] - self._bounds[block])]
        return found

    def _draw(self, block: int) -> Tensor:
        rng = torch.Generator()
        rng.set_state(self._states[block])
        return torch.randn(int(np.diff(self._bounds)[block]), self._size, generator=rng)


@dataclass(frozen=True)
class LocalShowers:
    """Reference showers as the networks see them.

    Attributes:
        features: Of the particles in their frames, shape ``(showers, features)``.
        momentum: |p| [GeV], shape ``(showers, 1)``.
        layer_energy: Energies [GeV], shape ``(showers, layers)``.
        u: Transformed cells, shape ``(showers, cells)``.
    """

    features: Tensor
    momentum: Tensor
    layer_energy: Tensor
    u: Tensor

    def __len__(self) -> int:
        return len(self.u)

    def __getitem__(self, index: Tensor) -> LocalShowers:
        """Some of the showers."""
        return LocalShowers(*(getattr(self, one.name)[index] for one in fields(self)))

    @property
    def device(self) -> torch.device:
        """Where the showers are."""
        return self.u.device

    @property
    def index_device(self) -> torch.device:
        """Where their numbers are wanted."""
        return self.u.device

    def prefetch(self, batches: Iterator[Tensor]) -> AbstractContextManager[None]:
        """Nothing: all showers are ready."""
        return nullcontext()

    @classmethod
    def load(cls, generator: Generator, showers: ShowerRows, device: torch.device) -> LocalShowers:
        """Bring all showers to a device, piece by piece, and put them into their frames there.

        Args:
            generator: Whose frame and transform are used, on that device.
            showers: Cut at the threshold.
            device: Where they are wanted.
        """
        count, choices = len(showers), FrameChoices(len(showers), generator.frame.choices)
        widths = generator.frame.size, 1, generator.n_layers, generator.n_cells
        whole = cls(*(torch.empty(count, width, device=device) for width in widths))
        for start in range(0, count, CHUNK):
            rows = np.arange(start, min(start + CHUNK, count))
            some = showers[rows]
            incident = network_input(some.incident, some.pdg, generator.architecture.particles)
            arrays = torch.from_numpy(incident), torch.from_numpy(some.cell_energy), choices[rows]
            piece = cls.of(generator, *(array.to(device) for array in arrays))
            for one in fields(cls):
                getattr(whole, one.name)[start : start + CHUNK] = getattr(piece, one.name)
        return whole

    @classmethod
    @torch.no_grad()
    def of(
        cls, generator: Generator, incident: Tensor, cell_energy: Tensor, choice: Tensor | None = None
    ) -> LocalShowers:
        """Put showers into their frames.

        Args:
            generator: Whose frame and transform are used, on the showers' device.
            incident: Incident particles as the generator takes them, shape ``(showers, 5 or 6)``.
            cell_energy: Cells [GeV], cut at the threshold, shape ``(showers, cells)``.
            choice: Their `FrameChoices`; those of showers that are all there are if left out.
        """
        u = torch.empty_like(cell_energy)
        if choice is None:
            choice = FrameChoices(len(incident), generator.frame.choices)[np.arange(len(incident))]
            choice = choice.to(incident.device)
        features = []
        for start in range(0, len(incident), CHUNK):
            chosen = slice(start, start + CHUNK)
            view = generator.frame(incident[chosen], choice[chosen])
            features.append(view.features)
            u[chosen] = generator.transform.encode(view.to_local(cell_energy[chosen]))
        layer_energy = cell_energy @ generator.membership
        return cls(torch.cat(features), momentum(incident).unsqueeze(1), layer_energy, u)
