"""One part of the work: particles or events in, a file of showers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calogan.data.events import Events, iterate_events
from calogan.data.particles import Particles, iterate_particles
from calogan.data.writer import FileWriter
from calogan.data.writing import open_file
from calogan.stages.generate.job import Job, Part, Piece
from calogan.stages.generate.outside import OutsideList
from calogan.stages.generate.overlay import left_particles, overlay
from calogan.stages.generate.writing import GOES_ON

__all__ = ["Advance", "Tally", "make_part"]

Advance = Callable[[int, int], None]
"""Called with the entries of each chunk and the particles that it leaves out."""


@dataclass(frozen=True)
class Tally:
    """Showers that were made, particles that were left out, and energy beyond the calorimeter's edges [GeV]."""

    showers: int = 0
    outside: int = 0
    lost_energy: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.showers + other.showers, self.outside + other.outside, self.lost_energy + other.lost_energy)


def make_part(job: Job, part: Part, path: Path, listed: Path, advance: Advance) -> Tally:
    """Write the showers of a part.

    Args:
        job: What is to be made.
        part: Entries to make it for.
        path: File to write.
        listed: List of the particles outside, which appears where there are any; not for an overlay.
        advance: Told of every chunk.

    Raises:
        DataError: An input that is missing or damaged, or a part that cannot be written.
        SchemaError: An input that lacks the tree or a branch.
    """
    tally = Tally()
    with (
        OutsideList(listed) as outside,
        open_file(path, job.specs, **job.form, provenance=job.provenance, hint=GOES_ON) as writer,
    ):
        for piece in job.pieces(part):
            if job.left is None:
                for particles in iterate_particles(piece.file, job.source, job.chunk, piece.start, piece.stop):
                    done = _make_showers(job, piece, particles, writer, outside)
                    tally += done
                    advance(len(particles), done.outside)
            else:
                for events in iterate_events(piece.file, job.source, job.block, piece.start, piece.stop):
                    done = _make_events(job, piece, events, writer)
                    tally += done
                    advance(len(events), done.outside)
    return tally


def _make_showers(job: Job, piece: Piece, particles: Particles, writer: FileWriter, listed: OutsideList) -> Tally:
    running = piece.before + particles.entry
    event = running if particles.event is None else particles.event
    shower_id = event if job.key == "event" else running
    types = job.types(particles)
    incident = job.selection.seen(particles.incident)
    reasons = job.selection.reasons(incident, types)
    kept = np.flatnonzero(reasons == 0)
    pdg = np.zeros(len(particles), dtype=np.int32) if types is None else types
    listed.add(particles, reasons, event, pdg)
    made = job.make(event[kept], incident[kept], pdg[kept], shower_id[kept])
    for start in range(0, len(kept), job.block):
        some, rows = made.showers[start : start + job.block], kept[start : start + job.block]
        copied = {written: particles.columns[read][rows] for written, read in job.copied.items()}
        job.trees.write(writer, some, copied, some.hits() if job.moved else None)
    return Tally(len(kept), len(particles) - len(kept), made.lost_energy)


def _make_events(job: Job, piece: Piece, events: Events, writer: FileWriter) -> Tally:
    running = piece.before + events.start + np.arange(len(events))
    event = running if events.event is None else events.event
    shower_id = event if job.key == "event" else running
    reasons = job.selection.reasons(job.selection.seen(events.incident), job.types(events))
    ids = running if job.source.event is None else events.columns[job.source.event]
    branch = job.trees.schemas[0].event
    hits, lost_energy = overlay(job, events, reasons == 0, shower_id)
    job.trees.write(writer, hits, {} if branch is None else {branch: ids})
    if job.left is not None:
        writer.extend(job.left.name, left_particles(job.source, events, ids, reasons))
    showers = int(np.count_nonzero(reasons == 0))
    return Tally(showers, len(reasons) - showers, lost_energy)
