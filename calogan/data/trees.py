"""Trees of showers: the same showers in one or several layouts of one file, ROOT or HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from numpy.typing import NDArray

from calogan.data.encode import encode_energy, encode_particles, energy_types, particle_types
from calogan.data.hits import Hits
from calogan.data.schema import Layout, Schema
from calogan.data.showers import Showers
from calogan.data.writer import FileWriter, TreeSpec
from calogan.errors import SchemaError, ShapeError, near_miss
from calogan.geometry import Geometry

__all__ = ["ShowerTrees"]


@dataclass(frozen=True)
class ShowerTrees:
    """Trees to write showers to.

    Attributes:
        geometry: Cells.
        schemas: Schema of each tree.
        types: Types of branches of identifiers and incident particles that are copied from other files.
        particles: Whether the incident particles are written, not the event ids and the energies alone.
    """

    geometry: Geometry
    schemas: tuple[Schema, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    particles: bool = True

    @classmethod
    def of(
        cls,
        schema: Schema,
        geometry: Geometry,
        layouts: Sequence[Layout] = (),
        *,
        tree: str | None = None,
        types: Mapping[str, str] | None = None,
        particles: bool = True,
    ) -> Self:
        """Trees of the layouts that are asked for.

        Args:
            schema: Branches and units.
            geometry: Cells.
            layouts: Instead of the schema's; the first one is written to the schema's tree, each of the others to a
                tree with the name of the layout.
            tree: Another name of the first tree.
            types: See the attribute.
            particles: See the attribute.

        Raises:
            SchemaError: A layout twice, two trees of one name, a layout of HDF5 with another one or with a tree, a
                schema that does not go with the geometry, or types of branches that are not there.
        """
        chosen = tuple(layouts) or (schema.layout,)
        laid_out = [schema.as_layout(layout, geometry) for layout in chosen]
        names = [tree or laid_out[0].tree, *chosen[1:]]
        if any(one.is_hdf5 for one in laid_out) and (len(chosen) > 1 or tree):
            msg = f"layouts {', '.join(chosen)}: an HDF5 file holds one layout and no tree; write a file of it alone"
            raise SchemaError(msg)
        if len(set(chosen)) < len(chosen) or len(set(names)) < len(names):
            msg = f"layouts {', '.join(chosen)} in trees {', '.join(names)}: give each layout and tree once"
            raise SchemaError(msg)
        schemas = tuple(replace(one, tree=name) for one, name in zip(laid_out, names, strict=True))
        for one in schemas:
            one.check(geometry)
        made = cls(geometry, schemas, dict(types or {}), particles)
        for branch in made.types:
            made.require_copyable(branch)
        return made

    @property
    def is_hdf5(self) -> bool:
        """Whether the file is HDF5, and not ROOT."""
        return self.schemas[0].is_hdf5

    @property
    def specs(self) -> tuple[TreeSpec, ...]:
        """The trees as `FileWriter` takes them."""
        return tuple(self._spec(schema) for schema in self.schemas)

    def write(
        self,
        writer: FileWriter,
        showers: Showers | Hits,
        columns: Mapping[str, NDArray[Any]] | None = None,
        hits: Hits | None = None,
    ) -> None:
        """Append showers to all trees.

        Args:
            writer: File that has these trees.
            showers: Showers, or their hits where no particles are written.
            columns: Values of branches of identifiers and incident particles, written as they are instead of those
                derived from the showers; all of them where there are hits only.
            hits: Written instead of the energies in the showers' cells; the hits of these showers in other cells.

        Raises:
            ShapeError: Showers of another geometry, or another number of values.
            SchemaError: Values of no such branch, or of a type that the branch cannot hold exactly.
        """
        energies = showers if hits is None else hits
        if energies.geometry.n_cells != self.geometry.n_cells:
            msg = f"showers of {energies.geometry.n_cells} cells for a file of {self.geometry.n_cells} cells"
            raise ShapeError(msg)
        columns = columns or {}
        count = showers.n_showers if isinstance(showers, Hits) else len(showers)
        for branch, values in columns.items():
            self.require_copyable(branch)
            if values.shape != (count,):
                msg = f"branch '{branch}': {count} showers, but copied values of shape {values.shape}"
                raise ShapeError(msg)
        for schema in self.schemas:
            told = encode_particles(showers, schema) if isinstance(showers, Showers) and self.particles else {}
            writer.extend(schema.tree, {**told, **columns, **encode_energy(energies, schema)})

    def require_copyable(self, branch: str) -> None:
        """Refuse a branch that is not one of identifiers or incident particles."""
        flat = particle_types(self.schemas[0], particles=self.particles)
        if branch not in flat:
            msg = f"tree '{self.schemas[0].tree}': no branch '{branch}' to copy to; {near_miss(branch, flat)}"
            raise SchemaError(msg)

    def _spec(self, schema: Schema) -> TreeSpec:
        types = {
            **particle_types(schema, particles=self.particles),
            **self.types,
            **energy_types(schema, self.geometry),
        }
        # One counter for all lists: ncell for cell_energy.
        return TreeSpec(schema.tree, types, f"n{schema.energy[0].rpartition('_')[0] or schema.energy[0]}")
