"""What is to be generated: the inputs, cut into parts, and all that decides what comes out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import calogan
from calogan.data.events import Events
from calogan.data.files import HDF5_SUFFIXES, ROOT_SUFFIXES, InputFile
from calogan.data.particles import Particles
from calogan.data.schema import Schema
from calogan.data.trees import ShowerTrees
from calogan.data.writer import TreeSpec
from calogan.sampler import GeneratedShowers, PlacedShowers, ShowerSampler
from calogan.sampler.placement import Placement, WindowPlacement
from calogan.stages.generate.selection import Reason, Selection

__all__ = ["Input", "Job", "Key", "Made", "Part", "Piece"]

Key = Literal["event", "entry"]


@dataclass(frozen=True)
class Input:
    """A file of particles or events, with its number of entries and the fingerprint of its content."""

    file: InputFile
    entries: int
    fingerprint: str


@dataclass(frozen=True)
class Part:
    """Entries of all inputs one after the other, from `start` to before `stop`."""

    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Piece:
    """What of one file is in a part: entries `start` to before `stop`; `before` entries are in the files before it."""

    file: InputFile
    before: int
    start: int
    stop: int


@dataclass(frozen=True)
class Made:
    """Showers where they belong, and the energy in cells beyond the calorimeter's edges [GeV]."""

    showers: GeneratedShowers
    lost_energy: float


@dataclass(frozen=True)
class Job:
    """All that a worker has to know.

    Attributes:
        sampler: Makes the showers.
        place: Where the showers are put.
        selection: Particles that it makes them for.
        seed: Seed of the noise.
        base_seed: What it was derived from, with the inputs; None if it was given.
        key: What a shower's noise is keyed by, besides the seed.
        inputs: Files, in their order.
        source: Branches and units of the inputs.
        trees: Trees to write showers to.
        copied: Branches of the output and those of the inputs that they are copied from.
        left: Tree of the particles that are left to the full simulation where events are overlaid, else none.
        rntuple: Whether RNTuples are written instead of TTrees.
        part_showers: Entries in a part.
        chunk: Showers in memory at a time.
    """

    sampler: ShowerSampler
    place: Placement
    selection: Selection
    seed: int
    base_seed: int | None
    key: Key
    inputs: tuple[Input, ...]
    source: Schema
    trees: ShowerTrees
    copied: Mapping[str, str]
    left: TreeSpec | None
    rntuple: bool
    part_showers: int
    chunk: int

    @property
    def entries(self) -> int:
        """Entries of all inputs."""
        return sum(one.entries for one in self.inputs)

    @property
    def moved(self) -> bool:
        """Whether showers are moved to other cells than those that they are made in."""
        return not isinstance(self.place, WindowPlacement)

    @property
    def unit(self) -> str:
        """What an entry is."""
        return "showers" if self.left is None else "events"

    @property
    def parts(self) -> list[Part]:
        """The work in pieces; one without entries if there are none at all."""
        starts = range(0, max(self.entries, 1), self.part_showers)
        return [
            Part(number, start, min(start + self.part_showers, self.entries)) for number, start in enumerate(starts)
        ]

    @property
    def form(self) -> dict[str, bool]:
        """Format of the output, as `open_file` takes it."""
        return {"is_hdf5": self.trees.is_hdf5, "rntuple": self.rntuple}

    @property
    def suffix(self) -> str:
        """Suffix of files of the output's format."""
        return HDF5_SUFFIXES[0] if self.trees.is_hdf5 else ROOT_SUFFIXES[0]

    @property
    def specs(self) -> tuple[TreeSpec, ...]:
        """Trees of the output."""
        return (*self.trees.specs, *(() if self.left is None else (self.left,)))

    @property
    def block(self) -> int:
        """Entries written at a time to all trees."""
        return min(spec.block for spec in self.specs)

    @cached_property
    def provenance(self) -> dict[str, str]:
        """What the output says of its making; only the command depends on how the work is cut."""
        told = {
            "bundle": self.sampler.version,
            "calogan": calogan.__version__,
            "seed": str(self.seed),
            "key": self.key,
            "inputs": ", ".join(one.file.path for one in self.inputs),
            "command": shlex.join(sys.argv),
        }
        if self.base_seed is not None:
            told["base_seed"] = str(self.base_seed)
        if self.moved:
            told["placement"] = "cell"
        return told if self.left is None else told | {"reason": Reason.legend()}

    def settings(self) -> dict[str, Any]:
        """What decides the content of the parts, as plain values for JSON."""
        return {
            "bundle": self.sampler.version,
            "calogan": calogan.__version__,
            "seed": self.seed,
            "key": self.key,
            "overlay": self.left is not None,
            "pdg": list(self.selection.pdg),
            "domain": self.selection.domain.to_dict(),
            "threshold": self.sampler.bundle.info.threshold,
            "moved": self.moved,
            "cells": self.trees.geometry.to_dict(),
            "inputs": [[one.file.path, one.file.tree, one.entries, one.fingerprint] for one in self.inputs],
            "input_branches": self.source.digest,
            "trees": [[spec.name, dict(spec.types)] for spec in self.specs],
            "rntuple": self.rntuple,
            "part_showers": self.part_showers,
        }

    def pieces(self, part: Part) -> Iterator[Piece]:
        """What is to be read for a part, file by file."""
        before = 0
        for one in self.inputs:
            start, stop = max(part.start - before, 0), min(part.stop - before, one.entries)
            if start < stop:
                yield Piece(one.file, before, start, stop)
            before += one.entries

    def types(self, found: Particles | Events) -> NDArray[np.int32] | None:
        """PDG ids, shape ``(particles,)``: those of the inputs, else the only one; None if neither is known."""
        if self.source.is_typed:
            return found.pdg
        only = self.selection.only_pdg
        return np.full(len(found.pdg), only, dtype=np.int32) if only else None

    def make(
        self,
        event: NDArray[np.int64],
        incident: NDArray[np.float32],
        pdg: NDArray[np.int32],
        shower_id: NDArray[np.int64],
        particle: NDArray[np.int64] | None = None,
    ) -> Made:
        """Showers for particles that the selection keeps.

        However many are asked for at a time, energies are the same within 1e-5, but for cells at the threshold.

        Args:
            event: Event ids, shape ``(showers,)``.
            incident: px, py, pz [GeV], x, y [mm] as by `Selection.seen`, shape ``(showers, 5)``.
            pdg: PDG ids, shape ``(showers,)``.
            shower_id: Key of the noise, shape ``(showers,)``.
            particle: Index in the event, shape ``(showers,)``; none stands for 0.
        """
        cells = self.sampler.cell_energy(self.place.to_window(incident), self.seed, shower_id, particle, pdg)
        showers = self.place.place(
            GeneratedShowers(
                geometry=self.sampler.geometry,
                event=event,
                incident=incident,
                cell_energy=cells,
                pdg=pdg,
                seed=self.seed,
                particle=particle,
                counts=None,
                schema=self.sampler.bundle.info.schema,
                provenance={},
            )
        )
        lost = float(showers.lost_energy.sum()) if isinstance(showers, PlacedShowers) else 0.0
        return Made(showers, lost)
