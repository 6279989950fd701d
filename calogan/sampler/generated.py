"""Showers that a surrogate made, with what is needed to make them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from calogan.data.hits import Hits
from calogan.data.showers import Index, Showers
from calogan.errors import SchemaError

if TYPE_CHECKING:
    import awkward as ak

    from calogan.data.schema import Layout, Schema

__all__ = ["GeneratedShowers"]


@dataclass(frozen=True)
class GeneratedShowers(Showers):
    """Generated showers: arrays with one row a shower, whatever the structure of the arguments was.

    Attributes:
        seed: Seed of the noise, drawn afresh where the caller gave none.
        particle: Index of the particle in its event, int64, shape ``(showers,)``; none for one particle an event.
        counts: Particles in each event, int64, shape ``(events,)``; none for one particle an event.
        schema: Names and units of the files that the surrogate was trained on.
        provenance: What made the showers, written into files.
        weight: Density ratios of full simulation to surrogate, about 1 in the mean, float32, shape ``(showers,)``;
            none if they were not asked for.
    """

    seed: int
    particle: NDArray[np.int64] | None
    counts: NDArray[np.int64] | None
    schema: Schema
    provenance: Mapping[str, str]
    weight: NDArray[np.float32] | None = None

    def __getitem__(self, index: Index) -> Self:
        """Some of the showers; which event they belong to is kept in `shower_id`, the ragged structure is not."""
        rows = self.rows(index)
        return replace(
            self,
            event=self.event[rows],
            incident=self.incident[rows],
            cell_energy=self.cell_energy[rows],
            pdg=self.pdg[rows],
            particle=None if self.particle is None else self.particle[rows],
            counts=None,
            weight=None if self.weight is None else self.weight[rows],
        )

    @property
    def shower_id(self) -> NDArray[np.int64]:
        """Key of each shower's noise, that of its event where events hold many particles, shape ``(showers,)``."""
        return self.event

    def hits(self) -> Hits:
        """Cells that saw energy, one a row."""
        return Hits.of(self)

    def to_awkward(self) -> ak.Array:
        """Showers as records, in the structure of the arguments (events of particles where those were ragged).

        Returns:
            Records with shower_id, px, py, pz [GeV], x, y [mm], total_energy [GeV], weight if there are weights, and
            hits, which are the cells that saw energy: layer, row, column, energy [GeV].
        """
        import awkward as ak

        columns = dict(zip(("px", "py", "pz", "x", "y"), self.incident.T, strict=True))
        fields = {
            "shower_id": self.shower_id,
            **columns,
            "total_energy": self.total_energy,
            **({} if self.weight is None else {"weight": self.weight}),
            "hits": self.hits().to_awkward(),
        }
        records = ak.zip(fields, depth_limit=1)
        return records if self.counts is None else ak.unflatten(records, self.counts)

    def to_root(self, path: str | Path, *, layout: Layout | None = None, tree: str | None = None) -> None:
        """Write a ROOT file with one entry a shower, laid out as the files of the full simulation were.

        Where events hold many particles, the entries of an event follow one another and repeat its id.

        Args:
            path: File to write; it appears when it is complete.
            layout: ``"dense"`` or ``"hits"`` instead of the training data's; dense by default where that is HDF5.
            tree: Name of the tree instead of the training data's.

        Raises:
            SchemaError: The showers have weights, for which the full simulation's files have no branch.
        """
        self._write(path, layout or ("dense" if self.schema.is_hdf5 else self.schema.layout), tree)

    def to_hdf5(self, path: str | Path, *, layout: Layout | None = None) -> None:
        """Write an HDF5 file with one row a shower, as the CaloChallenge's files are.

        It has the momentum as incident energy, and no direction, no entry point and no id unless the training data's
        files have a name for them.

        Args:
            path: File to write; it appears when it is complete.
            layout: ``"calochallenge"`` or ``"calogan"``; by default the training data's, or the first where that is
                ROOT.

        Raises:
            SchemaError: The showers have weights, for which the full simulation's files have no data set.
        """
        self._write(path, layout or (self.schema.layout if self.schema.is_hdf5 else "calochallenge"))

    def _write(self, path: str | Path, layout: Layout, tree: str | None = None) -> None:
        from calogan.data.writing import ShowerWriter

        self._require_unweighted(path)
        provenance = {**self.provenance, "seed": str(self.seed)}
        with ShowerWriter(path, self.schema, self.geometry, layout=layout, tree=tree, provenance=provenance) as writer:
            writer.extend(self)

    def _require_unweighted(self, path: str | Path) -> None:
        if self.weight is not None:
            msg = (
                f"{path}: files as of the full simulation have no branch for weights; write "
                "dataclasses.replace(showers, weight=None), and keep showers.weight beside it"
            )
            raise SchemaError(msg)
