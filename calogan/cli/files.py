"""The command that writes files of showers anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calogan.cli.application import Quiet, app
from calogan.cli.surrogate import Layout
from calogan.errors import ConfigError

if TYPE_CHECKING:
    from calogan.config import Config, Source
    from calogan.geometry import Geometry

__all__ = ["convert"]

_MOST_LISTED = 12  # names


@app.command()
def convert(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT...", help="Paths, globs, folders, URLs, FILE.root:TREE; by default of --config."),
    ] = None,
    *,
    to: Annotated[Layout, typer.Option("--to", help="Layout to write.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .root; .hdf5 for calochallenge, calogan.")],
    geometry: Annotated[Path | None, typer.Option(help="YAML with the layers, as in a configuration.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration with the inputs' names, units and layers.")] = None,
    source: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Entry of its data.sources, from 0, if it has several.")
    ] = None,
    layout: Annotated[Layout | None, typer.Option("--from", help="Layout of the inputs, if they have several.")] = None,
    tree: Annotated[str | None, typer.Option(help="Tree to read, if the inputs have several.")] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave out event, pdg, direction, entry_point or hits_outside; repeated."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Copy another branch or data set, of one number a shower; may be repeated."),
    ] = None,
    rntuple: Annotated[bool, typer.Option("--rntuple", help="Write an RNTuple instead of a TTree.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write showers in another layout or format, with all that the inputs say of them and of their particles.

    Files with the usual names need `--geometry` alone; describe others in a configuration. Several inputs become one
    file. HDF5 has data sets besides those that its formats ask for, which other programs do not see: event, pdg, px,
    py, pz [GeV], x and y [mm].

    Example: `calogan convert showers.root --to calochallenge -o showers.hdf5 --geometry layers.yaml`

    Example: `calogan convert --config my.yaml --to hits -o hits.root`
    """
    from calogan.data.schema import Schema
    from calogan.progress import make_reporter
    from calogan.stages.convert import convert as convert_files

    cells, described = _described(geometry, config, source)
    inputs = files or ([] if described is None else described.files)
    if not inputs:
        msg = "calogan convert: give files, or --config with those of its data.sources"
        raise ConfigError(msg)
    if described is not None and (layout is not None or tree is not None):
        msg = "calogan convert: give --config, or --from and --tree, not both"
        raise ConfigError(msg)
    done = convert_files(
        inputs,
        out,
        to.value,
        cells,
        make_reporter(quiet=quiet),
        schema=None if described is None else Schema.from_source(described),
        source_layout=None if layout is None else layout.value,
        tree=tree,
        drop=drop or (),
        keep=keep or (),
        rntuple=rntuple,
        overwrite=overwrite,
    )
    print(f"{done.showers} showers of {cells.n_cells} cells, {' -> '.join(done.layouts)}")
    if done.left_out:
        more = len(done.left_out) - _MOST_LISTED
        rest = f" and {more} more, which the provenance in the file lists" if more > 0 else ""
        print(f"left out: {', '.join(done.left_out[:_MOST_LISTED])}{rest}")
    if done.hits_outside:
        print(f"left out: {done.hits_outside} hits outside of all cells")
    print(out)


def _described(geometry: Path | None, config: Path | None, source: int | None) -> tuple[Geometry, Source | None]:
    """The cells, and the description of the inputs if there is one."""
    from calogan.config import load_calorimeter, load_config
    from calogan.geometry import Geometry

    if geometry is not None and config is None:
        return Geometry.from_dict(load_calorimeter(geometry).to_dict()), None
    if config is not None and geometry is None:
        study = load_config(config)
        return Geometry.from_dict(study.geometry.to_dict()), _source(study, config, source)
    msg = "calogan convert: give --geometry or --config, one of them"
    raise ConfigError(msg)


def _source(study: Config, path: Path, number: int | None) -> Source:
    sources = study.data.sources
    if number is None and len(sources) > 1:
        listed = ", ".join(f"{count} ({one.layout})" for count, one in enumerate(sources))
        msg = f"{path}: data.sources has several entries, give one of them by --source: {listed}"
        raise ConfigError(msg)
    if (number or 0) >= len(sources):
        msg = f"--source {number}: {path} has {len(sources)} entries in data.sources, counted from 0"
        raise ConfigError(msg)
    return sources[number or 0]
