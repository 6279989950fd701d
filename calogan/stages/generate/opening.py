"""From the options of a command to a job: the inputs are counted and checked before anything is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.files import InputFile, file_format
from calogan.data.particles import count_particles, iterate_event_ids, iterate_particles, particle_schema
from calogan.data.reading import fingerprint, read_types
from calogan.data.schema import Layout, Schema
from calogan.data.trees import ShowerTrees
from calogan.errors import ConfigError, DataError, DomainError, SchemaError, near_miss
from calogan.geometry import Geometry
from calogan.physics.particles import list_types
from calogan.sampler import ShowerSampler
from calogan.sampler.placement import DENSE_CELLS, make_placement
from calogan.stages.generate.job import Input, Job, Key
from calogan.stages.generate.overlay import left_tree
from calogan.stages.generate.selection import Reason, Selection

__all__ = ["open_job", "require_inside"]

# Cells in memory at a time [bytes], whatever the calorimeter.
_CELLS = 1 << 26
_COMPARED = 1_000_000
_PART = 100_000  # entries


def open_job(
    sampler: ShowerSampler,
    files: Sequence[InputFile],
    *,
    seed: int,
    seed_by_input: bool,
    tree: str | None,
    layouts: Sequence[Layout],
    rntuple: bool,
    input_branches: Mapping[str, str | None],
    key: Key,
    pdg: Sequence[int],
    overlay: bool,
    calorimeter: Geometry | None,
    workers: int,
    part_showers: int | None,
    chunk_showers: int,
) -> Job:
    """Look at the inputs and put together what is to be made; for the arguments see `generate`."""
    schema, geometry = sampler.bundle.info.schema, calorimeter or sampler.geometry
    source = _input_schema(sampler, files, tree, input_branches)
    output = schema.as_layout(layouts[0], geometry) if layouts else schema
    _require_possible(source, output, overlay=overlay, placed=calorimeter is not None)
    place = make_placement("window" if calorimeter is None else "cell", calorimeter, "cut", sampler.bundle.info)
    selection = Selection.of(sampler, place.domain, pdg)
    _require_types(sampler, source, selection)
    inputs = tuple(Input(file, _count(file, source), fingerprint(file, source)) for file in files)
    types = _require_one_type(files, source, overlay=overlay)
    key = "entry" if source.event is None else key
    if key == "event":
        _require_unique(inputs, source)
    copied = _copied_branches(output, source)
    copied = {written: read for written, read in copied.items() if not overlay or written == output.event}
    trees = ShowerTrees.of(
        schema,
        geometry,
        layouts,
        tree=None if output.is_hdf5 else tree,
        types={written: types[read] for written, read in copied.items()},
        particles=not overlay,
    )
    _require_writable(trees)
    return Job(
        sampler=sampler,
        place=place,
        selection=selection,
        seed=_derive_seed(seed, inputs) if seed_by_input else seed,
        base_seed=seed if seed_by_input else None,
        key=key,
        inputs=inputs,
        source=source,
        trees=trees,
        copied=copied,
        left=left_tree(source, trees.schemas[0].tree, types) if overlay else None,
        rntuple=rntuple,
        part_showers=part_showers or _part_size(inputs, workers),
        chunk=min(chunk_showers, max(_CELLS // (4 * sampler.geometry.n_cells), 1)),
    )


def _derive_seed(seed: int, inputs: Sequence[Input]) -> int:
    """Seed of 64 bits for these inputs alone, wherever they lie."""
    told = [str(seed), *(f"{one.fingerprint} {one.file.tree} {one.file.stem}" for one in inputs)]
    return int.from_bytes(hashlib.sha256("\n".join(told).encode()).digest()[:8])


def _part_size(inputs: Sequence[Input], workers: int) -> int:
    """Entries in a part, so that there is one for each worker."""
    entries = sum(one.entries for one in inputs)
    return min(_PART, max(-(-entries // workers), 1))


def _count(file: InputFile, source: Schema) -> int:
    try:
        return count_particles(file, source)
    except SchemaError as error:
        for name, branch in (("event", source.event), ("pdg", source.pdg)):
            if branch is not None and f"no branch '{branch}'" in str(error):
                msg = f"{error}; if there is none: --branch {name}= (input_branches={{'{name}': None}})"
                raise SchemaError(msg) from error
        raise


def _require_types(sampler: ShowerSampler, source: Schema, selection: Selection) -> None:
    """Refuse inputs that do not say which of several types a shower is wanted of."""
    if "particle" in sampler.condition and not (source.is_typed or selection.only_pdg):
        msg = (
            f"the model makes showers of pdg {list_types(sampler.pdg)}: name the inputs' branch of the PDG id with "
            "--branch pdg=BRANCH, or the one type of all particles with --pdg"
        )
        raise ConfigError(msg)


def _require_writable(trees: ShowerTrees) -> None:
    if any(schema.layout == "dense" for schema in trees.schemas) and trees.geometry.n_cells > DENSE_CELLS:
        msg = f"{trees.geometry.n_cells} cells a shower are too many for a dense tree; choose the layout hits"
        raise SchemaError(msg)


def require_inside(job: Job) -> None:
    """Refuse particles outside the domain.

    Raises:
        DomainError: Names the first of them.
    """
    for one in job.inputs:
        for particles in iterate_particles(one.file, job.source, _COMPARED):
            reasons = job.selection.reasons(job.selection.seen(particles.incident), job.types(particles))
            if reasons.any():
                first = int(np.argmax(reasons > 0))
                px, py, pz, x, y = (f"{value:.6g}" for value in particles.incident[first])
                msg = (
                    f"{particles.source}, entry {particles.entry[first]}: pdg={particles.pdg[first]}, px={px}, "
                    f"py={py}, pz={pz} GeV, x={x}, y={y} mm is outside the domain ({job.selection.describe()}) in "
                    f"{Reason(int(reasons[first])).text}; leave it out, or have such particles listed"
                )
                raise DomainError(msg)


def _input_schema(
    sampler: ShowerSampler, files: Sequence[InputFile], tree: str | None, branches: Mapping[str, str | None]
) -> Schema:
    schema = _of_format(sampler, files)
    names: dict[str, str | None] = {"event": schema.event, "pdg": schema.pdg}
    momentum = ("momentum",) if len(schema.momentum) == 1 else ("px", "py", "pz")
    entry_point = ("x", "y") if schema.entry_point else ()
    names |= dict(zip((*momentum, *entry_point), schema.incident_branches, strict=True))
    for name, branch in branches.items():
        if name not in names:
            msg = f"input branch {name!r}={branch!r}: not one that the model reads; {near_miss(name, names)}"
            raise ConfigError(msg)
        if branch is None and name not in {"event", "pdg"}:
            msg = f"input branch {name!r}: the incident particle cannot be without it; name its branch"
            raise ConfigError(msg)
        names[name] = branch
    momentum_branches: Any = tuple(names[name] for name in momentum)
    entry_branches: Any = tuple(names[name] for name in entry_point) or None
    return replace(
        schema,
        tree="" if schema.is_hdf5 else tree or schema.tree,
        event=names["event"],
        pdg=names["pdg"],
        momentum=momentum_branches,
        entry_point=entry_branches,
    )


def _of_format(sampler: ShowerSampler, files: Sequence[InputFile]) -> Schema:
    """The training data's schema, or the usual one of the inputs' format where that is another.

    Raises:
        DataError: Inputs of two formats.
        ConfigError: Inputs of energies alone for a model that is told more.
    """
    schema = sampler.bundle.info.schema
    formats = {file_format(file): file.path for file in files}
    if len(formats) > 1:
        msg = f"the inputs are of different formats ({', '.join(formats.values())}); give those of one"
        raise DataError(msg)
    if (("HDF5" in formats) == schema.is_hdf5) or not formats.keys() <= {"ROOT", "HDF5"}:
        return schema
    if schema.is_hdf5:
        return schema.as_layout("dense", sampler.geometry)
    told = [name for name in ("direction", "entry_point") if name in sampler.condition]
    if told:
        wanted = " and ".join(told)
        msg = f"{files[0].path}: has energies alone, but the model is told {wanted}; give ROOT files of particles"
        raise ConfigError(msg)
    return schema.as_layout("calochallenge", sampler.geometry)


def _require_possible(source: Schema, output: Schema, *, overlay: bool, placed: bool) -> None:
    for wanted, what in ((overlay, "events cannot be overlaid"), (placed, "showers cannot be placed")):
        if wanted and (source.is_hdf5 or output.is_hdf5):
            msg = f"{what}: HDF5 files have one particle an entry, and no place where it enters; use ROOT files"
            raise ConfigError(msg)


def _copied_branches(output: Schema, source: Schema) -> dict[str, str]:
    """Branches of the output and those of the inputs that they are copied from, where both mean the same."""
    pairs = [(output.event, source.event), (output.pdg, source.pdg)]
    if (len(output.momentum), output.momentum_unit) == (len(source.momentum), source.momentum_unit):
        pairs += zip(output.momentum, source.momentum, strict=True)
    if output.entry_point and source.entry_point:
        pairs += zip(output.entry_point, source.entry_point, strict=True)
    return {written: read for written, read in pairs if written is not None and read is not None}


def _require_one_type(files: Sequence[InputFile], source: Schema, *, overlay: bool) -> dict[str, str]:
    """Types of the first input's branches; the others must fit into them."""
    types: dict[str, str] = {}
    for file in files:
        found = read_types(file, particle_schema(source), lists=overlay)
        for branch in found.columns:
            if overlay and branch != source.event:
                dtype = found.jagged(branch, "fiu").content.dtype
            else:
                dtype = found.flat(branch, "fiu", {()}).dtype
            first = types.setdefault(branch, dtype.name)
            if not np.can_cast(dtype, first, "safe"):
                msg = f"{found.where(branch)}: {dtype.name} does not fit {first} of the first input; write two files"
                raise SchemaError(msg)
    return types


