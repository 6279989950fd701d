"""A share of the input files, which one of several processes prepares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from calogan.data.store import Manifest, read_manifest
from calogan.errors import ConfigError, StoreError

__all__ = ["Part", "read_parts"]

_FOLDER = "parts"

File = TypeVar("File")


@dataclass(frozen=True)
class Part:
    """One of so many parts of the input files.

    Attributes:
        number: Which one, from 1.
        of: Number of parts.

    Example:
        >>> Part.parse("2/3").share("abcdefgh")
        ['b', 'e', 'h']
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Part from ``K/N``.

        Raises:
            ConfigError: It is not of this form, or there is no such part.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        part = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= part.number <= part.of:
            msg = f"--part {text}: expected K/N with K from 1 to N, such as 2/8 for the second of eight parts"
            raise ConfigError(msg)
        return part

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """What files of the part are called by."""
        return f"{self.number}-of-{self.of}"

    def share(self, files: Sequence[File]) -> list[File]:
        """Every so manieth of the files, so that a part has some of all kinds."""
        return list(files[self.number - 1 :: self.of])

    def manifest(self, prepared: Path) -> Path:
        """What the part leaves in a prepared folder when all its shards are made."""
        return prepared / _FOLDER / f"{self.name}.json"


def read_parts(prepared: Path) -> list[Manifest]:
    """What parts have left in a prepared folder; one that cannot be read only saves nothing."""
    found = []
    for path in sorted((prepared / _FOLDER).glob("*.json")):
        try:
            found.append(read_manifest(path))
        except StoreError:
            continue
    return found
