"""Parts of an output -> one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from calogan.data.files import InputFile
from calogan.data.root import iterate_entries
from calogan.data.writer import RootWriter, TreeSpec
from calogan.stages.generate.writing import GOES_ON, writing

__all__ = ["merge_files"]


def merge_files(
    files: Sequence[Path],
    output: Path,
    trees: Sequence[TreeSpec],
    entries: int,
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
        entries: Entries of the first tree in all files.
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
    with RootWriter(output, trees, rntuple=rntuple, provenance=provenance, hint=GOES_ON) as writer:
        for number, tree in enumerate(trees):
            for file in files:
                source = InputFile(str(file))
                for chunk in iterate_entries(source, tree.name, list(tree.types), tree.block, lists=tree.has_lists):
                    writer.extend(tree.name, chunk.columns)
                    if number == 0:
                        advance(chunk.size)
