"""What files hold, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from calogan.data.schema import length_in_mm, per_gev
from calogan.geometry import Geometry
from calogan.inspection.cells import Cells
from calogan.inspection.choice import Choice
from calogan.inspection.content import FileContent, Tree
from calogan.inspection.names import readable
from calogan.inspection.sample import Sample
from calogan.inspection.scan import Particles
from calogan.inspection.suggestion import Units
from calogan.inspection.units import PLAUSIBLE
from calogan.physics.particles import particle_name

__all__ = ["Seen", "describe_findings", "describe_trees", "describe_warnings"]

_MOST_NAMES, _MOST_TYPES = 12, 15


@dataclass(frozen=True)
class Seen:
    """All that was seen of files.

    Attributes:
        choices: How they are read.
        particles: Incident particles.
        sample: Showers.
        geometry: Their cells, of any size.
        units: Units of the files.
        cells: The suggested cells.
        threshold: Of a cell, in the files' unit of energy.
    """

    choices: Sequence[Choice]
    particles: Particles
    sample: Sample
    geometry: Geometry
    units: Units
    cells: Cells
    threshold: float


def describe_trees(content: FileContent) -> Iterator[tuple[str, ...]]:
    """Rows of tree, entries, type and the branches of this type; parts of objects are left out."""
    for name, tree in content.trees.items():
        types = _by_type(tree)
        for number, (type_, names) in enumerate(types.items()):
            head = ("", "") if number else (name, str(tree.entries))
            if number == _MOST_TYPES:
                yield *head, "", f"and {len(types) - number} more types"
                break
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            yield tuple(readable(text) for text in (*head, type_, ", ".join(names[:_MOST_NAMES]) + more))


def describe_findings(seen: Seen) -> Iterator[tuple[str, str]]:
    """Rows of a subject and what is found."""
    units, particles, sample = seen.units, seen.particles, seen.sample
    gev, mm = 1 / per_gev(units.guessed.momentum), length_in_mm(units.length)
    for choice in seen.choices:
        count = len(choice.files)
        yield "layout", readable(f"{choice.candidate.place}{f' ({count} files)' if count > 1 else ''}")
        for other in choice.others:
            yield "or", readable(other.place)
    looked = "all" if particles.is_complete else str(particles.looked_at)
    yield "showers", f"{particles.entries}; looked at: particles of {looked}, cells of {sample.showers}"
    low, high = (bound * gev for bound in particles.momentum)
    yield "momentum", f"{low:.5g} to {high:.5g} GeV"
    yield "angle to the axis", f"up to {math.degrees(particles.max_angle):.4g} degrees"
    if all(choice.group.schema.entry_point is not None for choice in seen.choices):
        windows = zip("xy", (particles.entry_x, particles.entry_y), strict=True)
        spans = (f"{axis} {one * mm:.5g} to {other * mm:.5g} mm" for axis, (one, other) in windows)
        yield "entry point", ", ".join(spans)
    yield "particles", _particles(particles.pdg)
    yield "event ids", _events(particles)
    yield "units", _units(units)
    lit = f"{sample.lit(seen.threshold):.4g} of {seen.geometry.n_cells} cells above"
    scaled = seen.threshold / per_gev(units.guessed.energy) * 1e3
    yield "threshold", f"{scaled:.4g} MeV: {lit}, {sample.below(seen.threshold):.2%} of the energy below"
    yield "empty showers", f"{sample.empty} of {sample.showers}"
    yield "cells", f"{_grid(seen.geometry)}; {'; '.join(seen.cells.known)}"
    if seen.cells.assumed:
        yield "assumed", "; ".join(seen.cells.assumed)


def describe_warnings(seen: Seen) -> Iterator[str]:
    """What a user should look at."""
    guessed, particles = seen.units.guessed, seen.particles
    if not guessed.is_plausible:
        low, high = PLAUSIBLE
        yield (
            f"with energies in {guessed.energy} and momenta in {guessed.momentum} the calorimeter sees "
            f"{guessed.response:.3g} of a particle's energy, expected {low:g} to {high:g}; plausible: "
            f"{_pairs(guessed.others) or 'no units'}"
        )
    if particles.repeated:
        yield (
            f"{particles.repeated} of {particles.looked_at} event ids are there before: event is null in the "
            "configuration, and showers are told apart by file and entry"
        )
    if particles.backwards:
        yield (
            f"{particles.backwards} of {particles.looked_at} particles have pz <= 0, which never reach the front face: "
            "prepare leaves them out; is the calorimeter's axis z?"
        )
    for choice in seen.choices:
        yield from (readable(note) for note in choice.candidate.notes)


def _by_type(tree: Tree) -> Mapping[str, list[str]]:
    types: dict[str, list[str]] = {}
    for branch in tree.branches:
        if "/" not in branch.name:
            types.setdefault(branch.type, []).append(branch.name)
    return types


def _particles(counts: Mapping[int, int]) -> str:
    if set(counts) == {0}:
        return "of unknown type"
    ordered = sorted(counts.items(), key=lambda one: -one[1])
    return ", ".join(f"{particle_name(pdg) or f'pdg {pdg}'} ({pdg}) {count}" for pdg, count in ordered)


def _events(particles: Particles) -> str:
    if particles.event is None:
        return "none: showers are told apart by file and entry"
    if particles.repeated:
        return f"not unique: {particles.repeated} of {particles.looked_at} repeated"
    return "unique" if particles.is_complete else f"unique in the {particles.looked_at} that were looked at"


def _units(units: Units) -> str:
    guessed = units.guessed
    also = f"; also plausible: {_pairs(guessed.others)}" if guessed.others and guessed.is_plausible else ""
    return (
        f"energy {guessed.energy}, momentum {guessed.momentum}, length {units.length}: "
        f"{guessed.response:.3g} of |p| is seen{also}"
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"energy {energy} with momentum {momentum}" for energy, momentum in pairs)


def _grid(geometry: Geometry) -> str:
    shapes = [f"{layer.rows}x{layer.columns}" for layer in geometry.layers]
    counted = [(shape, len(list(same))) for shape, same in groupby(shapes)]
    return ", ".join(f"{count} layers of {shape}" if count > 1 else shape for shape, count in counted)
