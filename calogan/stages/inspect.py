"""The inspect stage: files -> what is in them, and a configuration to prepare them with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calogan.data.cloud import Cloud, cloud_of
from calogan.data.decode import Chunk
from calogan.data.files import HDF5_SUFFIXES, ROOT_SUFFIXES, InputFile, expand_files
from calogan.data.reading import fingerprint
from calogan.data.split import SPLITS, assign_splits, entry_ids
from calogan.errors import GeometryError, SchemaError
from calogan.geometry import Layer
from calogan.inspection.cells import Given, suggest_cells
from calogan.inspection.choice import Choice, choose
from calogan.inspection.content import FileContent, read_content
from calogan.inspection.findings import Seen, describe_findings, describe_trees, describe_warnings
from calogan.inspection.grid import Grid, grid_of_hits, grid_of_positions, grid_of_shapes
from calogan.inspection.known import CALOGAN, CALOGAN_SHAPES, find_binning
from calogan.inspection.layout import find_missing
from calogan.inspection.placing import Placed, place_cells
from calogan.inspection.sample import MOST_SHOWERS, read_chunks, summarise
from calogan.inspection.scan import Group, Particles, scan_particles
from calogan.inspection.suggestion import Suggestion, Units, suggest
from calogan.inspection.units import guess_length, guess_units
from calogan.stages.derivation import derive_cells

__all__ = ["Inspection", "inspect"]

_MOST_LISTED = 12  # files in a configuration
_MOST_SPLIT = 200  # showers: of more, no split is empty
_SAFE = 50  # showers: of fewer, a split may be empty, and nothing is learnt
_COVERAGE = 0.99  # of the energy of hits in a detector
_CELLS = 30  # along an axis, where hits are on no grid


@dataclass(frozen=True)
class Inspection:
    """What is in files.

    Attributes:
        contents: The files.
        findings: Subjects, and what is found; nothing where no showers are found.
        warnings: What a user should look at.
        missing: Why the configuration would not prepare; nothing where it does.
        suggestion: A configuration; None where no showers are found.
    """

    contents: tuple[FileContent, ...]
    findings: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    suggestion: Suggestion | None = None

    @property
    def trees(self) -> list[tuple[str, ...]]:
        """Rows of tree, entries, type and branches, of the first file."""
        return list(describe_trees(self.contents[0]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "files": [_plain(content) for content in self.contents],
            "findings": [list(row) for row in self.findings],
            "warnings": list(self.warnings),
            "missing": list(self.missing),
            "config": None if self.suggestion is None else self.suggestion.values,
            "yaml": None if self.suggestion is None else self.suggestion.yaml,
        }


def inspect(patterns: Sequence[str], given: Given, units: Mapping[str, str]) -> Inspection:
    """Look into files: at their trees, their particles, and a spread of their showers.

    Args:
        patterns: As for `expand_files`.
        given: What is known of the cells.
        units: Known units of energy, momentum and length.

    Raises:
        DataError: A missing or damaged file, or an impossible value; names file, branch and entry.
        SchemaError: Files that do not go together.
        ConfigError: Cell sizes or depths of another number of layers.
    """
    contents = tuple(read_content(file) for file in _expand(patterns))
    choices = choose(contents)
    if not choices:
        missing = (f"{content.file.path}: {line}" for content in contents for line in find_missing(content))
        return Inspection(contents, missing=tuple(missing))
    groups = [choice.group for choice in choices]
    if not any(sum(group.entries) for group in groups):
        return Inspection(contents, missing=("the files have no showers",))
    particles = scan_particles(groups)
    seen = _look(choices, groups, particles, given, units)
    unique = particles.event is not None and not particles.repeated
    sources = [_source(choice, patterns, seen.units, alone=len(choices) == 1, unique=unique) for choice in choices]
    remarks = [choice.candidate.notes for choice in choices]
    suggestion = suggest(_name(contents), sources, remarks, particles, seen.threshold, seen.units, seen.cells)
    return Inspection(
        contents,
        tuple(describe_findings(seen)),
        tuple(describe_warnings(seen)),
        tuple(_missing(groups, particles, unique=unique)),
        suggestion,
    )


def _expand(patterns: Sequence[str]) -> list[InputFile]:
    return expand_files(patterns, (*ROOT_SUFFIXES, *HDF5_SUFFIXES))


def _plain(content: FileContent) -> dict[str, Any]:
    trees = {
        name: {"entries": tree.entries, "branches": {branch.name: branch.type for branch in tree.branches}}
        for name, tree in content.trees.items()
    }
    return {"path": content.file.path, "format": content.format, "trees": trees}


def _look(
    choices: Sequence[Choice], groups: Sequence[Group], particles: Particles, given: Given, units: Mapping[str, str]
) -> Seen:
    chunks = [read_chunks(group, max(1, MOST_SHOWERS * sum(group.entries) // particles.entries)) for group in groups]
    given, doubts = _recognised(choices, given)
    grid = _grid(choices, groups, chunks, given, doubts)
    given.check(grid.geometry)
    sample = summarise([(some, group.schema) for some, group in zip(chunks, groups, strict=True)], grid.geometry)
    placed = place_cells(sample, grid.geometry)
    guessed = guess_units(sample.response, particles.mean_momentum, units)
    known = Units(guessed, units.get("length") or _length(grid, placed, given))
    if grid.doubts_rest and sample.showers < particles.entries:
        rest = particles.entries - sample.showers
        grid = replace(grid, doubts=(*grid.doubts, f"no hit of the other {rest} showers lies beyond these cells"))
    cells = suggest_cells(grid, placed, known.length, given)
    return Seen(choices, particles, sample, grid.geometry, known, cells, sample.suggest_threshold())


def _recognised(choices: Sequence[Choice], given: Given) -> tuple[Given, tuple[str, ...]]:
    """The calorimeter of the community that the files seem to come from, where none is given, and what that assumes."""
    candidate = choices[0].candidate
    if given != Given():
        return given, ()
    if candidate.layout == "calogan" and candidate.shapes == CALOGAN_SHAPES:
        return Given(CALOGAN), ("the calorimeter of arXiv:1705.02355, which has these layers",)
    if candidate.layout == "calochallenge":
        folders = sorted({Path(file.path).parent for file in choices[0].files if file.is_local})
        cells = candidate.shapes[0][1]
        if (found := find_binning(folders, cells)) is not None:
            return Given(found), (f"the binning of {found['xml']}, which lies beside the files and has {cells} cells",)
        return given, ("all cells are in one row of one layer: inspect with --xml BINNING.xml",)
    return given, ()


def _grid(
    choices: Sequence[Choice],
    groups: Sequence[Group],
    chunks: Sequence[Sequence[Chunk]],
    given: Given,
    doubts: tuple[str, ...],
) -> Grid:
    if (geometry := given.geometry()) is not None:
        return Grid(geometry, is_placed=True, why="the geometry as given", doubts=doubts, doubts_rest=False)
    grids = [_grid_of(choice, group, some) for choice, group, some in zip(choices, groups, chunks, strict=True)]
    exact = [grid for grid in grids if not grid.doubts_rest]
    best = (exact or grids)[0]
    for choice, grid in zip(choices, grids, strict=True):
        if not _fits(grid, best):
            msg = (
                f"{choice.files[0].path}: has cells of another calorimeter ({_shapes(grid)}) than "
                f"{choices[0].files[0].path} ({_shapes(best)}); inspect them one by one, or give --geometry"
            )
            raise SchemaError(msg)
    return replace(best, doubts=(*best.doubts, *doubts))


def _grid_of(choice: Choice, group: Group, chunks: Sequence[Chunk]) -> Grid:
    match choice.candidate.layout:
        case "dense" | "calogan" | "calochallenge":
            return grid_of_shapes(choice.candidate.shapes)
        case "hits":
            return grid_of_hits(chunks, group.schema)
        case "edm4hep":
            return _grid_of_cloud(cloud_of(chunks, group.schema))
        case _:
            return grid_of_positions(chunks, group.schema)


def _grid_of_cloud(cloud: Cloud) -> Grid:
    """The planes and the grid of hits in a detector, or equal cells where there are none."""
    try:
        found = derive_cells(cloud, coverage=_COVERAGE)
        doubts: tuple[str, ...] = ()
    except GeometryError as error:
        width = 6 * float(max(np.std(cloud.x), np.std(cloud.y)))
        size = float(f"{width / _CELLS:.2g}")
        found = derive_cells(cloud, cell_size=(size, size), layers=1, coverage=_COVERAGE)
        doubts = (f"one layer of cells of {size:g} mm, since {error}",)
    return Grid(found.geometry, is_placed=True, why="; ".join(found.notes[1:]), doubts=doubts)


def _fits(grid: Grid, best: Grid) -> bool:
    """Whether all cells of a grid are in another; hits of a sample need not light the outermost cells."""
    if grid.is_placed or best.is_placed:
        return grid == best
    layers = list(zip(grid.geometry.layers, best.geometry.layers, strict=False))
    within = all(one.rows <= other.rows and one.columns <= other.columns for one, other in layers)
    return within and grid.geometry.n_layers <= best.geometry.n_layers


def _shapes(grid: Grid) -> str:
    return ", ".join(f"{layer.rows}x{layer.columns}" for layer in grid.geometry.layers)


def _length(grid: Grid, placed: Placed, given: Given) -> str:
    first = grid.geometry.layers[0]
    if given.calorimeter is not None:
        return "mm"
    if grid.is_placed and isinstance(first, Layer):
        return guess_length(first.x_edges[-1] - first.x_edges[0], None)
    return guess_length(placed.axes[0].width if placed.axes else None, placed.mean_depth)


def _source(choice: Choice, patterns: Sequence[str], units: Units, *, alone: bool, unique: bool) -> dict[str, Any]:
    """Section ``data.sources``, with the patterns that were given or the files that they stand for."""
    files = [file.path if file.tree is None else f"{file.path}:{file.tree}" for file in choice.files]
    if alone and len(patterns) <= _MOST_LISTED:
        files = list(patterns)
    elif alone and len(folders := {str(Path(file.path).parent) for file in choice.files}) == 1:
        (folder,) = folders
        files = [folder] if _expand([folder]) == sorted(choice.files, key=lambda file: file.path) else files
    values = {"layout": choice.candidate.layout, "files": files, **choice.candidate.values, "units": units.values}
    name = "header" if choice.candidate.layout == "edm4hep" else "event"
    return values if unique else {**values, name: None}


def _name(contents: Sequence[FileContent]) -> str:
    """Name of the study: that of the file, or of the folder of several."""
    path = Path(contents[0].file.path)
    name = path.stem if len(contents) == 1 else path.parent.name
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-") or "study"


def _missing(groups: Sequence[Group], particles: Particles, *, unique: bool) -> list[str]:
    if particles.entries > _MOST_SPLIT or not particles.is_complete:
        return []
    if unique and particles.event is not None:
        event = particles.event
    else:
        ids = (
            entry_ids(fingerprint(file, group.schema), np.arange(count))
            for group in groups
            for file, count in zip(group.files, group.entries, strict=True)
        )
        event = np.concatenate(list(ids))
    counts = np.bincount(assign_splits(event), minlength=len(SPLITS))
    if counts.all() and particles.entries >= _SAFE:
        return []
    told = ", ".join(f"{split} {count}" for split, count in zip(SPLITS, counts, strict=True))
    refused = "" if counts.all() else "; prepare refuses an empty split"
    text = f"showers: {particles.entries} are too few for three splits ({told}){refused}"
    return [f"{text}; about {_SAFE} fill all, and a training needs thousands"]
