"""A configuration in YAML, with the comments that say where its values are from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from calogan.inspection.names import readable

__all__ = ["to_yaml"]

_WIDTH = 120
_INDENT = "  "
_SECTIONS = 2

Path = tuple[str | int, ...]


class _Dumper(yaml.SafeDumper):
    """Writes a text that is not one printable line in double quotes, which keep it on one line."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(values: Mapping[str, Any], notes: Mapping[Path, str]) -> str:
    """YAML of plain values.

    Args:
        values: Sections by name.
        notes: Comments by the keys that lead to a value; () is for the head of the file.

    Example:
        >>> print(to_yaml({"name": "a", "data": {"workers": 2}}, {("data", "workers"): "cores"}), end="")
        name: a
        data:
          # cores
          workers: 2
    """
    return "\n".join([*_comment(notes.get((), ""), ""), *_mapping(values, notes, (), "")]) + "\n"


def _mapping(values: Mapping[str, Any], notes: Mapping[Path, str], path: Path, indent: str) -> Iterator[str]:
    for key, value in values.items():
        here = (*path, key)
        yield from _comment(notes.get(here, ""), indent)
        yield from _entry(f"{indent}{_flow(key)}:", value, notes, here, indent)


def _entry(head: str, value: Any, notes: Mapping[Path, str], path: Path, indent: str) -> Iterator[str]:
    line = f"{head} {_flow(value)}"
    if (_is_simple(value, path) and len(line) <= _WIDTH) or not isinstance(value, Mapping | list) or not value:
        yield line
    elif isinstance(value, Mapping):
        yield head
        yield from _mapping(value, notes, path, indent + _INDENT)
    else:
        yield head
        for number, one in enumerate(value):
            yield from _item(one, notes, (*path, number), indent + _INDENT)


def _is_simple(value: Any, path: Path) -> bool:
    """Whether a value goes on the line of its key: a list of scalars, or a mapping of them within a section."""
    parts = list(value.values()) if isinstance(value, Mapping) and len(path) > _SECTIONS else value
    return isinstance(parts, list) and not any(isinstance(part, Mapping | list) for part in parts)


def _item(value: Any, notes: Mapping[Path, str], path: Path, indent: str) -> Iterator[str]:
    yield from _comment(notes.get(path, ""), indent)
    if not isinstance(value, Mapping):
        yield f"{indent}- {_flow(value)}"
        return
    mark = f"{indent}- "
    for line in _mapping(value, notes, path, indent + _INDENT):
        is_comment = line.lstrip().startswith("#")
        yield line if is_comment else mark + line[len(mark) :]
        mark = mark if is_comment else indent + _INDENT


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in textwrap.wrap(readable(line), _WIDTH - len(indent) - 2, break_long_words=False):
            yield f"{indent}# {part}"


def _flow(value: Any) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
