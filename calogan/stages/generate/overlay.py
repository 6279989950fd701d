"""Events of many particles: showers summed cell by cell, and the particles that are left to the full simulation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Jagged
from calogan.data.events import Events
from calogan.data.hits import Hits
from calogan.data.schema import Schema
from calogan.data.writer import Columns, TreeSpec
from calogan.errors import SchemaError
from calogan.stages.generate.job import Job

__all__ = ["left_particles", "left_tree", "overlay"]

_INDEX, _REASON, _COUNTER = "particle_index", "reason", "nleft"


def overlay(job: Job, events: Events, kept: NDArray[np.bool_], shower_id: NDArray[np.int64]) -> tuple[Hits, float]:
    """Energy in each cell of each event, summed over the showers of its particles in double precision.

    Each shower is cut at the read-out threshold before it is added: a cell that several showers leave below the
    threshold stays dark, even if they are above it together.

    Args:
        job: Makes the showers.
        events: Events with all of their particles, whose index in the event is part of the noise's key.
        kept: Particles that showers are made for, shape ``(particles,)``.
        shower_id: Key of the noise of each event, shape ``(events,)``.

    Returns:
        Hits of the events, those without a shower included, and the energy beyond the calorimeter's edges [GeV].
    """
    counts = np.bincount(events.row[kept], minlength=len(events))
    types = job.types(events)
    events = events if types is None else replace(events, pdg=types)
    found, lost_energy = [], 0.0
    for start, stop in _spans(counts, job.chunk):
        rows = np.flatnonzero(kept & (events.row >= start) & (events.row < stop))
        hits, lost = _shower_hits(job, events, rows, shower_id)
        found.append(hits.summed(events.row[rows], len(events)))
        lost_energy += lost
    return _join(job, found, len(events)), lost_energy


def left_tree(source: Schema, tree: str, types: Mapping[str, str]) -> TreeSpec:
    """Tree of the particles that are left, one event an entry as in the output.

    Args:
        source: Branches of the inputs.
        tree: Tree of the output, whose name goes into this one's.
        types: Types of the inputs' branches.

    Raises:
        SchemaError: An input's branch has a name that this tree needs for another.
    """
    lists = [branch for branch in (source.pdg, *source.incident_branches) if branch is not None]
    event = source.event or "event"
    for branch in (*lists, event):
        if branch in (_INDEX, _REASON, _COUNTER) or (branch == event and branch in lists):
            msg = f"input branch '{branch}': the tree of particles left has another of that name; rename it"
            raise SchemaError(msg)
    copied = {branch: f"var * {types[branch]}" for branch in lists}
    own = {event: types.get(event, "int64"), _INDEX: "var * int32", _REASON: "var * uint8"}
    return TreeSpec(f"{tree}_left", own | copied, _COUNTER)


def left_particles(source: Schema, events: Events, ids: NDArray[Any], reasons: NDArray[np.uint8]) -> Columns:
    """Branches of `left_tree`.

    Args:
        source: Branches of the inputs.
        events: Events with all of their particles.
        ids: Event ids to write, shape ``(events,)``.
        reasons: Why each particle is left, 0 for the others, shape ``(particles,)``.
    """
    rows = np.flatnonzero(reasons)
    counts = np.bincount(events.row[rows], minlength=len(events))
    lists = {branch: events.columns[branch] for branch in (source.pdg, *source.incident_branches) if branch is not None}
    lists |= {_INDEX: events.particle.astype(np.int32), _REASON: reasons}
    return {source.event or "event": ids} | {branch: Jagged(counts, values[rows]) for branch, values in lists.items()}


def _spans(counts: NDArray[np.int64], limit: int) -> Iterator[tuple[int, int]]:
    """Cut events, each with so many showers, into spans of at most `limit` showers, or of one event."""
    start, showers = 0, 0
    for event, count in enumerate(counts.tolist()):
        if event > start and showers + count > limit:
            yield start, event
            start, showers = event, 0
        showers += count
    yield start, len(counts)


def _shower_hits(job: Job, events: Events, rows: NDArray[np.int64], shower_id: NDArray[np.int64]) -> tuple[Hits, float]:
    """Hits of the showers of some particles, in their order; memory holds the cells of `Job.chunk` showers."""
    found, lost_energy = [], 0.0
    for start in range(0, len(rows), job.chunk):
        some = rows[start : start + job.chunk]
        ids, incident = shower_id[events.row[some]], job.selection.seen(events.incident[some])
        made = job.make(ids, incident, events.pdg[some], ids, events.particle[some])
        hits = made.showers.hits()
        found.append(Hits(hits.geometry, len(rows), hits.shower + start, hits.cell, hits.energy))
        lost_energy += made.lost_energy
    return _join(job, found, len(rows)), lost_energy


def _join(job: Job, pieces: list[Hits], count: int) -> Hits:
    """Hits that are numbered already, in one."""
    empty = np.empty(0, dtype=np.int64)
    shower, cell = (np.concatenate([empty, *(getattr(piece, name) for piece in pieces)]) for name in ("shower", "cell"))
    energy = np.concatenate([np.empty(0, dtype=np.float32), *(piece.energy for piece in pieces)])
    return Hits(job.trees.geometry, count, shower, cell, energy)
