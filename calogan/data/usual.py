"""Files whose branches or data sets have the usual names: how they are laid out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from calogan.config import Source
from calogan.data.files import InputFile, file_format
from calogan.data.reading import read_trees
from calogan.data.root import TreeContent
from calogan.data.schema import Layout, Schema
from calogan.errors import SchemaError
from calogan.geometry import Geometry

__all__ = ["FoundShowers", "find_showers", "format_alone", "other_branches", "usual_schema"]

_SOURCE: TypeAdapter[Source] = TypeAdapter(Source)
_LAYOUTS: tuple[Layout, ...] = ("dense", "hits", "positions", "calochallenge", "calogan")


@dataclass(frozen=True)
class FoundShowers:
    """Where the showers of a file are.

    Attributes:
        schema: Their names and units.
        others: Branches or data sets of the same showers that the schema does not know.
    """

    schema: Schema
    others: tuple[str, ...]


def usual_schema(layout: Layout, geometry: Geometry) -> Schema:
    """The usual names and units of a layout, with all that identifies showers and tells of their incident particles.

    In HDF5 that is more than its formats ask for: data sets `event`, `pdg`, `px`, `py`, `pz` [GeV], `x` and `y` [mm],
    which programs that read the others by name do not see.
    """
    several = geometry.n_layers > 1
    names: dict[str, dict[str, object]] = {
        "dense": {"energy": [f"energy_layer{n}" for n in range(geometry.n_layers)] if several else ["energy"]},
        "hits": {"cell_layer": "cell_layer" if several else None},
        "positions": {"hit_z": "hit_z" if several else None},
        "calogan": {"energy": [f"layer_{layer}" for layer in range(geometry.n_layers)]},
    }
    particles = {"event": "event", "pdg": "pdg", "momentum": ("px", "py", "pz"), "entry_point": ("x", "y")}
    values = {"layout": layout, "files": ["-"], "units": {"momentum": "GeV"}, **particles, **names.get(layout, {})}
    return Schema.from_source(_SOURCE.validate_python(values))


def find_showers(
    file: InputFile, geometry: Geometry, *, layout: Layout | None = None, tree: str | None = None
) -> FoundShowers:
    """Look for showers under the usual names; of several trees the first is taken, as they hold the same showers.

    Args:
        file: File to look into; its tree goes before `tree`.
        geometry: Cells.
        layout: The only one that is looked for.
        tree: The only tree that is looked at.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: It has no showers under these names.
    """
    wanted, is_hdf5 = file.tree or tree, file_format(file) == "HDF5"
    trees = read_trees(file.path)
    schemas = [usual_schema(one, geometry) for one in _LAYOUTS if layout in {None, one}]
    for name in trees if wanted is None or is_hdf5 else trees.keys() & {wanted}:
        for schema in schemas:
            cells = {branch for branch in (*schema.place, *schema.energy) if branch is not None}
            if schema.is_hdf5 == is_hdf5 and cells <= trees[name].branches.keys():
                found = _with_what_is_there(replace(schema, tree=name), trees[name].branches)
                return FoundShowers(found, other_branches(trees[name], found))
    listed = "; ".join(f"{name or 'data sets'}: {', '.join(content.branches)}" for name, content in trees.items())
    msg = (
        f"{file.path}: no {layout or 'showers'} of {geometry.n_layers} layers under the usual names "
        f"({listed[:500]}); describe the file in data.sources of a configuration, and give --config"
    )
    raise SchemaError(msg)


def other_branches(content: TreeContent, schema: Schema) -> tuple[str, ...]:
    """What a tree holds besides the showers; lengths of lists, and the size of a momentum that is read, add nothing."""
    known = {*schema.branches, *format_alone(schema).momentum, *content.counters}
    return tuple(sorted(content.branches.keys() - known))


def format_alone(schema: Schema) -> Schema:
    """What an HDF5 format itself asks for: of the particles their energies; a ROOT schema as it is."""
    if not schema.is_hdf5:
        return schema
    usual = Schema.from_source(_SOURCE.validate_python({"layout": schema.layout, "files": ["-"]}))
    return replace(usual, energy=schema.energy)


def _with_what_is_there(schema: Schema, known: Collection[str]) -> Schema:
    """The schema without identifiers and conditions that a file does not have."""
    if not set(schema.momentum) <= set(known):
        alone = format_alone(schema)
        schema = replace(schema, momentum=alone.momentum, momentum_unit=alone.momentum_unit)
    return replace(
        schema,
        event=schema.event if schema.event in known else None,
        pdg=schema.pdg if schema.pdg in known else None,
        entry_point=schema.entry_point if set(schema.entry_point or ()) <= set(known) else None,
    )
