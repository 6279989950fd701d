"""Which files are read how: the best way of each, the same for all where that goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calogan.data.files import InputFile
from calogan.data.schema import Schema
from calogan.errors import SchemaError
from calogan.inspection.collider import complete, find_collections
from calogan.inspection.content import FileContent
from calogan.inspection.layout import Candidate, find_candidates, find_missing
from calogan.inspection.scan import Group

__all__ = ["AS_THEY_ARE", "Choice", "choose"]

AS_THEY_ARE = {"energy": "GeV", "momentum": "GeV", "length": "mm"}
"""Units that leave the numbers of a file as they are."""


@dataclass(frozen=True)
class Choice:
    """Files that are read alike.

    Attributes:
        candidate: How.
        contents: The files.
        others: Other ways to read them.
    """

    candidate: Candidate
    contents: tuple[FileContent, ...]
    others: tuple[Candidate, ...]

    @property
    def files(self) -> tuple[InputFile, ...]:
        """The files."""
        return tuple(content.file for content in self.contents)

    @property
    def group(self) -> Group:
        """The files with numbers as they are."""
        schema = Schema.from_source(self.candidate.source([file.path for file in self.files], AS_THEY_ARE))
        return Group(schema, self.files, tuple(content.trees[schema.tree].entries for content in self.contents))


def choose(contents: Sequence[FileContent]) -> list[Choice]:
    """Choose the best way to read each file, or that of a file before if it can be read so too.

    Returns:
        The ways, with the files of each; none if no file holds showers.

    Raises:
        SchemaError: Some files hold showers, and one does not; says what it lacks.
    """
    found = [(content, _candidates(content)) for content in contents]
    without = next((content for content, candidates in found if not candidates), None)
    if without is not None and any(candidates for _, candidates in found):
        lacks = "; ".join(find_missing(without))
        msg = f"{without.file.path}: holds no showers, as other files do: {lacks}; leave it out"
        raise SchemaError(msg)
    chosen: list[Choice] = []
    for content, candidates in found:
        if not candidates:
            continue
        same = next((number for number, choice in enumerate(chosen) if choice.candidate in candidates), None)
        if same is None:
            chosen.append(Choice(candidates[0], (content,), tuple(candidates[1:])))
        else:
            before = chosen[same]
            chosen[same] = Choice(before.candidate, (*before.contents, content), before.others)
    return [_completed(choice) for choice in chosen]


def _candidates(content: FileContent) -> list[Candidate]:
    collections = [one for name, tree in content.trees.items() for one in find_collections(name, tree)]
    return [*collections, *find_candidates(content)]


def _completed(choice: Choice) -> Choice:
    """With the front face, which hits of the first file tell."""
    if choice.candidate.layout != "edm4hep":
        return choice
    return replace(choice, candidate=complete(choice.candidate, choice.contents[0]))
