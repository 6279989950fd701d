"""Reading HDF5 files of showers: data sets with one row a shower."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import fsspec
from numpy.typing import NDArray

from calogan.data.decode import Chunk
from calogan.data.files import InputFile, Stamp, damage_is_told
from calogan.data.writer import PROVENANCE
from calogan.errors import DataError, MissingDependencyError, SchemaError, near_miss

__all__ = ["KIND", "count_rows", "import_h5py", "iterate_rows", "read_attributes", "read_sets", "read_types"]

KIND = "data set"
# Bytes in memory at a time, and of the smallest piece that HDF5 can read, whatever a file's header says.
_BLOCK, _LARGEST_CHUNK, _LARGEST_ROW = 1 << 26, 1 << 30, 1 << 28
# What h5py raises on damaged files, found by cutting files and by changing random bytes.
_UNREADABLE = (OSError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def import_h5py() -> ModuleType:
    """The module h5py.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        msg = "HDF5 files need h5py: pip install 'calogan[hdf5]'"
        raise MissingDependencyError(msg) from error
    module: ModuleType = h5py
    return module


def iterate_rows(
    file: InputFile,
    names: Sequence[str],
    chunk: int,
    *,
    known: Sequence[str] = (),
    start: int = 0,
    stop: int | None = None,
) -> Generator[Chunk, None, None]:
    """Read data sets chunk by chunk, as they are; a last axis of length 1 alone is left out.

    Args:
        file: File to read.
        names: Data sets to read.
        chunk: Rows read at a time: about so many, as the file's own chunks are read whole, and fewer where they are
            large.
        known: More data sets that must be there.
        start: First row.
        stop: Row to stop before; the end by default.

    Raises:
        DataError: The file is missing or damaged, or the data sets have different lengths.
        SchemaError: It lacks a data set, or has something else of its name.
    """
    with _open(file) as opened:
        sets = _find(opened, file, [*names, *known])
        chosen = {name: sets[name] for name in names}
        stop = len(next(iter(sets.values()))) if stop is None else stop
        step = _step(list(chosen.values()), chunk)
        while start < stop:
            end = min((start // step + 1) * step, stop)
            columns = {name: _read(file, name, data, start, end) for name, data in chosen.items()}
            yield Chunk(file.path, start, end - start, columns, KIND)
            start = end


def read_types(file: InputFile, names: Sequence[str]) -> Chunk:
    """A chunk without rows, whose columns have the types of the data sets; see `iterate_rows`."""
    with _open(file) as opened:
        sets = _find(opened, file, names)
        return Chunk(file.path, 0, 0, {name: _read(file, name, data, 0, 0) for name, data in sets.items()}, KIND)


def count_rows(file: InputFile, names: Sequence[str]) -> int:
    """Number of rows of data sets that must be there.

    Raises:
        DataError: The file is missing or damaged, or the data sets have different lengths.
        SchemaError: It lacks a data set.
    """
    with _open(file) as opened:
        return len(next(iter(_find(opened, file, names).values())))


def read_attributes(path: str) -> dict[str, str]:
    """What was recorded about the making of a file; empty if another program wrote it."""
    with _open(InputFile(path)) as opened, _translated(path):
        values: dict[str, str] = json.loads(opened.attrs.get(PROVENANCE, "{}"))
        return values


def read_sets(path: str) -> tuple[int, dict[str, str]]:
    """Number of showers, and the type of what is in a file by name: ``float64[368]`` is a row of a data set.

    Of data sets with different numbers of rows most have one a shower; `group`, `text` and the like are others.

    Raises:
        DataError: The file is missing or damaged.
    """
    with _open(InputFile(path)) as opened, _translated(path):
        found = {name: opened.get(name) for name in sorted(opened)}
        sets = {name: data for name, data in found.items() if _problem(opened, data) is None}
        lengths = Counter(len(data) for data in sets.values())
        rows = max(lengths, key=lambda length: (lengths[length], length), default=0)
        return rows, {name: _kind(data, rows, readable=name in sets) for name, data in found.items()}


def _kind(data: Any, rows: int, *, readable: bool) -> str:
    if not hasattr(data, "chunks"):
        return "missing link" if data is None else "group"
    shape = "".join(f"[{length}]" for length in data.shape[1:])
    if readable and len(data) == rows:
        return f"{data.dtype.name}{shape}"
    name = "text" if data.dtype.kind in "OSU" else data.dtype.name
    return f"{name}{shape} in {len(data)} rows" if data.shape else f"one {name}"


_translated = partial(damage_is_told, kinds=_UNREADABLE)


@contextlib.contextmanager
def _open(file: InputFile) -> Iterator[Any]:
    h5py = import_h5py()
    with contextlib.ExitStack() as stack:
        if file.is_local and Stamp.of(file.path).size == 0:
            msg = f"{file.path}: is empty; copy it again"
            raise DataError(msg)
        with _translated(file.path):
            # Inputs do not change while they are read; some network disks cannot lock.
            source = file.path if file.is_local else stack.enter_context(fsspec.open(file.path))
            options = {"locking": False} if file.is_local else {}
            opened = stack.enter_context(h5py.File(source, "r", **options))
        yield opened


def _find(opened: Any, file: InputFile, names: Iterable[str]) -> dict[str, Any]:
    """Data sets by name, which lie in this file, hold numbers and have one length."""
    sets: dict[str, Any] = {}
    for name in dict.fromkeys(names):
        with _translated(file.path):
            found = opened.get(name)
            known = sorted(opened) if found is None else []
        if found is None:
            msg = f"{file.path}: no {KIND} '{name}'; {near_miss(name, known)}"
            raise SchemaError(msg)
        with _translated(f"{file.path}, {KIND} '{name}'"):
            problem = _problem(opened, found)
        if problem:
            msg = f"{file.path}, {KIND} '{name}': {problem}"
            raise SchemaError(msg)
        sets[name] = found
    lengths = {name: len(data) for name, data in sets.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"'{name}' has {length}" for name, length in lengths.items())
        msg = f"{file.path}: the data sets have different numbers of showers: {listed}"
        raise DataError(msg)
    return sets


def _problem(opened: Any, data: Any) -> str | None:
    """Why something is no data set to read; nothing of its values is looked at."""
    if data is None:
        return "is a link to nothing"
    if not hasattr(data, "chunks"):
        return "is a group; name a data set in it as GROUP/NAME"
    if data.file.filename != opened.filename or data.is_virtual or data.external:
        return "lies in another file; copy it into this one"
    if data.dtype.kind not in "fiu":
        return f"expected numbers, found {data.dtype}"
    if not data.shape:
        return "is one value; expected one row a shower"
    if _row_bytes(data) > _LARGEST_ROW:
        return f"a row of shape {data.shape[1:]} is no shower"
    if data.chunks and math.prod(data.chunks) * data.dtype.itemsize > _LARGEST_CHUNK:
        return f"is stored in chunks of {data.chunks} values, too large to read; make smaller ones with h5repack"
    return None


def _read(file: InputFile, name: str, data: Any, start: int, stop: int) -> NDArray[Any]:
    with _translated(f"{file.path}, {KIND} '{name}', entries {start} to {stop}"):
        values: NDArray[Any] = data[start:stop]
    return values[:, 0] if values.shape[1:] == (1,) else values


def _step(sets: Sequence[Any], chunk: int) -> int:
    """Rows to read at a time: whole chunks of the largest data set, within `_BLOCK` bytes."""
    largest = max(sets, key=_row_bytes)
    own = largest.chunks[0] if largest.chunks else 1
    most = max(_BLOCK // max(sum(map(_row_bytes, sets)), 1), 1)
    wanted = min(max(chunk, own), most)
    return wanted // own * own or wanted


def _row_bytes(data: Any) -> int:
    size: int = math.prod(data.shape[1:]) * data.dtype.itemsize
    return size
