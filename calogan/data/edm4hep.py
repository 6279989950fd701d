"""EDM4hep's collections of hits and particles -> hits at local positions, one shower an event.

Source:
    https://github.com/key4hep/EDM4hep/blob/main/edm4hep.yaml for the collections, https://github.com/AIDASoft/podio for
    their branches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data import root
from calogan.data.collections import Collections
from calogan.data.decode import Chunk, Jagged
from calogan.data.files import InputFile
from calogan.data.schema import Schema
from calogan.errors import DataError, SchemaError, near_miss
from calogan.physics.local_frame import Views

__all__ = ["as_hits", "find_branches", "iterate_hits"]

_WHOLE, _REAL = "iu", "fiu"
_XYZ = ("x", "y", "z")
_PARTICLE = ("PDG", "charge", "generatorStatus", "parents_begin", "parents_end")
_BEHIND = 0.1
"""Depth [mm] up to which a particle may start behind the front face, for rounding and for guns placed on the face."""
_NEAR = 1.0
"""Way to the front face [mm] on which a field bends no particle that matters."""
_COMPLETE = 0.01
"""Of an event's energy: by how much its contributions may differ from its hits."""


def iterate_hits(
    file: InputFile, schema: Schema, chunk_events: int, *, start: int = 0, stop: int | None = None
) -> Generator[Chunk, None, None]:
    """Read events of one file as the schema's branches: identifiers, incident particle, hits at local positions.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Collections and units.
        chunk_events: Events read at a time.
        start: First entry.
        stop: Entry to stop before; the end of the tree by default.

    Raises:
        DataError: The file is missing or damaged, or has an event without one incident particle, one that starts
            behind the front face or bends before it, or contributions that do not belong to the hits.
        SchemaError: It lacks the tree, a collection or one of its attributes.
    """
    branches = find_branches(file, schema)
    names = sorted(set(branches.values()))
    tree = file.tree or schema.tree
    with contextlib.closing(
        root.iterate_entries(file, tree, names, chunk_events, lists=True, start=start, stop=stop)
    ) as chunks:
        for chunk in chunks:
            yield as_hits(chunk, schema, branches)


def find_branches(file: InputFile, schema: Schema) -> dict[str, str]:
    """Branch of each attribute that is needed, such as ``MCParticles/MCParticles.PDG`` of ``MCParticles.PDG``.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: It lacks the tree, a collection or one of its attributes.
    """
    source, known = root.read_branches(file, file.tree or schema.tree)
    return {attribute: _find(attribute, known, source) for attribute in _attributes(_collections(schema))}


def as_hits(chunk: Chunk, schema: Schema, branches: Mapping[str, str]) -> Chunk:
    """Collections of events -> the schema's branches: identifiers, incident particle, hits at local positions.

    Args:
        chunk: The branches of `find_branches`.
        schema: Collections and units.
        branches: See `find_branches`.

    Raises:
        SchemaError: A branch of another type.
        DataError: An event without one incident particle, one that starts behind the front face or bends before it,
            or contributions that do not belong to the hits; names file, branch and entry.
    """
    events = _Events(chunk, schema, _collections(schema), branches)
    incident = events.incident()
    views = events.views(incident)
    event, energy, position = events.hits()
    local = views.to_local(position, event) / schema.length_in_mm
    counts = np.bincount(event, minlength=chunk.size)
    columns: dict[str, NDArray[np.generic] | Jagged] = {schema.energy[0]: Jagged(counts, energy)}
    columns |= {str(name): Jagged(counts, values) for name, values in zip(schema.place, local.T, strict=True)}
    columns |= dict(zip(schema.momentum, views.incident[:, :3].T, strict=True))
    columns |= dict(zip(schema.entry_point or (), views.incident[:, 3:].T / schema.length_in_mm, strict=True))
    columns[str(schema.pdg)] = events.particle("PDG", incident, _WHOLE)
    if schema.event is not None:
        columns[schema.event] = events.ids()
    return Chunk(chunk.source, chunk.start, chunk.size, columns)


