"""The convert stage: files of showers -> one file of them in another layout."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import calogan
from calogan.data.conversion import Conversion
from calogan.data.decode import Decoded
from calogan.data.files import HDF5_SUFFIXES, ROOT_SUFFIXES, InputFile, expand_files
from calogan.data.particles import particle_schema
from calogan.data.reading import count_showers, iterate_chunks, read_provenance, read_trees, read_types
from calogan.data.schema import Layout, Schema
from calogan.data.usual import FoundShowers, find_showers, other_branches
from calogan.data.writing import open_file
from calogan.errors import ConfigError, DataError, SchemaError, near_miss
from calogan.geometry import Geometry
from calogan.progress import Reporter

__all__ = ["Converted", "convert"]

HITS_OUTSIDE = "hits_outside"
_OF_INPUTS = "provenance_of_inputs"
_CHUNK_BYTES, _MOST_SHOWERS = 1 << 25, 2500  # of all cells, decoded at a time


@dataclass(frozen=True)
class Converted:
    """What came of a conversion.

    Attributes:
        showers: How many.
        layouts: From which layout into which.
        hits_outside: Hits outside of all cells, which were left out.
        left_out: Branches or data sets of the inputs that are not in the output.
    """

    showers: int
    layouts: tuple[Layout, Layout]
    hits_outside: int
    left_out: tuple[str, ...]


def convert(
    patterns: Sequence[str],
    output: Path,
    layout: Layout,
    geometry: Geometry,
    reporter: Reporter,
    *,
    schema: Schema | None = None,
    source_layout: Layout | None = None,
    tree: str | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    rntuple: bool = False,
    overwrite: bool = False,
) -> Converted:
    """Write the showers of files, one file after another, into one file of another layout; memory holds few of them.

    The file appears under its name when it is whole, with the usual names and units. All that the inputs say of showers
    and their particles is kept: in HDF5 as data sets besides those that the format asks for.

    Args:
        patterns: As for `expand_files`.
        output: File to write.
        layout: Its layout.
        geometry: Cells of the inputs.
        reporter: Progress.
        schema: Names and units of the inputs; by default they are looked for under the usual names.
        source_layout: The only layout that is looked for.
        tree: The only tree that is looked at.
        drop: What is left out on purpose: ``event``, ``pdg``, ``direction``, ``entry_point``, or ``hits_outside``,
            which are those outside of all cells.
        keep: Other branches or data sets with one number a shower that are copied.
        rntuple: Write an RNTuple instead of a TTree.
        overwrite: Replace the output if it is there.

    Raises:
        ConfigError: Options that do not go together, or an output that is there, or is one of the inputs.
        DataError: A missing or damaged input, an impossible value, or hits outside of all cells; names the entries.
        SchemaError: Inputs that are not laid out so, or differ in what they have.
    """
    _check_output(output, layout, overwrite=overwrite)
    files = expand_files(patterns, (*ROOT_SUFFIXES, *HDF5_SUFFIXES))
    _check_inputs(files, output)
    found = _find(files, geometry, schema, source_layout, tree)
    types = _types_of(files, found, keep)
    conversion = Conversion.of(found.schema, layout, geometry, [name for name in drop if name != HITS_OUTSIDE], types)
    left_out = tuple(name for name in (*found.others, *drop) if name not in {*keep, HITS_OUTSIDE})
    showers = sum(count_showers(file, found.schema) for file in files)
    spec, provenance = conversion.spec, _provenance(files, (found.schema.layout, layout), left_out)
    outside = 0
    with (
        reporter.task("convert", showers, "showers") as task,
        open_file(
            output, [spec], is_hdf5=conversion.targets[0].is_hdf5, rntuple=rntuple, provenance=provenance
        ) as writer,
    ):
        for chunk in _chunks(files, conversion, drop):
            writer.extend(spec.name, conversion.columns(chunk))
            outside += chunk.hits_outside
            task.advance(len(chunk.showers))
    return Converted(showers, (found.schema.layout, layout), outside, left_out)


def _check_output(output: Path, layout: Layout, *, overwrite: bool) -> None:
    wanted, others = ROOT_SUFFIXES, HDF5_SUFFIXES
    if layout in {"calochallenge", "calogan"}:
        wanted, others = others, wanted
    if output.suffix in others:
        msg = f"{output}: layout {layout} is not one of such files; name it *{wanted[0]}"
        raise ConfigError(msg)
    if output.exists() and not overwrite:
        msg = f"{output}: is there already; choose another name, or give --overwrite"
        raise ConfigError(msg)


def _check_inputs(files: Sequence[InputFile], output: Path) -> None:
    """Refuse to replace an input, whatever its name: what is left out of the output would be lost."""
    if not output.exists():
        return
    for file in files:
        if file.is_local and output.samefile(file.path):
            msg = f"{output}: is one of the inputs; choose another name, --overwrite replaces other files only"
            raise ConfigError(msg)


def _find(
    files: Sequence[InputFile], geometry: Geometry, schema: Schema | None, layout: Layout | None, tree: str | None
) -> FoundShowers:
    """The schema that all files have."""
    if schema is not None:
        trees = read_trees(files[0].path)
        content = trees.get("" if schema.is_hdf5 else files[0].tree or schema.tree)
        return FoundShowers(schema, () if content is None else other_branches(content, schema))
    found = [find_showers(file, geometry, layout=layout, tree=tree) for file in files]
    for file, other in zip(files, found, strict=True):
        if other.schema != found[0].schema:
            first, second = (", ".join(one.schema.branches) for one in (found[0], other))
            msg = f"{file.path}: has {second}, but {files[0].path} has {first}; convert them one by one"
            raise SchemaError(msg)
    return found[0]


def _types_of(files: Sequence[InputFile], found: FoundShowers, keep: Sequence[str]) -> dict[str, np.dtype[Any]]:
    """Types of the other branches that are kept, the same in all files."""
    for name in keep:
        if name not in found.others:
            msg = f"--keep {name}: the inputs have no such other branch or data set; {near_miss(name, found.others)}"
            raise ConfigError(msg)
    types: dict[str, np.dtype[Any]] = {}
    for file in files if keep else ():
        schema = replace(particle_schema(found.schema), event=None, pdg=None, momentum=tuple(keep), entry_point=None)
        chunk = read_types(file, schema)
        for name in keep:
            dtype = chunk.flat(name, "fiu", {()}).dtype.newbyteorder("=")
            if types.setdefault(name, dtype) != dtype:
                msg = f"{chunk.where(name)}: is {dtype}, but {types[name]} in {files[0].path}; convert them one by one"
                raise SchemaError(msg)
    return types


def _chunks(files: Sequence[InputFile], conversion: Conversion, drop: Sequence[str]) -> Iterator[Decoded]:
    size = max(1, min(_MOST_SHOWERS, _CHUNK_BYTES // (4 * conversion.geometry.n_cells)))
    for file in files:
        chunks = iterate_chunks(file, conversion.source, conversion.geometry, size, keep=tuple(conversion.kept))
        with closing(chunks):
            for chunk in chunks:
                if chunk.hits_outside and HITS_OUTSIDE not in drop:
                    last = chunk.start + len(chunk.showers) - 1
                    msg = (
                        f"{file.path}, entries {chunk.start} to {last}: {chunk.hits_outside} of {chunk.hits} hits are "
                        f"outside of all cells; correct the geometry or units.length, or give --drop {HITS_OUTSIDE}"
                    )
                    raise DataError(msg)
                yield chunk


def _provenance(files: Sequence[InputFile], layouts: tuple[Layout, Layout], left_out: Sequence[str]) -> dict[str, str]:
    told = {file.path: _unfolded(read_provenance(file.path)) for file in files}
    return {
        "calogan": calogan.__version__,
        "command": shlex.join(sys.argv),
        "inputs": ", ".join(file.path for file in files),
        "layouts": " -> ".join(layouts),
        "left_out": ", ".join(left_out),
        _OF_INPUTS: json.dumps({path: values for path, values in told.items() if values}),
    }


def _unfolded(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance with that of its inputs as values, not as text in a text."""
    return {name: json.loads(text) if name == _OF_INPUTS else text for name, text in provenance.items()}
