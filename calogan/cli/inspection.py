"""The command that looks into files of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calogan.cli.application import FAILED, app
from calogan.errors import ConfigError, near_miss

if TYPE_CHECKING:
    from calogan.inspection.cells import Given
    from calogan.stages.inspect import Inspection

__all__ = ["inspect"]

_UNITS = {"energy": ("keV", "MeV", "GeV"), "momentum": ("MeV", "GeV"), "length": ("mm", "cm", "m")}


@app.command()
def inspect(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Paths, globs, folders, URLs, FILE.root:TREE.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="YAML to write the configuration to.")] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=UNIT", help="A unit that is known: of energy, momentum or length; may be repeated."),
    ] = None,
    cell_size: Annotated[
        list[str] | None,
        typer.Option(metavar="SIZE", help="Size of the cells [mm], or XxY; repeated: one for each layer."),
    ] = None,
    depths: Annotated[str | None, typer.Option(metavar="D,D,...", help="Depth of each layer [mm].")] = None,
    geometry: Annotated[Path | None, typer.Option(help="YAML with the layers, as in a configuration.")] = None,
    xml: Annotated[
        Path | None, typer.Option(help="Binning file of the CaloChallenge; --depths are of its layers.")
    ] = None,
    particle: Annotated[str | None, typer.Option(help="Its particle, such as photon, where it has several.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Say what is in files of showers, and suggest a configuration for them.

    Looks at all incident particles up to two million, and at the cells of up to 10,000 showers all over the files.
    What files do not tell is marked as assumed: give the cells by `--cell-size` and `--depths`, by `--geometry`, or by
    the `--xml` of the CaloChallenge.

    Exit code: 0 the configuration prepares, 1 something is missing for that, 2 an error.

    Example: `calogan inspect my.root -o my.yaml && calogan prepare my.yaml`

    Example: `calogan inspect 'data/*.root' --cell-size 20.2 --unit energy=MeV`

    Example: `calogan inspect dataset_1_photons_1.hdf5 --xml binning_dataset_1_photons.xml`
    """
    from calogan.atomic import write_atomically
    from calogan.stages.inspect import inspect as look_into

    found = look_into(
        files, _given(cell_size or [], depths, geometry, _binning(xml, particle, depths)), _units(unit or [])
    )
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _print(found)
    if found.suggestion is not None and out is not None:
        write_atomically(out, found.suggestion.yaml.encode())
        if not as_json:
            print(out)
    elif found.suggestion is not None and not as_json:
        print(f"\n{found.suggestion.yaml}", end="")
    if found.missing:
        raise typer.Exit(FAILED)


def _print(found: Inspection) -> None:
    from calogan.terminal import print_table

    title = found.contents[0].file.path
    if len(found.contents) > 1:
        title += f" and {len(found.contents) - 1} more"
    print_table(("tree", "entries", "type", "branches"), found.trees, (0, 2, 3), title)
    if found.findings:
        print_table(("", "found"), found.findings, (0, 1))
    for text in found.warnings:
        print(f"warning: {text}")
    for text in found.missing:
        print(f"missing: {text}")


def _given(sizes: list[str], depths: str | None, geometry: Path | None, binning: dict[str, Any] | None) -> Given:
    from calogan.config import load_calorimeter
    from calogan.inspection.cells import Given

    if sum((geometry is not None, binning is not None, bool(sizes))) > 1 or (geometry is not None and depths):
        msg = "calogan inspect: give --geometry, or --xml, or --cell-size, and --depths with the last two alone"
        raise ConfigError(msg)
    if binning is not None:
        return Given(binning)
    if geometry is not None:
        return Given(load_calorimeter(geometry).model_dump(mode="json", exclude_none=True))
    pairs = [_numbers(size, "x", "--cell-size") for size in sizes]
    for size, pair in zip(sizes, pairs, strict=True):
        if len(pair) > 2 or min(pair) <= 0:
            msg = f"--cell-size {size}: expected a size above 0, or XxY"
            raise ConfigError(msg)
    return Given(None, tuple((pair[0], pair[-1]) for pair in pairs), _depths(depths))


def _binning(xml: Path | None, particle: str | None, depths: str | None) -> dict[str, Any] | None:
    """Section `geometry` of a binning file."""
    if xml is None:
        return None
    given = {"particle": particle, "layer_depths": list(_depths(depths)) or None}
    return {"xml": str(xml), **{name: value for name, value in given.items() if value is not None}}


def _depths(text: str | None) -> tuple[float, ...]:
    return () if text is None else tuple(_numbers(text, ",", "--depths"))


def _numbers(text: str, mark: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(mark)]
    except ValueError as error:
        msg = f"{option} {text}: expected numbers [mm] with '{mark}' between them"
        raise ConfigError(msg) from error


def _units(given: list[str]) -> dict[str, str]:
    known = {}
    for text in given:
        name, _, unit = text.partition("=")
        if unit not in _UNITS.get(name, ()):
            choices = [f"{quantity}={one}" for quantity, units in _UNITS.items() for one in units]
            msg = f"--unit {text}: {near_miss(text, choices)}"
            raise ConfigError(msg)
        known[name] = unit
    return known
