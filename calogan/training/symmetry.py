"""Mirror images of showers: more training data where the calorimeter has the symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calogan.errors import ConfigError
from calogan.geometry import Geometry

__all__ = ["Symmetries"]


_MATRICES = {
    "flip_x": np.array([[-1.0, 0.0], [0.0, 1.0]]),
    "flip_y": np.array([[1.0, 0.0], [0.0, -1.0]]),
    "swap_xy": np.array([[0.0, 1.0], [1.0, 0.0]]),
}


class Symmetries:
    """The group made of reflections of x, of y, and their exchange, applied to incident particles and cells alike.

    Args:
        names: Out of ``flip_x``, ``flip_y`` and ``swap_xy``; empty for none.
        geometry: Cells, whose edges must have the symmetry.
        device: Where showers are.

    Raises:
        ConfigError: The geometry does not have a symmetry.
    """

    def __init__(self, names: Sequence[str], geometry: Geometry, device: torch.device) -> None:
        generators = [(_MATRICES[name], _source_cells(name, _MATRICES[name], geometry)) for name in names]
        images = [(np.eye(2), np.arange(geometry.n_cells))]
        for matrix, cells in images:  # grows until the group is closed
            for other, source in generators:
                product = other @ matrix
                if not any(np.array_equal(product, known) for known, _ in images):
                    images.append((product, cells[source]))
        self._matrices = torch.tensor(np.stack([matrix for matrix, _ in images]), dtype=torch.float32, device=device)
        self._cells = torch.tensor(np.stack([cells for _, cells in images]), device=device)

    def __len__(self) -> int:
        return len(self._cells)

    def apply(self, incident: Tensor, cell_energy: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Chosen image of each shower.

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
            cell_energy: Any numbers a cell, shape ``(showers, cells)``.
            image: Number of the image, 0 for the shower itself, shape ``(showers,)``.

        Returns:
            Incident particles and cells of the images.
        """
        matrix = self._matrices[image]
        direction = (matrix @ incident[:, :2].unsqueeze(2)).squeeze(2)
        point = (matrix @ incident[:, 3:].unsqueeze(2)).squeeze(2)
        return torch.cat([direction, incident[:, 2:3], point], dim=1), cell_energy.gather(1, self._cells[image])


def _source_cells(name: str, matrix: NDArray[np.float64], geometry: Geometry) -> NDArray[np.int64]:
    """For each cell, the cell that its image shows; the matrices are their own inverses."""
    x, y = matrix @ np.stack([geometry.cell_x, geometry.cell_y])
    source = np.full(geometry.n_cells, -1)
    for number, layer in enumerate(geometry.layers):
        cells = slice(geometry.offsets[number], geometry.offsets[number + 1])
        single = Geometry((layer,))
        found = single.locate(x[cells], y[cells])
        place = np.stack([single.cell_x[found], single.cell_y[found]])
        if (found < 0).any() or not np.allclose(place, np.stack([x[cells], y[cells]]), atol=1e-3):
            msg = f"training.symmetries lists {name}, but the edges of layer {number} do not have that symmetry"
            raise ConfigError(msg)
        source[cells] = geometry.offsets[number] + found
    return source
