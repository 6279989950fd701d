"""Parts of an output -> one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from calogan.data import hdf5, root
from calogan.data.decode import Chunk
from calogan.data.files import InputFile
from calogan.data.writer import TreeSpec
from calogan.data.writing import open_file
from calogan.stages.generate.writing import GOES_ON, writing

__all__ = ["merge_files"]


def merge_files(
    files: Sequence[Path],
    output: Path,
    trees: Sequence[TreeSpec],
    entries: int,
    *,
    is_hdf5: bool,
    rntuple: bool,
    provenance: Mapping[str, str],
    advance: Callable[[int], None],
) -> None:
    """Write the trees of several files to one, which appears when it is complete; memory holds a block of entries.

    Args:
        files: Files with the same trees, in the order that their entries are to have.
        output: File to write.
        trees: The trees.
        entries: Entries of the first tree in all files.
        is_hdf5: Whether the files are HDF5, and not ROOT.
        rntuple: Write RNTuples instead of TTrees.
        provenance: What made the file.
        advance: Called with the entries of the first tree that are written.

    Raises:
        DataError: A file that is missing or damaged, or an output that cannot be written.
    """
    if len(files) == 1:
        with writing(output):
            files[0].replace(output)
        advance(entries)
        return
    with open_file(output, trees, is_hdf5=is_hdf5, rntuple=rntuple, provenance=provenance, hint=GOES_ON) as writer:
        for number, tree in enumerate(trees):
            for file in files:
                for chunk in _iterate(InputFile(str(file)), tree, is_hdf5=is_hdf5):
                    writer.extend(tree.name, chunk.columns)
                    if number == 0:
                        advance(chunk.size)


def _iterate(file: InputFile, tree: TreeSpec, *, is_hdf5: bool) -> Iterator[Chunk]:
    if is_hdf5:
        return hdf5.iterate_rows(file, list(tree.types), tree.block)
    return root.iterate_entries(file, tree.name, list(tree.types), tree.block, lists=tree.has_lists)
