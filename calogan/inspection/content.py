"""The trees or data sets of a file, and what the types of their branches say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from calogan.data.files import InputFile, file_format
from calogan.data.reading import read_trees

__all__ = ["Branch", "FileContent", "Tree", "read_content"]

Kind = Literal["whole", "real", "other"]

_DIMENSIONS = re.compile(r"(.*?)((?:\[\d*\])*)")
_LIST = re.compile(r"(?:std::|ROOT::VecOps::)?(?:vector|RVec)<(.+)>")
_ARRAY = re.compile(r"(?:std::)?array<(.+),(\d+)>")
_WHOLE = re.compile(r"(?:std::)?u?int(?:8|16|32|64)(?:_t)?")
_REAL = re.compile(r"float(?:16|32|64)?|double")
_COLUMN = "[1]"


@dataclass(frozen=True)
class Branch:
    """A branch of a tree, or a data set.

    Attributes:
        name: Its name.
        type: Its type as ROOT names it.
        kind: Whole numbers, real numbers, or something else.
        shape: Values of an entry, () for one.
        jagged: Whether an entry has a list of values, of any length.
    """

    name: str
    type: str
    kind: Kind = "other"
    shape: tuple[int, ...] = ()
    jagged: bool = False

    @classmethod
    def of(cls, name: str, type_: str) -> Self:
        """What the name of a type says, of a TTree's branch or an RNTuple's field.

        Example:
            >>> Branch.of("energy", "std::array<std::array<float,30>,20>").shape
            (20, 30)
            >>> Branch.of("cell_ix", "int16_t[]")
            Branch(name='cell_ix', type='int16_t[]', kind='whole', shape=(), jagged=True)
        """
        core, dimensions = _split_dimensions(type_.replace(" ", ""))
        jagged, shape = dimensions == [""], [int(length) for length in dimensions if length]
        if (found := _LIST.fullmatch(core)) and not dimensions:
            core, jagged = found[1], True
        while (found := _ARRAY.fullmatch(core)) and not jagged:
            core, shape = found[1], [*shape, int(found[2])]
        if "" in dimensions and not jagged:
            return cls(name, type_)
        kind: Kind = "whole" if _WHOLE.fullmatch(core) else "real" if _REAL.fullmatch(core) else "other"
        return cls(name, type_, kind, tuple(shape), jagged)

    @property
    def is_number(self) -> bool:
        """Whether an entry has one number."""
        return self.kind != "other" and not self.shape and not self.jagged


@dataclass(frozen=True)
class Tree:
    """A TTree or RNTuple, or the data sets of an HDF5 file: number of entries, and branches."""

    entries: int
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class FileContent:
    """What is in a file.

    Attributes:
        file: The file; a tree that was named with it is the only one that counts.
        format: Its format.
        trees: Trees by name; the data sets of an HDF5 file are one without a name.
    """

    file: InputFile
    format: str
    trees: Mapping[str, Tree] = field(default_factory=dict)


def read_content(file: InputFile) -> FileContent:
    """Names, entries and types of a file; no shower is read.

    Raises:
        DataError: The file is missing, damaged, or of a format that is not known.
    """
    is_hdf5 = file_format(file) == "HDF5"
    trees = {
        # a column of an HDF5 file is read as numbers
        name: Tree(
            tree.entries,
            tuple(
                Branch.of(branch, type_.removesuffix(_COLUMN) if is_hdf5 else type_)
                for branch, type_ in tree.branches.items()
            ),
        )
        for name, tree in read_trees(file.path).items()
    }
    return FileContent(file, "HDF5" if is_hdf5 else "ROOT", trees)


def _split_dimensions(type_: str) -> tuple[str, list[str]]:
    found = _DIMENSIONS.fullmatch(type_)
    core, dimensions = (found[1], found[2]) if found else (type_, "")
    return core, re.findall(r"\[(\d*)\]", dimensions)
