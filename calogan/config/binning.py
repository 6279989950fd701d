"""Binning files of the CaloChallenge: rings and sectors of each layer, in XML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.parsers import expat

from calogan.errors import GeometryError, near_miss

__all__ = ["read_layers"]

_MOST_BYTES = 2**24
_MOST_CELLS = 10**8


@dataclass
class _Particle:
    """An element of the file: a particle's name and id, and its layers."""

    name: str | None
    pid: str | None
    layers: list[dict[str, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [name for name in (self.name, self.pid) if name]


def read_layers(path: Path, particle: str | None = None, depths: Sequence[float] | None = None) -> list[dict[str, Any]]:
    """Layers of a binning file, in the form of a configuration's ``geometry.layers``.

    The file has an element a particle, and in it one a layer: ``<Layer id="0" r_edges="0,5,10" n_bin_alpha="10"/>``.
    Layers of a single edge have no cells and are left out, as the CaloChallenge's showers leave them out.

    Args:
        path: XML file. A document type, and so any entity, is refused.
        particle: Name or pid of the element, such as ``photon``; may be left out where there is one only.
        depths: Depth of each layer that has cells [mm]. The file has none: if left out, the layers are at 0, 1, 2, ...
            mm, so that a depth is the number of a layer.

    Returns:
        ``r`` [mm], ``alpha`` and ``depth`` [mm] of each layer, front first.

    Raises:
        GeometryError: A file that is unreadable, not of this form, or without the particle; says which layer.

    Source:
        arXiv:2410.21611 (CaloChallenge) and the files ``binning_dataset_*.xml`` that come with its data.
    """
    layers = _chosen(_parsed(path), particle, path).layers
    _check_ids(layers, path)
    found = [one for one in (_layer(values, path) for values in layers) if len(one["r"]) > 1]
    cells = sum((len(one["r"]) - 1) * one["alpha"] for one in found)
    if not 0 < cells <= _MOST_CELLS:
        msg = f"{path}: describes {cells} cells; expected 1 to {_MOST_CELLS}"
        raise GeometryError(msg)
    if depths is not None and len(depths) != len(found):
        msg = f"{path}: has {len(found)} layers with cells, but layer_depths lists {len(depths)}; it needs one a layer"
        raise GeometryError(msg)
    at = range(len(found)) if depths is None else depths
    return [{**one, "depth": float(depth)} for one, depth in zip(found, at, strict=True)]


def _parsed(path: Path) -> list[_Particle]:
    particles: list[_Particle] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "Bin":
            particles.append(_Particle(attributes.get("name"), attributes.get("pid")))
        elif name == "Layer" and particles:
            particles[-1].layers.append(attributes)
        elif name != "Bins":
            msg = (
                f"{path}: element <{name}> is not expected; a binning file has <Bins>, <Bin> and <Layer> in each other"
            )
            raise GeometryError(msg)

    def refuse(*_: Any) -> None:
        msg = f"{path}: declares a document type, which a binning file does not need; remove it"
        raise GeometryError(msg)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, refuse
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            msg = f"{path}: is longer than {_MOST_BYTES} bytes; a binning file is not"
            raise GeometryError(msg)
        parser.Parse(content, True)
    except OSError as error:
        msg = f"{path}: cannot read the binning file: {error.strerror}"
        raise GeometryError(msg) from error
    except expat.ExpatError as error:
        msg = f"{path}: not valid XML: {error}"
        raise GeometryError(msg) from error
    return particles


def _chosen(particles: list[_Particle], wanted: str | None, path: Path) -> _Particle:
    found = [one for one in particles if wanted is None or wanted in one.names]
    if len(found) == 1:
        return found[0]
    known = [name for one in particles for name in one.names]
    if wanted is None and found:
        msg = f"{path}: has several particles; set particle to one of {', '.join(known)}"
    elif found:
        msg = f"{path}: has {len(found)} elements for particle {wanted!r}; it must have one"
    elif wanted is None:
        msg = f"{path}: has no element <Bin> with layers"
    else:
        msg = f"{path}: has no particle {wanted!r}; {near_miss(wanted, known)}"
    raise GeometryError(msg)


def _check_ids(layers: list[dict[str, str]], path: Path) -> None:
    ids = [_integer(layer, "id", f"{path}: layer {place + 1} of the file") for place, layer in enumerate(layers)]
    for before, after in pairwise(ids):
        if after <= before:
            msg = f"{path}: layer {after} stands behind layer {before}; ids must ascend from the front to the back"
            raise GeometryError(msg)


def _layer(values: dict[str, str], path: Path) -> dict[str, Any]:
    where = f"{path}: layer {values['id']}"
    text = _attribute(values, "r_edges", where)
    try:
        edges = [float(edge) for edge in text.split(",")]
    except ValueError:
        edges = [math.nan]
    if not all(0 <= edge < math.inf for edge in edges) or any(after <= before for before, after in pairwise(edges)):
        msg = f"{where}: r_edges must be numbers [mm] that ascend from 0 or above, got {text!r}"
        raise GeometryError(msg)
    sectors = _integer(values, "n_bin_alpha", where)
    if sectors < 1:
        msg = f"{where}: n_bin_alpha must be 1 or more, got {sectors}"
        raise GeometryError(msg)
    return {"r": edges, "alpha": sectors}


def _attribute(values: dict[str, str], name: str, where: str) -> str:
    if name not in values:
        msg = f"{where}: has no attribute {name}"
        raise GeometryError(msg)
    return values[name]


def _integer(values: dict[str, str], name: str, where: str) -> int:
    text = _attribute(values, name, where)
    try:
        return int(text)
    except ValueError:
        msg = f"{where}: {name} must be an integer, got {text!r}"
        raise GeometryError(msg) from None
