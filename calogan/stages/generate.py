"""Files of incident particles -> files of generated showers, as the full simulation would have written them."""

from __future__ import annotations

import csv
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

import calogan
from calogan.data.particles import Particles, iterate_particles, read_event_ids
from calogan.data.root import InputFile, ShowerWriter, expand_files
from calogan.data.schema import Layout, Schema
from calogan.data.showers import Showers
from calogan.errors import ConfigError, DataError, DomainError, near_miss
from calogan.physics.kinematics import Domain, momentum
from calogan.progress import Reporter, SilentReporter, Task
from calogan.sampler import ShowerSampler, load_sampler
from calogan.sampler.request import choose_seed

__all__ = ["Generation", "generate"]

Outside = Literal["list", "raise"]
Key = Literal["event", "entry"]


@dataclass(frozen=True)
class Generation:
    """What was written.

    Attributes:
        output: The ROOT file.
        showers: Showers in it.
        outside: Particles outside the domain, which are not in it.
        outside_list: Where those are listed, None if there are none.
    """

    output: Path
    showers: int
    outside: int
    outside_list: Path | None


def generate(
    bundle: str | Path,
    inputs: Sequence[str],
    output: str | Path,
    *,
    seed: int,
    tree: str | None = None,
    layout: Layout | None = None,
    rntuple: bool = False,
    input_branches: Mapping[str, str | None] | None = None,
    key: Key = "event",
    outside: Outside = "list",
    overwrite: bool = False,
    batch_size: int = 1000,
    chunk_showers: int = 5000,
    device: str = "auto",
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Generation:
    """Make a shower for each incident particle of the inputs.

    The output has the tree, branches, units and layout of the bundle's training data. Identifiers and incident
    particles are copied exactly, types included; energies are generated, and nothing else that the inputs hold is
    passed on.

    Args:
        bundle: As `load_sampler`.
        inputs: Files as for `expand_files`; they need no energies.
        output: ROOT file to write; it appears when it is complete.
        seed: Seed of the noise, from 0 to 2**64 - 1.
        tree: Name of the tree, in the inputs and the output, instead of the training data's; ``file.root:tree`` goes
            before it in an input.
        layout: Layout of the output instead of the training data's.
        rntuple: Write an RNTuple instead of a TTree.
        input_branches: Names in the inputs, where they differ from the training data's, of event, pdg, px, py, pz, x,
            y; None for an event or pdg branch that is not there.
        key: What a shower's noise is keyed by, besides the seed: the event id, which must be unique, or the entry,
            counted over all inputs. Without an event branch it is the entry, which is then the event id, too.
        outside: Leave out particles outside the domain and list them in ``OUTPUT.outside.csv``, or refuse them.
        overwrite: Replace an output that exists.
        batch_size: Showers made at a time; the showers do not depend on it.
        chunk_showers: Showers held in memory at a time.
        device: As `load_sampler`.
        threads: As `load_sampler`.
        reporter: Where progress goes.

    Raises:
        DataError: An input that is missing or damaged, event ids that are not unique, or an output that exists.
        SchemaError: An input that lacks the tree or a branch, or whose numbers do not fit the types of the first input.
        DomainError: Particles outside the domain, where they are to be refused.
        ConfigError: An option out of range.
        BundleError: The bundle is missing or damaged.
    """
    if chunk_showers < 1:
        msg = f"chunk_showers must be at least 1, got {chunk_showers}"
        raise ConfigError(msg)
    seed, reporter = choose_seed(seed), reporter or SilentReporter()
    sampler = load_sampler(bundle, device=device, threads=threads, batch_size=batch_size)
    schema = sampler.bundle.info.schema
    source = _input_schema(schema, tree, input_branches or {})
    files, output = expand_files(inputs), Path(output)
    _check_output(output, files, overwrite=overwrite)
    key = "entry" if source.event is None else key
    total = _count(files, source, key)
    provenance = {
        "bundle": sampler.version,
        "calogan": calogan.__version__,
        "seed": str(seed),
        "key": key,
        "inputs": ", ".join(file.path for file in files),
        "command": shlex.join(sys.argv),
    }
    work = _Work(sampler, seed, key, outside, _copied_branches(schema, source), typed=source.pdg is not None)
    with (
        # The last one to be entered ends first: the showers are in place before the list appears.
        _OutsideList(output.with_name(f"{output.name}.outside.csv")) as listed,
        ShowerWriter(
            output, schema, sampler.geometry, layout=layout, tree=tree, rntuple=rntuple, provenance=provenance
        ) as writer,
        reporter.task("generate", total, "showers") as task,
    ):
        for file in files:
            for particles in iterate_particles(file, source, chunk_showers):
                work.add(particles, writer, listed, task)
    if listed.count:
        reporter.warning(
            f"{listed.count} of {total} particles are outside the domain ({_describe_domain(sampler)}) and were left "
            f"out; {listed.path} lists them for the full simulation"
        )
    return Generation(output, total - listed.count, listed.count, listed.path if listed.count else None)


class _OutsideList(AbstractContextManager["_OutsideList"]):
    """A table of particles that were left out; the file appears at the end, if there is any."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self._stream = self._temporary.open("w", newline="", encoding="utf-8")
        self._table = csv.writer(self._stream)
        self._table.writerow(
            ["file", "entry", "event", "px [GeV]", "py [GeV]", "pz [GeV]", "x [mm]", "y [mm]", "reason"]
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None and self.count:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)
            if kind is None:
                self.path.unlink(missing_ok=True)

    def add(self, particles: Particles, reasons: Mapping[int, str]) -> None:
        """List the particles that there is a reason for, by their row."""
        for index, reason in reasons.items():
            event = "" if particles.event is None else int(particles.event[index])
            numbers = [f"{value:.9g}" for value in particles.incident[index]]
            self._table.writerow([particles.source, int(particles.entry[index]), event, *numbers, reason])
        self.count += len(reasons)


class _Work:
    """Makes the showers of one chunk after the other."""

    def __init__(
        self,
        sampler: ShowerSampler,
        seed: int,
        key: Key,
        outside: Outside,
        copied: Mapping[str, str],
        *,
        typed: bool,
    ) -> None:
        self._sampler, self._seed, self._key, self._outside = sampler, seed, key, outside
        self._copied, self._typed = copied, typed
        self._done = 0

    def add(self, particles: Particles, writer: ShowerWriter, listed: _OutsideList, task: Task) -> None:
        """Write the showers of a chunk, and list its particles outside the domain."""
        running = np.arange(self._done, self._done + len(particles))
        event = running if particles.event is None else particles.event
        shower_id = event if self._key == "event" else running
        pdg = particles.pdg if self._typed else np.full(len(particles), self._sampler.only_pdg, dtype=np.int32)
        incident = particles.incident.copy()
        if "entry_point" not in self._sampler.condition:
            incident[:, 3:] = self._sampler.domain.entry_centre
        inside, reasons = self._check(particles, incident)
        if reasons and self._outside == "raise":
            raise DomainError(_describe(particles, reasons, self._sampler))
        listed.add(particles, reasons)
        cells = self._sampler.cell_energy(incident[inside], self._seed, shower_id[inside])
        writer.extend(
            Showers(self._sampler.geometry, event[inside], particles.incident[inside], cells, pdg[inside]),
            {written: particles.columns[read][inside] for written, read in self._copied.items()},
        )
        self._done += len(particles)
        task.advance(len(particles), f"{listed.count} outside the domain" if listed.count else "")

    def _check(self, particles: Particles, incident: NDArray[np.float32]) -> tuple[NDArray[np.bool_], dict[int, str]]:
        """Flags of the particles to make showers for, and why each of the others is left out."""
        domain, known = self._sampler.domain, self._sampler.pdg
        outside = domain.outside(incident)
        other = ~np.isin(particles.pdg, known) if known and self._typed else np.zeros_like(outside)
        rows = np.flatnonzero(outside | other)
        reasons = _reasons(incident[rows], other[rows], domain)
        return ~(outside | other), dict(zip(rows.tolist(), reasons, strict=True))


def _input_schema(schema: Schema, tree: str | None, branches: Mapping[str, str | None]) -> Schema:
    names: dict[str, str | None] = {"event": schema.event, "pdg": schema.pdg}
    names |= dict(zip(("px", "py", "pz"), schema.momentum, strict=True))
    names |= dict(zip(("x", "y"), schema.entry_point or (), strict=schema.entry_point is not None))
    for name, branch in branches.items():
        if name not in names:
            msg = f"input branch {name!r}={branch!r}: not one that the model reads; {near_miss(name, names)}"
            raise ConfigError(msg)
        if branch is None and name not in {"event", "pdg"}:
            msg = f"input branch {name!r}: the incident particle cannot be without it; name its branch"
            raise ConfigError(msg)
        names[name] = branch
    momentum_branches: Any = tuple(names[name] for name in ("px", "py", "pz"))
    entry_point: Any = tuple(names[name] for name in ("x", "y")) if schema.entry_point else None
    return replace(
        schema,
        tree=tree or schema.tree,
        event=names["event"],
        pdg=names["pdg"],
        momentum=momentum_branches,
        entry_point=entry_point,
    )


def _copied_branches(schema: Schema, source: Schema) -> dict[str, str]:
    """Branches of the output and those of the inputs that they are copied from."""
    written = (schema.event, schema.pdg, *schema.incident_branches)
    read = (source.event, source.pdg, *source.incident_branches)
    pairs = zip(written, read, strict=True)
    return {output: given for output, given in pairs if output is not None and given is not None}


def _check_output(output: Path, files: Sequence[InputFile], *, overwrite: bool) -> None:
    for file in files:
        if file.is_local and Path(file.path).resolve() == output.resolve():
            msg = f"{output}: is an input, too; give the output another name"
            raise DataError(msg)
    if output.is_dir():
        msg = f"{output}: is a folder; name a file in it"
        raise DataError(msg)
    if output.exists() and not overwrite:
        msg = f"{output}: exists already; give another name, or ask to overwrite it"
        raise DataError(msg)


def _count(files: Sequence[InputFile], schema: Schema, key: Key) -> int:
    """Number of particles; refuses event ids that would give two showers the same noise."""
    ids = [read_event_ids(file, schema) for file in files]
    events = np.concatenate(ids)
    unique, first = np.unique(events, return_index=True)
    if key == "event" and len(unique) < len(events):
        again = int(np.setdiff1d(np.arange(len(events)), first)[0])
        starts = np.cumsum([0, *(len(part) for part in ids)])
        number = int(np.searchsorted(starts, again, side="right")) - 1
        msg = (
            f"{files[number].path}, branch '{schema.event}', entry {again - starts[number]}: event {events[again]} is "
            "there twice, and the two showers would share their noise; key the noise by the entry"
        )
        raise DataError(msg)
    return len(events)


def _reasons(incident: NDArray[np.float32], other: NDArray[np.bool_], domain: Domain) -> list[str]:
    """Why each particle is outside, if not of another type: tried with all else in the middle of the domain."""
    sizes: NDArray[np.float32] = momentum(incident)
    straight = np.zeros_like(incident)
    straight[:, 2] = np.sqrt(domain.momentum[0] * domain.momentum[1])
    straight[:, 3:] = domain.entry_centre
    size, direction, entry = straight.copy(), straight.copy(), straight.copy()
    size[:, 2] = sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        direction[:, :3] = incident[:, :3] / sizes[:, None] * straight[:, 2:3]
    entry[:, 3:] = incident[:, 3:]
    checks = {"momentum": size, "angle": direction, "entry point": entry}
    flags = {reason: domain.outside(tried) for reason, tried in checks.items()}
    flags["particle type"] = other
    flags["not a number"] = ~np.isfinite(incident.sum(axis=1))
    return [_join([reason for reason in flags if flags[reason][row]]) for row in range(len(incident))]


def _join(reasons: list[str]) -> str:
    return reasons[-1] if "not a number" in reasons else "; ".join(reasons)


def _describe_domain(sampler: ShowerSampler) -> str:
    types = f", pdg {', '.join(map(str, sampler.pdg))}" if sampler.pdg else ""
    return f"{sampler.domain.describe()}{types}"


def _describe(particles: Particles, reasons: Mapping[int, str], sampler: ShowerSampler) -> str:
    first = min(reasons)
    px, py, pz, x, y = (f"{value:.6g}" for value in particles.incident[first])
    return (
        f"{particles.source}, entry {particles.entry[first]}: pdg={particles.pdg[first]}, px={px}, py={py}, pz={pz} "
        f"GeV, x={x}, y={y} mm is outside the domain ({_describe_domain(sampler)}) in {reasons[first]}; leave it out, "
        "or have such particles listed"
    )
