"""Commands of a trained surrogate: where there are any, and showers and programs of one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from calogan.cli.application import Quiet, app
from calogan.errors import ConfigError

__all__ = ["collect", "export", "generate", "models"]


class Layout(StrEnum):
    """Layouts that are written."""

    dense = "dense"
    hits = "hits"
    positions = "positions"
    calochallenge = "calochallenge"
    calogan = "calogan"


class Key(StrEnum):
    """What the noise of a shower is keyed by, besides the seed."""

    event = "event"
    entry = "entry"


class Outside(StrEnum):
    """What becomes of particles outside the domain."""

    list = "list"
    refuse = "raise"


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Registered model; all by default.")] = None,
) -> None:
    """List the registered bundles: versions, aliases, verdicts and key figures.

    Reads the MLflow store of `MLFLOW_TRACKING_URI`, by default `sqlite:///mlflow.db`.

    Exit code: 0 listed, also if nothing is registered, 2 there is no such model or store.

    Example: `calogan models calogan-demo`
    """
    from calogan.stages.models import list_models
    from calogan.terminal import print_table

    found = list_models(name)
    if found.rows:
        print_table(found.header, found.rows, found.left)
    if found.note:
        print(found.note)


@app.command()
def generate(
    bundle: Annotated[str, typer.Option(help="Folder of a bundle, name of a shipped one, or models:/NAME@ALIAS.")],
    input: Annotated[
        list[str], typer.Option(help="ROOT file (or file.root:tree) or HDF5 file of particles; may be repeated.")
    ],
    output: Annotated[Path, typer.Option(help="ROOT or HDF5 file to write.")],
    seed: Annotated[int, typer.Option(min=0, help="A shower depends on the seed and its key alone.")],
    seed_by_input: Annotated[
        bool, typer.Option("--seed-by-input", help="A seed from --seed and the inputs: for jobs of a file each.")
    ] = False,
    tree: Annotated[str | None, typer.Option(help="Tree to read and to write; by default the training data's.")] = None,
    layout: Annotated[
        list[Layout] | None,
        typer.Option(help="Layout to write; by default the training data's. Repeated: a tree for each."),
    ] = None,
    rntuple: Annotated[bool, typer.Option("--rntuple", help="Write an RNTuple instead of a TTree.")] = False,
    branch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=BRANCH", help="The input's branch of event, pdg, px, py, pz, x, y or momentum; `pdg=`: none."
        ),
    ] = None,
    key: Annotated[Key, typer.Option(help="What tells the showers apart: event id, or entry.")] = Key.event,
    pdg: Annotated[
        list[int] | None, typer.Option(help="Particle type to make showers for; by default the training data's.")
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="An entry is an event: sum the showers of its lists of particles.")
    ] = False,
    calorimeter: Annotated[
        Path | None, typer.Option(help="YAML with the layers of a larger calorimeter, to place showers anywhere on.")
    ] = None,
    outside: Annotated[Outside, typer.Option(help="List particles outside the domain, or refuse them.")] = Outside.list,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each if several.")] = 1,
    part_showers: Annotated[
        int | None,
        typer.Option(min=1, help="Entries in a part; by default 100000, or fewer, so that each worker has a part."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Showers made at a time.")] = 1000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace output and list if they are there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Generate showers for the incident particles of a file, in the schema of the training data.

    Stop it at any instant; the same command goes on from the finished parts in OUTPUT.parts.

    Example: `calogan generate --bundle runs/demo/bundle --input in.root --output out.root --seed 7`
    """
    from calogan.config import load_calorimeter
    from calogan.geometry import Geometry
    from calogan.progress import make_reporter
    from calogan.stages.generate import generate as generate_showers

    generation = generate_showers(
        bundle,
        input,
        output,
        seed=seed,
        seed_by_input=seed_by_input,
        tree=tree,
        layout=[one.value for one in layout or ()],
        rntuple=rntuple,
        input_branches=_branches(branch or []),
        key=key.value,
        pdg=pdg or (),
        overlay=overlay,
        calorimeter=None if calorimeter is None else Geometry.from_dict(load_calorimeter(calorimeter).to_dict()),
        outside=outside.value,
        overwrite=overwrite,
        workers=workers,
        part_showers=part_showers,
        batch_size=batch_size,
        device=device,
        threads=threads,
        reporter=make_reporter(quiet=quiet),
    )
    if generation.events is None:
        print(f"{generation.showers} showers, {generation.outside} particles outside the domain")
    else:
        print(f"{generation.events} events, {generation.showers} showers, {generation.outside} particles left")
    print(generation.output)


@app.command()
def collect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that `calogan generate` wrote.")],
    out: Annotated[Path, typer.Option(help="JSON to write.")],
) -> None:
    """List generated files as one data set: showers, particles left out, seeds and checksums.

    Files of different bundles or branches are refused, and files that share their noise. The showers stay where they
    are: read the files as a chain, or join them with ROOT's hadd.

    Example: `calogan collect generated/*.root --out generated/manifest.json`
    """
    from calogan.stages.collect import collect as collect_files

    collection = collect_files(files, out)
    counts = f"{collection.entries} entries, {collection.left_out} particles left out"
    print(f"{len(collection.files)} files of bundle {collection.bundle}: {counts}")
    print(out)


@app.command()
def export(
    bundle: Annotated[
        str, typer.Option(help="Folder of a bundle, name of a shipped one, models:/NAME@ALIAS or runs:/RUN_ID.")
    ],
    onnx: Annotated[Path | None, typer.Option(help="ONNX graph to write, for ONNX Runtime.")] = None,
    pt2: Annotated[Path | None, typer.Option(help="Archive of torch.export to write.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write a bundle's generator as one file for other programs, compared with the generator before it appears.

    Load an archive of torch.export only if you trust who made it: `torch.export.load` may run code that is in it.

    Example: `calogan export --bundle ecal30-electron --onnx ecal30.onnx`
    """
    from calogan.progress import make_reporter
    from calogan.stages.export import export as export_generator
    from calogan.terminal import print_parity

    print_parity(export_generator(bundle, onnx, pt2, overwrite=overwrite, reporter=make_reporter(quiet=quiet)))


def _branches(options: list[str]) -> dict[str, str | None]:
    """Names of the input's branches; `event=` or `pdg=` says that there is none."""
    named: dict[str, str | None] = {}
    for option in options:
        name, sign, branch = option.partition("=")
        if not sign or not name:
            msg = f"--branch {option}: expected NAME=BRANCH"
            raise ConfigError(msg)
        named[name] = branch or None
    return named