def _require_unique(inputs: Sequence[Input], source: Schema) -> None:
    """Refuse event ids that would give two showers the same noise; memory holds 8 bytes an entry."""
    events = np.empty(sum(one.entries for one in inputs), dtype=np.int64)
    done = 0
    for one in inputs:
        for ids in iterate_event_ids(one.file, source):
            events[done : done + len(ids)] = ids
            done += len(ids)
    events.sort()
    repeated = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(events) - 1, _COMPARED):
        some = events[start : start + _COMPARED + 1]
        repeated.append(some[1:][some[1:] == some[:-1]])
    again = np.unique(np.concatenate(repeated))
    if again.size:
        raise _twice(inputs, source, again)


def _twice(inputs: Sequence[Input], source: Schema, again: NDArray[np.int64]) -> DataError:
    seen: set[int] = set()
    for one in inputs:
        entry = 0
        for ids in iterate_event_ids(one.file, source):
            for row in np.flatnonzero(np.isin(ids, again)).tolist():
                event = int(ids[row])
                if event in seen:
                    return DataError(
                        f"{one.file.path}, branch '{source.event}', entry {entry + row}: event {event} is there twice, "
                        "and the two showers would share their noise; key the noise by the entry"
                    )
                seen.add(event)
            entry += len(ids)
    return DataError(f"branch '{source.event}': event {again[0]} is there twice; key the noise by the entry")
