"""Parts of an output -> one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from calogan.data.files import InputFile
from calogan.data.root import iterate_entries
from calogan.data.writer import BLOCK, RootWriter, TreeSpec

__all__ = ["merge_files"]


def merge_files(
    files: Sequence[Path],
    output: Path,
    trees: Sequence[TreeSpec],
    *,
    rntuple: bool,
    provenance: Mapping[str, str],
    advance: Callable[[int], None],
) -> None:
    """Write the trees of several files to one, which appears when it is complete; memory holds a block of entries.

    Args:
        files: Files with the same trees, in the order that their entries are to have.
        output: ROOT file to write.
        trees: The trees.
        rntuple: Write RNTuples instead of TTrees.
        provenance: What made the file.
        advance: Called with the entries of the first tree that are written.

    Raises:
        DataError: A file that is missing or damaged.
    """
    if len(files) == 1:
        files[0].replace(output)
        return
    with RootWriter(output, trees, rntuple=rntuple, provenance=provenance) as writer:
        for number, tree in enumerate(trees):
            for file in files:
                source = InputFile(str(file))
                for chunk in iterate_entries(source, tree.name, list(tree.types), BLOCK, lists=tree.has_lists):
                    writer.extend(tree.name, chunk.columns)
                    if number == 0:
                        advance(chunk.size)