@dataclass(frozen=True)
class _Events:
    """Reads the collections of a chunk."""

    chunk: Chunk
    schema: Schema
    collections: Collections
    branches: Mapping[str, str]

    def jagged(self, attribute: str, kinds: str = _REAL) -> Jagged:
        return self.chunk.jagged(self.branches[attribute], kinds)

    def vectors(self, name: str) -> NDArray[np.float64]:
        return np.column_stack([self.jagged(f"{name}.{axis}").content.astype(np.float64) for axis in _XYZ])

    def particle(self, attribute: str, index: NDArray[np.int64], kinds: str = _REAL) -> NDArray[np.generic]:
        values: NDArray[np.generic] = self.jagged(f"{self.collections.particles}.{attribute}", kinds).content[index]
        return values

    def where(self, attribute: str, event: int) -> str:
        return self.chunk.where(attribute, event)

    def ids(self) -> NDArray[np.int64]:
        """Run and event number in one id."""
        header = self.collections.header
        number, run = (self.jagged(f"{header}.{name}", _WHOLE) for name in ("eventNumber", "runNumber"))
        wrong = number.counts != 1
        if wrong.any():
            msg = f"{self.where(f'{header}.eventNumber', int(np.argmax(wrong)))}: expected one header an event"
            raise DataError(msg)
        large = (number.content < 0) | (number.content >= 1 << 32) | (run.content < 0) | (run.content >= 1 << 31)
        if large.any():
            first = int(np.argmax(large))
            msg = (
                f"{self.where(f'{header}.eventNumber', first)}: event {number.content[first]} of run "
                f"{run.content[first]} does not fit 63 bits; set header: null for ids from the file and the entry"
            )
            raise DataError(msg)
        return run.content.astype(np.int64) << 32 | number.content.astype(np.int64)

    def incident(self) -> NDArray[np.int64]:
        """The one particle with generatorStatus 1, or the one without parents, of each event."""
        name = self.collections.particles
        status = self.jagged(f"{name}.generatorStatus", _WHOLE)
        begin, end = (self.jagged(f"{name}.parents_{edge}", _WHOLE).content for edge in ("begin", "end"))
        event = np.repeat(np.arange(self.chunk.size), status.counts)
        stable = status.content == 1
        some = np.bincount(event[stable], minlength=self.chunk.size) > 0
        index = np.flatnonzero(np.where(some[event], stable, begin == end))
        counts = np.bincount(event[index], minlength=self.chunk.size)
        if (counts != 1).any():
            first = int(np.argmax(counts != 1))
            pdg = self.particle("PDG", index[event[index] == first][:4])
            found = f"{counts[first]} (pdg {', '.join(map(str, pdg))})" if counts[first] else "none"
            msg = (
                f"{self.where(f'{name}.generatorStatus', first)}: expected one incident particle an event, with "
                f"generatorStatus 1 or without parents, found {found}; leave such events out of the file"
            )
            raise DataError(msg)
        return index

    def views(self, incident: NDArray[np.int64]) -> Views:
        """The local frame of each event."""
        name = self.collections.particles
        vertex, momentum = (self.vectors(f"{name}.{which}")[incident] for which in ("vertex", "momentum"))
        for which, vectors in (("vertex", vertex), ("momentum", momentum)):
            good = np.isfinite(vectors).all(axis=1)
            if not good.all():
                first = int(np.argmin(good))
                msg = f"{self.where(f'{name}.{which}', first)}: is {vectors[first].tolist()}, expected finite numbers"
                raise DataError(msg)
        views = self.collections.frame.about(vertex * self.schema.length_in_mm, momentum)
        behind = views.behind > _BEHIND
        if behind.any():
            first = int(np.argmax(behind))
            msg = (
                f"{self.where(f'{name}.vertex', first)}: the incident particle starts {views.behind[first]:.4g} mm "
                "behind the front face; correct local_frame or units.length"
            )
            raise DataError(msg)
        bent = (self.particle("charge", incident) != 0) & (views.flight > _NEAR)
        if bent.any() and not self.collections.straight:
            first = int(np.argmax(bent))
            msg = (
                f"{self.where(f'{name}.charge', first)}: the incident particle is charged and flies "
                f"{views.flight[first]:.4g} mm to the front face, where a field bends it: set charged: straight if "
                "there is none, or let particles start on the face"
            )
            raise DataError(msg)
        return views

    def hits(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Event, energy and position [mm] of each hit of all collections, in the order of the events."""
        steps = self.collections.contributions or (None,) * len(self.collections.hits)
        parts = [self._hits(name, other) for name, other in zip(self.collections.hits, steps, strict=True)]
        event, energy, position = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.argsort(event, kind="stable")
        return event[order], energy[order], position[order] * self.schema.length_in_mm

    def _hits(
        self, name: str, contributions: str | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        energy, position = self.jagged(f"{name}.energy"), self.vectors(f"{name}.position")
        event = np.repeat(np.arange(self.chunk.size), energy.counts)
        if contributions is None:
            return event, energy.content.astype(np.float64), position
        hit, index = self._contributions(name, contributions)
        part = self.jagged(f"{contributions}.energy").content[index].astype(np.float64)
        step = self.vectors(f"{contributions}.stepPosition")[index]
        self._check_steps(event, energy, event[hit], part, step, contributions)
        return event[hit], part, step

    def _contributions(self, name: str, contributions: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hit and index, both flat, of each contribution that a hit of `name` refers to."""
        begin, end, relation = (
            self.jagged(f"{name}.{which}", _WHOLE)
            for which in ("contributions_begin", "contributions_end", "contributions")
        )
        counts = end.content.astype(np.int64) - begin.content.astype(np.int64)
        event = np.repeat(np.arange(self.chunk.size), begin.counts)
        beyond = (counts < 0) | (end.content > relation.counts[event])
        if beyond.any():
            raise self._dangling(name, "contributions_end", int(event[np.argmax(beyond)]))
        hit = np.repeat(np.arange(len(counts)), counts)
        inside = np.arange(len(hit)) - np.repeat(np.cumsum(counts) - counts, counts)
        at = _first(relation.counts)[event[hit]] + begin.content.astype(np.int64)[hit] + inside
        index = relation.content[at].astype(np.int64)
        available = self.jagged(f"{contributions}.energy").counts
        beyond = (index < 0) | (index >= available[event[hit]])
        if beyond.any():
            raise self._dangling(name, "contributions", int(event[hit[np.argmax(beyond)]]))
        return hit, _first(available)[event[hit]] + index

    def _dangling(self, name: str, attribute: str, event: int) -> DataError:
        return DataError(f"{self.where(f'{name}.{attribute}', event)}: refers to contributions that are not there")

    def _check_steps(
        self,
        event: NDArray[np.int64],
        energy: Jagged,
        owner: NDArray[np.int64],
        part: NDArray[np.float64],
        step: NDArray[np.float64],
        contributions: str,
    ) -> None:
        remedy = "set position: hit to take the hits' own"
        nowhere = ~step.any(axis=1)
        if nowhere.any():
            where = self.where(f"{contributions}.stepPosition", int(owner[np.argmax(nowhere)]))
            msg = f"{where}: a step at 0, 0, 0: the positions were not kept; {remedy}"
            raise DataError(msg)
        hits, steps = (
            np.bincount(of, weights=values, minlength=self.chunk.size)
            for of, values in ((event, energy.content), (owner, part))
        )
        differ = np.abs(steps - hits) > _COMPLETE * hits
        if differ.any():
            first = int(np.argmax(differ))
            msg = (
                f"{self.where(f'{contributions}.energy', first)}: adds up to {steps[first]:.4g}, the hits to "
                f"{hits[first]:.4g}: contributions are missing; {remedy}"
            )
            raise DataError(msg)


def _collections(schema: Schema) -> Collections:
    if schema.collections is None:
        msg = f"layout '{schema.layout}' has no collections"
        raise SchemaError(msg)
    return schema.collections


def _first(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the list of each event begins in the flat content."""
    return np.cumsum(counts) - counts


def _attributes(collections: Collections) -> list[str]:
    hits = ["energy", *_axes("position")]
    if collections.contributions:
        hits += ["contributions_begin", "contributions_end", "contributions"]
    wanted = [(collections.particles, [*_PARTICLE, *_axes("vertex"), *_axes("momentum")])]
    wanted += [(name, hits) for name in collections.hits]
    wanted += [(name, ["energy", *_axes("stepPosition")]) for name in collections.contributions]
    if collections.header is not None:
        wanted.append((collections.header, ["eventNumber", "runNumber"]))
    return [f"{name}.{attribute}" for name, attributes in wanted for attribute in attributes]


def _axes(name: str) -> list[str]:
    return [f"{name}.{axis}" for axis in _XYZ]


def _find(attribute: str, known: Collection[str], source: str) -> str:
    name, _, rest = attribute.partition(".")
    for branch in _spellings(name, rest):
        if branch in known:
            return branch
    if any(branch.startswith(f"{name}_objIdx") for branch in known):
        msg = f"{source}: collection '{name}' only refers to objects of another one; name that instead"
        raise SchemaError(msg)
    others = sorted({branch.rpartition("/")[2].removesuffix(f".{rest}") for branch in known if branch.endswith(rest)})
    if any(branch == name or branch.startswith(f"{name}/") for branch in known):
        msg = f"{source}: collection '{name}' has no '{rest}'"
    else:
        msg = f"{source}: no collection '{name}' with '{rest}'"
    msg = f"{msg}; {near_miss(name, others)}"
    raise SchemaError(msg)


def _spellings(name: str, rest: str) -> list[str]:
    """Branches that an attribute may be in: of a TTree, of an RNTuple, and of an older podio."""
    if rest == "contributions":
        relation = f"_{name}_contributions"
        return [f"{relation}/{relation}.index", f"{relation}.index", f"{name}#0/{name}#0.index"]
    return [f"{name}/{name}.{rest}", f"{name}.{rest}"]
