"""Generated files -> a manifest of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calogan.atomic import write_atomically
from calogan.data.decode import Jagged
from calogan.data.files import InputFile, Stamp, checksum
from calogan.data.reading import read_provenance, read_trees
from calogan.data.root import TreeContent, iterate_entries
from calogan.errors import DataError, StoreError
from calogan.stages.generate.outside import count_listed, outside_list_of

__all__ = ["Collection", "GeneratedFile", "collect"]

FORMAT = 1
_CHUNK = 100_000


@dataclass(frozen=True)
class GeneratedFile:
    """A file that `generate` wrote.

    Attributes:
        path: Where it lies; relative to the manifest if it is beside it or below.
        entries: Showers, or events that showers were summed in.
        left_out: Particles that no shower was made for.
        outside_list: File that lists them, None if there are none or the file holds them itself.
        seed: Seed of its noise.
        base_seed: What the seed was derived from, None if it was given.
        key: What its noise is keyed by, besides the seed.
        inputs: Files of its incident particles.
        calogan: Version that wrote it.
        size: Bytes.
        checksum: XXH3 (128 bits) of them.
    """

    path: str
    entries: int
    left_out: int
    outside_list: str | None
    seed: int
    base_seed: int | None
    key: str
    inputs: str
    calogan: str
    size: int
    checksum: str


@dataclass(frozen=True)
class Collection:
    """Generated files that belong together.

    Attributes:
        bundle: Id of the bundle that made all of them.
        trees: Branches of each tree and their types.
        files: The files, in the order that they were given.
    """

    bundle: str
    trees: Mapping[str, Mapping[str, str]]
    files: tuple[GeneratedFile, ...]

    @property
    def entries(self) -> int:
        """Entries of all files."""
        return sum(file.entries for file in self.files)

    @property
    def left_out(self) -> int:
        """Particles that are in none of them."""
        return sum(file.left_out for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": FORMAT,
            "bundle": self.bundle,
            "entries": self.entries,
            "left_out": self.left_out,
            "trees": {name: dict(branches) for name, branches in self.trees.items()},
            "files": [asdict(file) for file in self.files],
        }


def collect(files: Sequence[Path], out: Path) -> Collection:
    """Write the manifest of generated files, which appears as a whole.

    Args:
        files: Files that `generate` wrote.
        out: JSON file to write.

    Raises:
        DataError: A file that is missing, damaged or not written by `generate`, files of several bundles or with
            different branches, or two files with the same seed, whose showers could share their noise.
        StoreError: The manifest cannot be written.
    """
    told = [(path, _provenance(path), read_trees(path)) for path in files]
    _require_one(((path, f"of bundle {provenance['bundle']}") for path, provenance, _ in told), "collect each bundle's")
    _require_one(((path, f"with {_describe(trees)}") for path, _, trees in told), "collect those of one kind")
    _require_own_seeds([(path, provenance["seed"]) for path, provenance, _ in told])
    collection = Collection(
        told[0][1]["bundle"],
        {name: tree.branches for name, tree in told[0][2].items()},
        tuple(_look_at(path, provenance, trees, out.parent) for path, provenance, trees in told),
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, (json.dumps(collection.to_dict(), indent=1) + "\n").encode())
    except OSError as error:
        msg = f"{out}: cannot be written: {error.strerror or error}"
        raise StoreError(msg) from error
    return collection


def _provenance(path: Path) -> dict[str, str]:
    found = read_provenance(path)
    if not {"bundle", "seed", "key", "inputs", "calogan"} <= found.keys():
        msg = f"{path}: was not written by calogan generate; leave it out"
        raise DataError(msg)
    return found


def _require_one(told: Iterator[tuple[Path, str]], remedy: str) -> None:
    """Refuse files that differ in what is said of them."""
    first, known = next(told)
    for path, text in told:
        if text != known:
            msg = f"{path}: is {text}, but {first} is {known}; {remedy} files for themselves"
            raise DataError(msg)


def _describe(trees: Mapping[str, TreeContent]) -> str:
    return "; ".join(
        f"tree '{name}' of {_listed(tree)}" if name else f"data sets {_listed(tree)}" for name, tree in trees.items()
    )


def _listed(tree: TreeContent) -> str:
    return ", ".join(f"{branch} {kind}" for branch, kind in tree.branches.items())


def _require_own_seeds(seeds: Sequence[tuple[Path, str]]) -> None:
    seen: dict[str, Path] = {}
    for path, seed in seeds:
        if seed in seen:
            msg = (
                f"{path}: has the seed {seed} of {seen[seed]}: showers of the same key would share their noise; "
                "generate each file with a seed of its own, as with --seed-by-input"
            )
            raise DataError(msg)
        seen[seed] = path


def _look_at(path: Path, provenance: Mapping[str, str], trees: Mapping[str, TreeContent], base: Path) -> GeneratedFile:
    listed = outside_list_of(path)
    base_seed = provenance.get("base_seed")
    return GeneratedFile(
        path=_relative(path, base),
        entries=next(iter(trees.values())).entries,
        left_out=count_listed(listed) + sum(_count_left(path, name) for name in trees if name.endswith("_left")),
        outside_list=_relative(listed, base) if listed.exists() else None,
        seed=int(provenance["seed"]),
        base_seed=None if base_seed is None else int(base_seed),
        key=provenance["key"],
        inputs=provenance["inputs"],
        calogan=provenance["calogan"],
        size=Stamp.of(str(path)).size,
        checksum=checksum(str(path)),
    )


def _count_left(path: Path, tree: str) -> int:
    """Particles in the tree of those that an overlay leaves to the full simulation."""
    chunks = iterate_entries(InputFile(str(path)), tree, ["particle_index"], _CHUNK, lists=True)
    columns = (chunk.columns["particle_index"] for chunk in chunks)
    return sum(int(column.counts.sum()) for column in columns if isinstance(column, Jagged))


def _relative(path: Path, base: Path) -> str:
    path, base = path.resolve(), base.resolve()
    return str(path.relative_to(base) if path.is_relative_to(base) else path)
