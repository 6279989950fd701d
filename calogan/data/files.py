"""Finding input files: paths, globs, folders, URLs and shipped data; checksums."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import fsspec
import xxhash

from calogan.errors import DataError, near_miss
from calogan.redaction import DATA_CREDENTIALS, has_credentials, redact

__all__ = [
    "HDF5_SUFFIXES",
    "ROOT_SUFFIXES",
    "InputFile",
    "Stamp",
    "check_root_file",
    "checksum",
    "damage_is_told",
    "expand_files",
    "file_format",
    "shipped_folder",
]

ROOT_SUFFIXES: tuple[str, ...] = (".root",)
HDF5_SUFFIXES: tuple[str, ...] = (".hdf5", ".h5", ".hdf")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SHIPPED = "calogan://"
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Stamp:
    """Size [bytes] and time of the last change [ns] of a local file: enough to know that it is the same."""

    size: int
    changed: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """Stamp of a local file."""
        try:
            status = Path(path).stat()
        except OSError as error:
            msg = f"{path}: cannot be read: {error.strerror}"
            raise DataError(msg) from error
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class InputFile:
    """A file to read.

    Attributes:
        path: Local path or URL.
        tree: Tree named in the pattern as ``file.root:tree``; None takes the schema's.
    """

    path: str
    tree: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the path is one of this machine's."""
        return "://" not in self.path

    def inside(self, tree: str) -> str:
        """The file and a tree in it, for messages; the file alone where its format has no trees."""
        return f"{self.path}:{tree}" if tree else self.path

    @property
    def stem(self) -> str:
        """File name without folder and suffix."""
        return Path(self.path.rpartition("/")[2]).stem

    def stamp(self) -> Stamp | None:
        """Stamp of a local file, None for a URL."""
        return Stamp.of(self.path) if self.is_local else None


def shipped_folder() -> Path:
    """Folder of the showers that come with the package."""
    return Path(str(resources.files("calogan"))) / "resources" / "showers"


def expand_files(patterns: Iterable[str], suffixes: Sequence[str] = ROOT_SUFFIXES) -> list[InputFile]:
    """Files that patterns stand for, in the order of the patterns, each once.

    Args:
        patterns: Paths, globs, folders, URLs (fsspec, XRootD), each with an optional ``:tree``
            after ``.root``, or ``calogan://NAME/GLOB`` for showers that come with the package; ``${NAME}`` stands for
            a variable of the environment.
        suffixes: Of the files in a folder, those that are meant.

    Returns:
        Files; those of one pattern sorted by name.

    Raises:
        DataError: A pattern that no file matches, or one with a user name, password or token.
    """
    return list(dict.fromkeys(file for pattern in patterns for file in _expand(pattern, suffixes)))


def checksum(path: str) -> str:
    """XXH3 (128 bits) of the bytes of a file, local or at a URL, hexadecimal."""
    state = xxhash.xxh3_128()
    try:
        with fsspec.open(path) if "://" in path else Path(path).open("rb") as stream:
            while block := stream.read(_BLOCK):
                state.update(block)
    except (OSError, ImportError, ValueError) as error:
        msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or ' '.join(str(error).split())}"
        raise DataError(msg) from error
    return state.hexdigest()


def file_format(file: InputFile) -> Literal["ROOT", "HDF5"] | None:
    """What a file says that it is, or what the name of a remote one says; None if neither.

    Raises:
        DataError: A local file that cannot be read.
    """
    if not file.is_local:
        suffix = Path(file.path.partition("?")[0]).suffix
        return "HDF5" if suffix in HDF5_SUFFIXES else "ROOT" if suffix in ROOT_SUFFIXES else None
    size, place = Stamp.of(file.path).size, 0
    try:
        with Path(file.path).open("rb") as stream:
            if stream.read(4) == b"root":
                return "ROOT"
            while place < size:  # there may be a block of the user's own before it
                stream.seek(place)
                if stream.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
                    return "HDF5"
                place = max(512, 2 * place)
    except OSError as error:
        msg = f"{file.path}: cannot be read: {error.strerror}"
        raise DataError(msg) from error
    return None


