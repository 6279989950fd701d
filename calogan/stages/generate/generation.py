"""The stage: inputs -> parts -> one file, which the same command resumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from calogan.data.files import HDF5_SUFFIXES, ROOT_SUFFIXES, InputFile, expand_files
from calogan.data.schema import Layout
from calogan.errors import ConfigError, DataError, near_miss
from calogan.geometry import Geometry
from calogan.progress import Reporter, SilentReporter
from calogan.sampler import load_sampler
from calogan.sampler.request import choose_seed
from calogan.stages.generate.folder import WorkFolder
from calogan.stages.generate.job import Job, Key, Part
from calogan.stages.generate.making import Tally
from calogan.stages.generate.merge import merge_files
from calogan.stages.generate.opening import open_job, require_inside
from calogan.stages.generate.outside import outside_list_of
from calogan.stages.generate.workers import make_parts

__all__ = ["Generation", "generate"]

Outside = Literal["list", "raise"]


@dataclass(frozen=True)
class Generation:
    """What was written.

    Attributes:
        output: The file.
        showers: Showers in it.
        outside: Particles outside the domain or of another type, which no shower was made for.
        outside_list: Where those are listed, None if there are none or if events were overlaid.
        events: Events in it, each with the sum of its showers, None if they were not overlaid.
        lost_energy: Energy in cells beyond the calorimeter's edges [GeV], which is not in the file.
    """

    output: Path
    showers: int
    outside: int
    outside_list: Path | None
    events: int | None = None
    lost_energy: float = 0.0


def generate(
    bundle: str | Path,
    inputs: str | Sequence[str],
    output: str | Path,
    *,
    seed: int,
    seed_by_input: bool = False,
    tree: str | None = None,
    layout: Layout | Sequence[Layout] | None = None,
    rntuple: bool = False,
    input_branches: Mapping[str, str | None] | None = None,
    key: Key = "event",
    pdg: Sequence[int] = (),
    overlay: bool = False,
    calorimeter: Geometry | None = None,
    outside: Outside = "list",
    overwrite: bool = False,
    workers: int = 1,
    part_showers: int | None = None,
    batch_size: int = 1000,
    chunk_showers: int = 5000,
    device: str = "auto",
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Generation:
    """Make a shower for each incident particle of the inputs.

    The output has the tree, branches, units and layout of the bundle's training data. Identifiers and incident
    particles are copied exactly, types included; energies are generated, and nothing else that the inputs hold is
    passed on. A layout of HDF5 files has the momentum as incident energies, and no entry point, event id or type unless
    the training data had a name for it.

    With `overlay`, an entry of the inputs is an event whose particles are lists. The output has an entry for each
    event, in their order: its id, and the energies of its showers summed cell by cell, where each shower was cut at the
    read-out threshold before. A second tree, ``TREE_left``, has the particles of each event that no shower was made
    for, for the full simulation: their branches as in the input, ``particle_index`` in the event, which counts all
    particles, and ``reason``, a sum of numbers that the provenance explains.

    The work is cut into parts, which lie in ``OUTPUT.parts`` until all are there and are merged: a run that was killed
    goes on from them when it is called again with the same arguments, and makes the very same showers. Parts of another
    size give the same within 1e-5, but for cells at the read-out threshold. Memory holds a few chunks of showers, and 8
    bytes for each entry while event ids are compared; the disk holds the parts and the output for a while.

    Args:
        bundle: As `load_sampler`.
        inputs: Files as for `expand_files`, one or several, all ROOT or all HDF5; they need no energies of cells.
        output: File to write, HDF5 for the layouts ``calochallenge`` and ``calogan``, else ROOT; it appears when it is
            complete. Of a link it is the file that the link names.
        seed: Seed of the noise, from 0 to 2**64 - 1.
        seed_by_input: Take a seed that is derived from `seed` and from the names and contents of the inputs: jobs of
            one file each share no noise, though they have the same `seed` and the same event ids. The file says both.
        tree: Name of the tree, in the inputs and the output, instead of the training data's; ``file.root:tree`` goes
            before it in an input.
        layout: Layout of the output instead of the training data's; of several, the first one goes to the tree, each
            of the others to a tree with the name of the layout.
        rntuple: Write an RNTuple instead of a TTree.
        input_branches: Names in the inputs, where they differ from the training data's, of event, pdg, px, py, pz, x,
            y, momentum (the one of energies alone); None for an event or pdg branch that is not there.
        key: What a shower's noise is keyed by, besides the seed: the event id, which must be unique, or the entry,
            counted over all inputs. Without an event branch it is the entry, which is then the event id, too. In an
            overlay the index of the particle in its event is part of the key.
        pdg: PDG ids of the particles to make showers for, instead of those of the training data.
        overlay: Sum the showers of each event.
        calorimeter: Larger calorimeter of the same cells: particles enter anywhere on it, and their showers are made in
            the trained window and moved by whole cells, as by ``placement="cell"`` of `ShowerSampler.sample`. Energy
            beyond its edges is cut; the sum is in the result.
        outside: Leave out particles outside the domain and list them in ``OUTPUT.outside.csv``, or refuse them before
            anything is made.
        overwrite: Replace an output, or a list of particles outside, that exists.
        workers: Processes. A script that asks for several must guard its main part by ``__name__ == "__main__"``.
        part_showers: Entries in a part; by default 100,000, or fewer, so that each worker has a part. A run that goes
            on needs parts of the same size: the same option, or the same number of workers.
        batch_size: Showers made at a time; the showers do not depend on it.
        chunk_showers: Showers held in memory at a time by each process.
        device: As `load_sampler`.
        threads: As `load_sampler`, for each process; 1 by default where there are several.
        reporter: Where progress goes.

    Raises:
        DataError: An input that is missing or damaged, event ids that are not unique, or an output that exists or has
            the suffix of the other format.
        SchemaError: An input that lacks the tree or a branch, or whose numbers do not fit the types of the first input.
        DomainError: Particles outside the domain, where they are to be refused.
        ConfigError: An option out of range, a calorimeter for a model whose showers cannot be placed, or inputs of
            energies alone for a model that is told more.
        GeometryError: A calorimeter whose cells are not those of the model.
        BundleError: The bundle is missing or damaged.
        StoreError: ``OUTPUT.parts`` holds parts of another job or other files, another process works on them, or
            nothing can be written there.
        WorkerError: One of several processes died.
    """
    _check_options(
        workers=workers, part_showers=1 if part_showers is None else part_showers, chunk_showers=chunk_showers
    )
    layouts = (layout,) if isinstance(layout, str) else tuple(layout or ())
    _check_choice("outside", outside, get_args(Outside))
    _check_choice("key", key, get_args(Key))
    for one in layouts:
        _check_choice("layout", one, get_args(Layout))
    if overlay and outside == "raise":
        msg = "an overlay writes the particles outside the domain to a tree; it cannot refuse them"
        raise ConfigError(msg)
    seed, reporter, output = choose_seed(seed), reporter or SilentReporter(), _without_link(Path(output))
    threads = 1 if threads is None and workers > 1 else threads
    sampler = load_sampler(bundle, device=device, threads=threads, batch_size=batch_size)
    files = _expand([inputs] if isinstance(inputs, str) else inputs, WorkFolder.path_of(output), reporter)
    outside_list = outside_list_of(output)
    _check_place(output, files)
    if not WorkFolder.path_of(output).exists():
        _check_absent(output, outside_list, overwrite=overwrite)
    job = open_job(
        sampler,
        files,
        seed=seed,
        seed_by_input=seed_by_input,
        tree=tree,
        layouts=layouts,
        rntuple=rntuple,
        input_branches=input_branches or {},
        key=key,
        pdg=pdg,
        overlay=overlay,
        calorimeter=calorimeter,
        workers=workers,
        part_showers=part_showers,
        chunk_showers=chunk_showers,
    )
    _check_suffix(output, job)
    with WorkFolder(output, outside_list, job.settings(), job.suffix, reporter) as folder:
        if not folder.placed:
            _check_absent(output, *(() if folder.list_placed else (outside_list,)), overwrite=overwrite)
            if outside == "raise":
                require_inside(job)
            _fill(job, folder, workers, reporter)
        listed, made = folder.place(), folder.result or Tally()
    events = job.entries if overlay else None
    generation = Generation(output, made.showers, made.outside, listed, events, made.lost_energy)
    _warn(job, generation, reporter)
    return generation


def _fill(job: Job, folder: WorkFolder, workers: int, reporter: Reporter) -> None:
    """Make the parts that are not there yet, and merge all."""
    if folder.result is not None:
        return
    parts = job.parts
    done = {part: tally for part in parts if (tally := folder.finished(part)) is not None}
    missing = [part for part in parts if part not in done]
    if done:
        reporter.message(f"{folder.path}: {len(done)} of {len(parts)} parts are there already")
    left_out = sum(tally.outside for tally in done.values())
    where = "outside the domain" if job.left is None else "particles left"

    def finish(part: Part, tally: Tally) -> None:
        folder.finish_part(part, tally)
        done[part] = tally

    with reporter.task("generate", job.entries, job.unit, sum(part.stop - part.start for part in done)) as task:

        def advance(entries: int, outside: int) -> None:
            nonlocal left_out
            left_out += outside
            task.advance(entries, f"{left_out} {where}" if left_out else "")

        make_parts(job, missing, folder, workers, advance, finish)
    made = sum(done.values(), Tally())
    entries = made.showers if job.left is None else job.entries
    with reporter.task("merge", entries, job.unit) as task:
        merge_files(
            [folder.part(part) for part in parts],
            folder.merged,
            job.specs,
            entries,
            **job.form,
            provenance=job.provenance,
            advance=task.advance,
        )
    folder.finish(parts, made)


def _check_options(**options: int) -> None:
    for name, value in options.items():
        if value < 1:
            msg = f"{name} must be at least 1, got {value}"
            raise ConfigError(msg)


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        msg = f"{name}={value!r}: {near_miss(str(value), known)}"
        raise ConfigError(msg)


def _without_link(output: Path) -> Path:
    """The file that an output stands for, which a link to it must go on naming."""
    return output.resolve() if output.is_symlink() else output


def _expand(inputs: Sequence[str], folder: Path, reporter: Reporter) -> list[InputFile]:
    """Files of the inputs, without parts of this output that a pattern happens to match."""
    files: list[InputFile] = []
    for pattern in inputs:
        found = expand_files([pattern], (*ROOT_SUFFIXES, *HDF5_SUFFIXES))
        kept = [file for file in found if not (file.is_local and folder.resolve() in Path(file.path).resolve().parents)]
        if found and not kept:
            msg = f"{pattern}: lies in {folder}, which is for parts of the output; move it, or give another output"
            raise DataError(msg)
        if len(kept) < len(found):
            reporter.warning(f"{pattern}: {len(found) - len(kept)} files in {folder} are parts of the output: left out")
        files += kept
    return list(dict.fromkeys(files))


def _check_place(output: Path, files: Sequence[InputFile]) -> None:
    for file in files:
        if file.is_local and Path(file.path).resolve() == output.resolve():
            msg = f"{output}: is an input, too; give the output another name"
            raise DataError(msg)
    if output.is_dir():
        msg = f"{output}: is a folder; name a file in it"
        raise DataError(msg)


def _check_suffix(output: Path, job: Job) -> None:
    other = ROOT_SUFFIXES if job.trees.is_hdf5 else HDF5_SUFFIXES
    if output.suffix in other:
        layout = job.trees.schemas[0].layout
        msg = f"{output}: layout {layout} goes to a file named *{job.suffix}; rename it, or choose another layout"
        raise DataError(msg)


def _check_absent(*outputs: Path, overwrite: bool) -> None:
    for output in outputs:
        if output.exists() and not overwrite:
            msg = f"{output}: exists already; give another name, or ask to overwrite it"
            raise DataError(msg)


def _unwritten(job: Job) -> list[str]:
    """What is known of the particles and has no place in the output."""
    output, source = job.trees.schemas[0], job.source
    known = {
        "direction": len(source.momentum) > len(output.momentum) and "direction" in job.sampler.condition,
        "entry point": source.entry_point is not None and output.entry_point is None,
        "event id": source.event is not None and output.event is None,
        "particle type": source.pdg is not None and output.pdg is None,
    }
    return [name for name, lost in known.items() if lost]


def _warn(job: Job, made: Generation, reporter: Reporter) -> None:
    if job.trees.is_hdf5 and (lost := _unwritten(job)):
        reporter.warning(f"layout {job.trees.schemas[0].layout} has no place for the particles' {', '.join(lost)}")
    if made.lost_energy:
        reporter.warning(f"{made.lost_energy:.6g} GeV are in cells beyond the edges of the calorimeter and were cut")
    if made.outside and made.outside_list is not None:
        reporter.warning(
            f"{made.outside} of {job.entries} particles are outside the domain ({job.selection.describe()}) and were "
            f"left out; {made.outside_list} lists them for the full simulation"
        )
    elif made.outside and job.left is not None:
        reporter.warning(
            f"{made.outside} of {made.showers + made.outside} particles are of another type or outside the domain "
            f"({job.selection.describe()}); tree '{job.left.name}' has them for the full simulation"
        )
