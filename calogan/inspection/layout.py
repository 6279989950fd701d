"""Which branches hold the showers: guesses from names, types and shapes, best first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from calogan.config import Source
from calogan.inspection.content import Branch, FileContent, Tree
from calogan.inspection.names import find_name, find_vector, stem, words

__all__ = ["Candidate", "find_candidates", "find_missing"]

_MOMENTUM = {"p": 3.0, "mom": 2.5, "momentum": 2.5, "p3": 1.0}
_ENTRY_POINT = {
    "": 3.0,
    "entry": 3.0,
    "entrypoint": 3.0,
    "impact": 2.0,
    "v": 2.0,
    "vertex": 2.0,
    "vtx": 2.0,
    "pos": 1.5,
}
_POSITION = {"": 3.0, "pos": 2.0, "position": 2.0}
_SIZE = {
    "incidentenergies": 3.0,
    "incidentenergy": 3.0,
    "einc": 2.5,
    "energy": 2.0,
    "e": 1.5,
    "p": 1.5,
    "momentum": 1.5,
}
_EVENT = {
    "event": 3.0,
    "eventid": 3.0,
    "eventnumber": 3.0,
    "evt": 2.5,
    "evtid": 2.5,
    "ievt": 2.0,
    "showerid": 2.0,
    "id": 1.0,
}
_PDG = {"pdg": 3.0, "pdgid": 3.0, "pdgcode": 3.0, "pid": 2.0, "particleid": 2.0, "particle": 1.0}
_TIME = {"simtimems": 3.0, "simulationtimems": 3.0, "cputimems": 2.0, "timems": 1.0}
_ENERGY = {
    "energy": 3.0,
    "e": 2.5,
    "edep": 2.5,
    "dep": 2.0,
    "deposit": 2.0,
    "ecal": 1.0,
    "hcal": 1.0,
    "image": 1.0,
    "shower": 1.0,
    "showers": 3.0,
    "layer": 1.0,
}
_ROW = {"ix": 3.0, "row": 3.0, "xi": 2.0, "binx": 2.0, "xbin": 2.0, "ieta": 1.5, "i": 1.0, "x": 0.5}
_COLUMN = {"iy": 3.0, "column": 3.0, "col": 3.0, "yi": 2.0, "biny": 2.0, "ybin": 2.0, "iphi": 1.5, "j": 1.0, "y": 0.5}
_LAYER = {"layer": 3.0, "ilayer": 3.0, "layerid": 2.0, "iz": 2.0, "k": 1.0}
# A dense layout says how many cells there are, hits only which were lit, positions nothing.
_PREFERENCE = {"dense": 2.0, "calogan": 2.0, "calochallenge": 2.0, "hits": 1.0, "positions": 0.0}
_UNNAMED = 0.2
_SOURCE: TypeAdapter[Source] = TypeAdapter(Source)


@dataclass(frozen=True)
class Candidate:
    """A way to read showers from a tree.

    Attributes:
        values: Section ``data.sources`` of the configuration without files and units.
        why: What it was recognised by.
        score: Larger is better.
        shapes: Rows and columns of each layer, where the types tell.
        notes: What else the tree has, or lacks.
    """

    values: Mapping[str, Any]
    why: str
    score: float
    shapes: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def layout(self) -> str:
        """Name of the layout."""
        return str(self.values["layout"])

    @property
    def place(self) -> str:
        """The tree, for a line of text."""
        tree = f", tree '{self.values['tree']}'" if "tree" in self.values else ""
        return f"{self.layout}{tree}: {self.why}"

    def source(self, files: Sequence[str], units: Mapping[str, str]) -> Source:
        """Section of the configuration that reads files so.

        Args:
            files: Paths.
            units: Units of energy, momentum and length.
        """
        return _SOURCE.validate_python({**self.values, "files": list(files), "units": dict(units)})


def find_candidates(content: FileContent) -> list[Candidate]:
    """Ways to read showers from a file, best first."""
    named = content.file.tree
    trees = {name: tree for name, tree in content.trees.items() if named is None or name == named}
    found = [candidate for name, tree in trees.items() for candidate in _of_tree(name, tree)]
    return sorted(found, key=lambda candidate: -candidate.score)


def find_missing(content: FileContent) -> list[str]:
    """What each tree of a file lacks to be read as showers; never nothing, as a file without trees lacks all."""
    if not content.trees:
        return ["no TTree or RNTuple in it"]
    lines = []
    for name, tree in content.trees.items():
        lacks = []
        if _particles(tree) is None:
            lacks.append(
                "branches of the incident momentum, three numbers such as px, py, pz, or of its size, such as energy"
            )
        if not any(_energies(name, tree)):
            lacks.append("cell energies, branches of a fixed two-dimensional size or lists of hits")
        place = f"tree '{name}'" if name else "the data sets"
        lines.append(f"{place} ({tree.entries} entries) lack{'s' if name else ''} {' and '.join(lacks)}")
    return lines


def _of_tree(name: str, tree: Tree) -> Iterator[Candidate]:
    particles = _particles(tree)
    if particles is None:
        return
    place = {"tree": name} if name else {}
    for energies in _energies(name, tree):
        values = {"layout": energies.values["layout"], **place, **particles, **energies.values}
        score = energies.score + sum(particles[key] is not None for key in ("entry_point", "event"))
        notes = energies.notes
        if len(particles["momentum"]) == 1:
            notes = (f"'{particles['momentum'][0]}' is taken for |p|, of particles along the axis", *notes)
        yield Candidate(values, energies.why, score + len(particles["momentum"]) / 3, energies.shapes, notes)


def _particles(tree: Tree) -> dict[str, Any] | None:
    numbers = [branch for branch in tree.branches if branch.is_number]
    real = [branch.name for branch in numbers if branch.kind == "real"]
    whole = [branch.name for branch in numbers if branch.kind == "whole"]
    momentum = find_vector([branch.name for branch in numbers], _MOMENTUM, "xyz")
    size = find_name(real, _SIZE)
    if momentum is None and size is not None:
        momentum = (size,)
    if momentum is None:
        return None
    entry_point = find_vector([name for name in real if name not in momentum], _ENTRY_POINT, "xy")
    return {
        "event": find_name(whole, _EVENT),
        "pdg": find_name(whole, _PDG),
        "momentum": list(momentum),
        "entry_point": None if entry_point is None else list(entry_point),
        "simulation_time": find_name(real, _TIME),
    }


def _energies(name: str, tree: Tree) -> Iterator[Candidate]:
    if not name:
        yield from _rows(tree)
        yield from _dense(tree, "calogan", {2})
        return
    yield from _dense(tree, "dense", {1, 2})
    if (hits := _hits(tree)) is not None:
        yield hits
    if (positions := _positions(tree)) is not None:
        yield positions


def _rows(tree: Tree) -> Iterator[Candidate]:
    """Data sets of the CaloChallenge."""
    for branch in tree.branches:
        if branch.kind == "real" and len(branch.shape) == 1:
            cells = branch.shape[0]
            yield Candidate(
                {"layout": "calochallenge", "showers": branch.name},
                f"'{branch.name}', {cells} cells in a row",
                _PREFERENCE["calochallenge"] + _name_score(branch.name),
                ((1, cells),),
            )


def _dense(tree: Tree, layout: str, dimensions: Collection[int]) -> Iterator[Candidate]:
    families: dict[str, list[Branch]] = {}
    for branch in tree.branches:
        if branch.kind != "other" and not branch.jagged and len(branch.shape) in dimensions:
            families.setdefault(re.sub(r"\d+", "#", branch.name), []).append(branch)
    for members in families.values():
        layers = sorted(members, key=_numbers)
        names = [layer.name for layer in layers]
        shapes = tuple(layer.shape if len(layer.shape) == 2 else (1, layer.shape[0]) for layer in layers)
        flat = any(len(layer.shape) == 1 for layer in layers)
        grids = ", ".join(f"{rows}x{columns}" for rows, columns in shapes)
        listed = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        notes = (f"'{listed}': a single row of cells is assumed for a one-dimensional branch",) if flat else ()
        yield Candidate(
            {"layout": layout, "energy": names},
            f"'{listed}', a fixed number of values an entry ({grids})",
            _PREFERENCE[layout] + _name_score(names[0]) - 2.0 * flat,
            shapes,
            notes,
        )


def _hits(tree: Tree) -> Candidate | None:
    whole = [branch.name for branch in tree.branches if branch.jagged and branch.kind == "whole"]
    row, column = find_name(whole, _ROW), find_name(whole, _COLUMN)
    energy = _list_of_energies(tree, ())
    if row is None or column is None or energy is None:
        return None
    layer = find_name(whole, _LAYER)
    values = {"layout": "hits", "cell_layer": layer, "cell_row": row, "cell_column": column, "cell_energy": energy}
    listed = ", ".join(f"'{name}'" for name in (layer, row, column, energy) if name is not None)
    return Candidate(
        values, f"{listed}, lists of whole numbers and of energies", _PREFERENCE["hits"] + _name_score(energy)
    )


def _positions(tree: Tree) -> Candidate | None:
    real = [branch.name for branch in tree.branches if branch.jagged and branch.kind == "real"]
    place = find_vector(real, _POSITION, "xyz") or find_vector(real, _POSITION, "xy")
    energy = None if place is None else _list_of_energies(tree, place)
    if place is None or energy is None:
        return None
    keys = ("hit_x", "hit_y", "hit_z")
    values = {"layout": "positions", "hit_z": None, **dict(zip(keys, place, strict=False)), "hit_energy": energy}
    listed = ", ".join(f"'{name}'" for name in (*place, energy))
    return Candidate(
        values, f"{listed}, lists of positions and of energies", _PREFERENCE["positions"] + _name_score(energy)
    )


def _list_of_energies(tree: Tree, without: Sequence[str]) -> str | None:
    real = [b.name for b in tree.branches if b.jagged and b.kind == "real" and b.name not in without]
    return max(real, key=_name_score, default=None)


def _name_score(name: str) -> float:
    """How much a name sounds like the energies in cells."""
    without_numbers = re.sub(r"\d+$", "", stem(name))
    told = [re.sub(r"\d+$", "", word) for word in words(name)]
    return max(_ENERGY.get(without_numbers, 0.0), *(0.9 * _ENERGY.get(word, 0.0) for word in told), _UNNAMED)


def _numbers(branch: Branch) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", branch.name)]
