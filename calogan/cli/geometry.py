"""The command on the cells of a calorimeter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calogan.cli.application import app
from calogan.errors import ConfigError

__all__ = ["geometry"]

_SOURCE = "Configuration, YAML file with its section `geometry`, or binning file of the CaloChallenge (.xml)."


@app.command()
def geometry(
    source: Annotated[Path | None, typer.Argument(metavar="[SOURCE]", help=_SOURCE, show_default=False)] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", help="Picture (.png, .pdf, .svg) or section of a configuration (.yaml); repeated."),
    ] = None,
    particle: Annotated[str | None, typer.Option(help="Element of a binning file, such as photon.")] = None,
    from_hits: Annotated[
        str | None, typer.Option(metavar="FILES", help="Find the cells from hits at positions: path, glob or URL.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration whose `data` says how hits are read; needs no geometry.")
    ] = None,
    cell_size: Annotated[
        str | None, typer.Option(metavar="MM[,MM]", help="Size of the cells in x and y where hits are on no grid.")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Equal layers where hits are in no planes.")] = None,
    coverage: Annotated[float, typer.Option(min=0.5, max=1.0, help="Share of the energy that the cells hold.")] = 0.99,
    max_showers: Annotated[int, typer.Option(min=2, help="Showers to look at.")] = 1000,
) -> None:
    """List and draw the cells of a calorimeter, or find them from hits.

    Example: `calogan geometry configs/demo.yaml -o cells.png`

    Example: `calogan geometry binning_dataset_2.xml --particle electron -o geometry.yaml`

    Example: `calogan geometry --from-hits 'sim/*.root' --config study.yaml -o geometry.yaml -o cells.png`
    """
    from calogan.config import load_calorimeter
    from calogan.geometry import Geometry
    from calogan.stages.derivation import derive_geometry
    from calogan.stages.geometry import list_layers, write_geometry
    from calogan.terminal import print_table

    notes: tuple[str, ...] = ()
    if source is not None and from_hits is None:
        cells = Geometry.from_dict(load_calorimeter(source, particle).to_dict())
    elif from_hits is not None and source is None:
        derived = derive_geometry(
            from_hits,
            config,
            cell_size=_cell_size(cell_size),
            layers=layers,
            coverage=coverage,
            max_showers=max_showers,
        )
        cells, notes = derived.geometry, derived.notes
    else:
        msg = "calogan geometry: give SOURCE, or files with --from-hits, and not both"
        raise ConfigError(msg)
    table = list_layers(cells)
    print_table(table.header, table.rows, ())
    for note in notes:
        print(note)
    for path in out or ():
        write_geometry(cells, path, notes)
        print(path)


def _cell_size(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        sizes = [float(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) not in {1, 2} or not all(0 < size < float("inf") for size in sizes):
        msg = f"--cell-size {text}: give one size or two, above 0 mm, such as 5 or 5,10"
        raise ConfigError(msg)
    return sizes[0], sizes[-1]