@contextlib.contextmanager
def damage_is_told(source: str, kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn what a library raises on damaged files into one line.

    Args:
        source: File, and the place in it.
        kinds: Exceptions that the library raises.

    Raises:
        DataError: Instead of any of them.
    """
    try:
        yield
    except kinds as error:
        text = " ".join(str(error).split())[:200]
        msg = f"{source}: cannot be read, the file is damaged or missing: {type(error).__name__}: {text}"
        raise DataError(msg) from error


def check_root_file(path: str) -> None:
    """Refuse a local file that is not ROOT's, or shorter than its own header says.

    Raises:
        DataError: With the two sizes, if the file was cut.

    Source:
        Layout of the header: https://root.cern.ch/doc/master/classTFile.html.
    """
    size = Stamp.of(path).size
    try:
        with Path(path).open("rb") as stream:
            header = stream.read(20)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise DataError(msg) from error
    if len(header) < 20 or header[:4] != b"root":
        msg = f"{path}: not a ROOT file (it begins with {header[:4]!r})"
        raise DataError(msg)
    (version,) = struct.unpack(">i", header[4:8])
    (end,) = struct.unpack(">q", header[12:20]) if version >= 1_000_000 else struct.unpack(">i", header[12:16])
    if size < end:
        msg = f"{path}: truncated: its header promises {end} bytes, the file has {size}; copy it again"
        raise DataError(msg)


def _expand(pattern: str, suffixes: Sequence[str]) -> Iterator[InputFile]:
    path, tree = _split_tree(_with_environment(pattern))
    if has_credentials(path):
        msg = f"{redact(pattern)}: {DATA_CREDENTIALS}"
        raise DataError(msg)
    if path.startswith(_SHIPPED):
        paths = _expand_shipped(pattern, path.removeprefix(_SHIPPED), suffixes)
    elif "://" in path:
        paths = _expand_url(path)
    else:
        paths = _expand_local(path, suffixes)
    if not paths:
        msg = f"{pattern}: no such file{_neighbours(path, suffixes)}"
        raise DataError(msg)
    for found in paths:
        yield InputFile(found, tree)


def _with_environment(pattern: str) -> str:
    expanded = os.path.expandvars(pattern)
    unset = re.search(r"\$\{(\w+)\}", expanded)
    if unset:
        msg = f"{pattern}: the environment variable {unset[1]} is not set; set it to the folder of the files"
        raise DataError(msg)
    return expanded


def _split_tree(pattern: str) -> tuple[str, str | None]:
    head, mark, tree = pattern.rpartition(".root:")
    return (f"{head}.root", tree) if mark and not tree.startswith("//") else (pattern, None)


def _expand_local(path: str, suffixes: Sequence[str]) -> list[str]:
    expanded = Path(path).expanduser()
    if expanded.is_dir():
        return [str(file) for file in _of_suffix(expanded, suffixes)]
    if expanded.exists():
        return [str(expanded)]
    return sorted(glob.glob(str(expanded), recursive=True))  # noqa: PTH207


def _expand_shipped(pattern: str, path: str, suffixes: Sequence[str]) -> list[str]:
    if ".." in path.split("/"):
        msg = f"{pattern}: '..' is not allowed in the name of shipped showers"
        raise DataError(msg)
    folder = shipped_folder()
    name = path.partition("/")[0]
    known = sorted(child.name for child in folder.iterdir() if child.is_dir())
    if name not in known:
        msg = f"{pattern}: no shipped showers '{name}'; {near_miss(name, known)}"
        raise DataError(msg)
    return _expand_local(str(folder / path), suffixes)


def _expand_url(url: str) -> list[str]:
    if not glob.has_magic(url.partition("?")[0] if url.startswith("http") else url):
        return [url]
    try:
        system, path = fsspec.core.url_to_fs(url)
        found: list[Any] = system.glob(path)
    except (OSError, ImportError, ValueError) as error:
        msg = f"{url}: cannot list the files: {' '.join(str(error).split())}"
        raise DataError(msg) from error
    return sorted(str(system.unstrip_protocol(name)) for name in found)


def _neighbours(path: str, suffixes: Sequence[str]) -> str:
    if "://" in path:
        return ""
    parent = Path(path).expanduser().parent
    if not parent.is_dir():
        return f": there is no folder '{parent}'"
    return f" in '{parent}'; {near_miss(Path(path).name, [file.name for file in _of_suffix(parent, suffixes)])}"


def _of_suffix(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return sorted(file for file in folder.glob("*") if file.suffix in suffixes)
