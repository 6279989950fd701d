"""Observables of the user: from the configuration and from installed packages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from calogan.errors import ConfigError
from calogan.geometry import Geometry
from calogan.physics.observable import Observable
from calogan.physics.observables import geometry_observables, is_registered, what_was_raised

__all__ = ["GROUP", "load_observables", "observable_catalogue"]

GROUP = "calogan.observables"
_PATH = re.compile(r"[\w.]+:[\w.]+")


def observable_catalogue(geometry: Geometry, named: Mapping[str, str]) -> dict[str, Observable]:
    """All observables that apply to a geometry: those of this package, then those of the user.

    Args:
        geometry: Cells.
        named: Name to ``package.module:attribute``; see `load_observables`.

    Raises:
        ConfigError: As `load_observables`.
    """
    users = load_observables(named)
    return {
        **geometry_observables(geometry),
        **{name: observable for name, observable in users.items() if _applies(name, observable, geometry)},
    }


def load_observables(named: Mapping[str, str]) -> dict[str, Observable]:
    """Observables named in the configuration, and those that installed packages bring along.

    A package brings them by entry points of the group ``calogan.observables``. Each is an `Observable` or a function
    ``(cell_energy, incident, geometry) -> (showers,)``, which is labelled with its name.

    Args:
        named: Name to ``package.module:attribute``.

    Returns:
        Observables by name.

    Raises:
        ConfigError: Something that cannot be imported or called, or a name that is taken or no identifier.

    Example:
        >>> load_observables({"my_total": "calogan.physics.observables:OBSERVABLES"})
        Traceback (most recent call last):
        calogan.errors.ConfigError: observable 'my_total' (calogan.physics.observables:OBSERVABLES) is ...
    """
    entries = [EntryPoint(name=name, value=path, group=GROUP) for name, path in named.items()]
    found: dict[str, Observable] = {}
    for entry in (*entries, *entry_points(group=GROUP)):
        where = f"observable {entry.name!r} ({entry.value})"
        if not entry.name.isidentifier():
            msg = f"{where}: the name must consist of letters, digits and underscores"
            raise ConfigError(msg)
        if is_registered(entry.name) or entry.name in found:
            msg = f"{where}: the name is taken by another observable; choose a different one"
            raise ConfigError(msg)
        found[entry.name] = _load(entry, where)
    return found


def _applies(name: str, observable: Observable, geometry: Geometry) -> bool:
    try:
        return bool(observable.applies(geometry))
    except Exception as error:  # the function is the user's and may raise anything
        msg = f"observable {name!r}: its `applies` raises {what_was_raised(error)}; mend it"
        raise ConfigError(msg) from error


def _load(entry: EntryPoint, where: str) -> Observable:
    if not _PATH.fullmatch(entry.value):
        msg = f"{where}: expected a path like 'package.module:attribute'"
        raise ConfigError(msg)
    try:
        loaded = entry.load()
    except (ImportError, AttributeError) as error:
        text = " ".join(str(error).split())
        msg = f"{where} cannot be imported: {text}; its package must be installed or its folder on PYTHONPATH"
        raise ConfigError(msg) from error
    except (Exception, SystemExit) as error:  # the module is the user's and may raise anything
        msg = f"{where} cannot be imported: its module raises {what_was_raised(error)}; mend the module"
        raise ConfigError(msg) from error
    if isinstance(loaded, Observable):
        return loaded
    if not callable(loaded):
        msg = (
            f"{where} is of type {type(loaded).__name__}; "
            "expected a function (cell_energy, incident, geometry) -> (showers,) or an Observable"
        )
        raise ConfigError(msg)
    return Observable(loaded, entry.name.replace("_", " "))
