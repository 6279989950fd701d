"""What a caller of the sampler asks for: scalars, lists, NumPy or awkward arrays made into one table of particles."""

from __future__ import annotations

import contextlib
import operator
import secrets
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ConfigError, DomainError, ShapeError
from calogan.physics.kinematics import Domain
from calogan.physics.particles import list_types

__all__ = [
    "Arguments",
    "Outside",
    "OutsideDomainWarning",
    "Request",
    "admit",
    "at_least_one",
    "check",
    "choose_seed",
    "read_arguments",
    "split_momentum",
]

Outside = Literal["raise", "warn", "clip"]

_COLUMNS = ("px", "py", "pz", "x", "y")


class OutsideDomainWarning(UserWarning):
    """Showers were made for incident particles that the surrogate was not trained for."""


@dataclass(frozen=True)
class Request:
    """Incident particles, one a row.

    Attributes:
        incident: px, py, pz [GeV], x, y [mm], float32, shape ``(showers, 5)``.
        shower_id: Key of the noise, int64, shape ``(showers,)``; that of the event where events hold many particles.
        pdg: PDG ids, int32, shape ``(showers,)``; none where the caller does not say.
        particle: Index in the event, int64, shape ``(showers,)``; none where there is one particle an event.
        counts: Particles in each event, int64, shape ``(events,)``; none likewise.
        first: Number of the first entry among those of the call.
    """

    incident: NDArray[np.float32]
    shower_id: NDArray[np.int64]
    pdg: NDArray[np.int32] | None = None
    particle: NDArray[np.int64] | None = None
    counts: NDArray[np.int64] | None = None
    first: int = 0

    def __len__(self) -> int:
        return len(self.incident)

    def where(self, index: int) -> str:
        """Which particle a row is, in the caller's terms."""
        if self.counts is None or self.particle is None:
            return f"number {self.first + index}"
        event = self.first + int(np.searchsorted(np.cumsum(self.counts), index, side="right"))
        return f"particle {self.particle[index]} of event {event}"


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, of one shape and else as they came: what requests are made of, a few or all at once.

    Attributes:
        columns: px, py, pz [GeV] and, if they were given, x, y [mm], each of shape ``(showers,)``.
        pdg: PDG ids, shape ``(showers,)``; none where the caller does not say.
        shower_id: Key of each entry's noise, a particle or an event of many; none for 0, 1, 2, ...
        bounds: First particle of each event and the number of all; none where there is one particle an event.
        centre: x, y [mm] where they were not given.
    """

    columns: Sequence[NDArray[Any]]
    pdg: NDArray[np.int32] | None
    shower_id: NDArray[np.int64] | None
    bounds: NDArray[np.int64] | None
    centre: tuple[float, float]

    def __len__(self) -> int:
        """Number of entries: particles, or events where they hold many."""
        return len(self.columns[0]) if self.bounds is None else len(self.bounds) - 1

    def request(self, first: int = 0, last: int | None = None) -> Request:
        """The request for some of the entries, by default all.

        Raises:
            DomainError: A NaN or an infinity.
        """
        last = len(self) if last is None else min(last, len(self))
        rows = slice(first, last) if self.bounds is None else slice(self.bounds[first], self.bounds[last])
        incident = np.empty((rows.stop - rows.start, 5), dtype=np.float32)
        incident[:, 3:] = self.centre
        with np.errstate(over="ignore"):
            for number, column in enumerate(self.columns):
                incident[:, number] = column[rows]
        given = self.shower_id
        ids = np.arange(first, last, dtype=np.int64) if given is None else given[first:last]
        request = Request(incident, ids, None if self.pdg is None else self.pdg[rows], first=first)
        if self.bounds is not None:
            counts = np.diff(self.bounds[first : last + 1])
            particle = np.arange(len(incident)) - np.repeat(np.cumsum(counts) - counts, counts)
            request = replace(request, shower_id=np.repeat(ids, counts), particle=particle, counts=counts)
        _refuse_not_finite(request)
        return request

    def chunks(self, size: int) -> Iterator[Request]:
        """Requests for `size` entries each, one after the other."""
        return (self.request(first, first + size) for first in range(0, len(self), size))


def split_momentum(px: Any, py: Any, pz: Any, size: Any = None, *, directed: bool = True) -> tuple[Any, ...]:
    """The momentum that was asked for: three components, or its size alone.

    Args:
        px: Component along x, or an object that has all components, such as an array of `vector`.
        py: Component along y.
        pz: Component along z.
        size: Size of the momentum, for particles along the axis.
        directed: Whether the surrogate is told the direction, and needs one.

    Raises:
        ShapeError: A component is missing, or there is one beside an object that has all or beside the size.
    """
    given = [name for name, value in (("px", px), ("py", py), ("pz", pz)) if value is not None]
    if size is not None or (given == ["pz"] and not directed):
        return _size_alone(pz if size is None else size, [] if size is None else given, directed=directed)
    given = [name for name in given if name != "px"]
    if hasattr(px, "px") and hasattr(px, "py") and hasattr(px, "pz"):
        if given:
            msg = f"the first argument holds a whole momentum; leave out {' and '.join(given)}"
            raise ShapeError(msg)
        return px.px, px.py, px.pz
    if len(given) < 2 or px is None:
        missing = [name for name, value in (("px", px), ("py", py), ("pz", pz)) if value is None]
        size_alone = "" if directed else "momentum [GeV], or "
        msg = (
            f"give {size_alone}{' and '.join(missing)} [GeV], or one argument that has px, py and pz, such as vector's "
            "Momentum4D"
        )
        raise ShapeError(msg)
    return px, py, pz


def _size_alone(size: Any, given: Sequence[str], *, directed: bool) -> tuple[Any]:
    if given:
        msg = f"momentum is that of particles along the axis; leave out {' and '.join(given)}, or momentum"
        raise ShapeError(msg)
    if directed:
        msg = "the surrogate is told the direction; give px, py and pz [GeV] instead of momentum"
        raise ShapeError(msg)
    return (size,)


def read_arguments(
    momentum: tuple[Any, ...],
    entry_point: tuple[Any, Any] | None,
    shower_id: Any = None,
    centre: tuple[float, float] = (0.0, 0.0),
    pdg: Any = None,
) -> Arguments:
    """Bring the arguments of a call to one shape; nothing is copied that need not be.

    Args:
        momentum: px, py, pz [GeV], or the size of a momentum along z alone: scalars, lists, NumPy or awkward arrays,
            torch tensors. With two dimensions, ragged or not, they are the particles of each event.
        entry_point: x, y [mm], likewise; none stands for the centre.
        shower_id: Integers, one for each particle, or for each event where events hold many; counted from 0 by default.
        centre: x, y [mm] of all particles without an entry point.
        pdg: PDG ids, as the momenta; none where they are not known.

    Raises:
        ShapeError: Values that are not numbers, are missing, or do not go together; ids that are not unique.
    """
    names = ("momentum",) if len(momentum) == 1 else _COLUMNS[:3]
    names = (*names, *(_COLUMNS[3:] if entry_point else ()), *(() if pdg is None else ("pdg",)))
    given = (*momentum, *(entry_point or ()), *(() if pdg is None else (pdg,)))
    values = [
        np.array([value]) if type(value) in {int, float} else _column(name, value)
        for name, value in zip(names, given, strict=True)
    ]
    bounds: NDArray[np.int64] | None = None
    if all(value.ndim == 1 and len(value) == 1 for value in values):
        pass  # the one shower of a loop, for which the work below would cost a tenth of the time
    elif any(value.ndim == 2 for value in values):
        values, counts = _flatten(names, values)
        bounds = np.concatenate([[0], np.cumsum(counts)])
    else:
        try:
            values = [np.atleast_1d(value) for value in np.broadcast_arrays(*values)]
        except ValueError as error:
            raise ShapeError(_disagreement(names, values)) from error
    types = None if pdg is None else _pdg(values.pop())
    if len(momentum) == 1:
        values = [np.broadcast_to(0.0, values[0].shape)] * 2 + values
    entries = len(values[0]) if bounds is None else len(bounds) - 1
    ids = None if shower_id is None else _shower_ids(shower_id, entries)
    return Arguments(values, types, ids, bounds, centre)


def check(
    request: Request, domain: Domain, outside: Outside, known: Sequence[int] = (), *, told_apart: bool = False
) -> None:
    """Refuse particles outside of a domain, or warn of them.

    Args:
        request: The particles.
        domain: The domain.
        outside: What the caller chose.
        known: PDG ids of the particles that the surrogate was trained with; empty where they are not known.
        told_apart: Whether the surrogate is told the type: it can then make no shower of another one.

    Raises:
        DomainError: Particles outside under ``"raise"``; under the other choices those that no shower can be made for
            (without momentum, not towards the front face, of a type that the surrogate would have to be told) and,
            but for ``"warn"``, of another type.
        ConfigError: An unknown choice.
    """
    if outside not in get_args(Outside):
        msg = f"outside must be one of {', '.join(map(repr, get_args(Outside)))}, got {outside!r}"
        raise ConfigError(msg)
    _check_types(request, known, refused=told_apart or outside != "warn")
    flags = domain.outside(request.incident, request.pdg)
    if not flags.any():
        return
    text = _describe(request, flags, domain)
    if outside == "raise":
        msg = f"{text}; give it to the full simulation, or pass outside='warn' or 'clip'"
        raise DomainError(msg)
    impossible = request.incident[:, 2] <= 0
    if impossible.any():
        msg = f"{_describe(request, impossible, domain)}; it does not fly towards the front face, leave it out"
        raise DomainError(msg)
    if outside == "warn":
        warnings.warn(text, OutsideDomainWarning, stacklevel=3)


def admit(request: Request, domain: Domain, outside: Outside) -> Request:
    """The request as it is, or under ``"clip"`` with particles moved to the domain's edge; `check` goes before."""
    return replace(request, incident=domain.clip(request.incident, request.pdg)) if outside == "clip" else request


def at_least_one(name: str, value: Any) -> int:
    """A setting that counts something.

    Raises:
        ConfigError: Not a whole number, or less than 1.
    """
    try:
        count = operator.index(value)
    except TypeError as error:
        msg = f"{name} must be a whole number of at least 1, got {value!r}"
        raise ConfigError(msg) from error
    if count < 1:
        msg = f"{name} must be at least 1, got {count}"
        raise ConfigError(msg)
    return count


def choose_seed(seed: Any) -> int:
    """The caller's seed, or fresh entropy where it is None.

    Raises:
        ConfigError: Not a whole number of 64 bits.
    """
    if seed is None:
        return secrets.randbits(63)
    try:
        chosen = operator.index(seed)
    except TypeError:
        chosen = -1
    if not 0 <= chosen < 2**64:
        msg = f"the seed must be a whole number from 0 to 2**64 - 1, got {seed!r}"
        raise ConfigError(msg)
    return chosen


def _check_types(request: Request, known: Sequence[int], *, refused: bool) -> None:
    if request.pdg is None or not known:
        return
    other = ~np.isin(request.pdg, known)
    if not other.any():
        return
    first = int(np.argmax(other))
    text = (
        f"{int(other.sum())} of {len(request)} incident particles are of another type than the surrogate was trained "
        f"with (pdg {list_types(known)}), the first is {request.where(first)} with pdg {request.pdg[first]}"
    )
    if refused:
        msg = f"{text}; give it to the full simulation, or to a surrogate of its type"
        raise DomainError(msg)
    warnings.warn(text, OutsideDomainWarning, stacklevel=4)


def _pdg(values: Any) -> NDArray[np.int32]:
    if len(values) and values.dtype.kind not in "iu":
        msg = f"pdg must be whole numbers, got {values.dtype}"
        raise ShapeError(msg)
    ids = np.asarray(values)
    if len(ids) and (ids.min() < -(2**31) or ids.max() >= 2**31):
        msg = f"pdg must be ids of 32 bits, got {ids.min()} to {ids.max()}"
        raise ShapeError(msg)
    return ids.astype(np.int32)


def _column(name: str, values: Any) -> Any:
    """A NumPy array of up to one dimension, or an awkward array of two."""
    array = None
    try:
        array = None if _is_masked(values) else _as_array(values)
    except (TypeError, ValueError):
        array = None
    if array is None or not _is_numbers(array):
        msg = f"{name} must be numbers without missing values, one a particle, got {_shape(values)}"
        raise ShapeError(msg)
    return array


def _as_array(values: Any) -> Any:
    if hasattr(values, "detach"):  # a tensor of torch, on any device
        values = values.detach().cpu().numpy()
    if not _is_awkward(values):
        array = _plain(values)
        if array is not None and array.ndim < 2:
            return array
    import awkward as ak

    array = ak.Array(list(values) if isinstance(values, list | tuple) else values)
    if array.ndim < 2:
        return ak.to_numpy(array, allow_missing=False)
    for axis in range(2 if array.ndim == 2 else 0):  # lists of Arrow and Parquet could miss values, if they do not
        if not ak.any(ak.is_none(array, axis=axis), axis=None):
            array = ak.drop_none(array, axis=axis)
    return ak.from_regular(array, axis=1)


def _plain(values: Any) -> Any:
    """What NumPy makes of it; None for a list of lists, or of anything that is not a number."""
    if not isinstance(values, list | tuple):
        return np.asarray(values)
    try:
        array = np.asarray(values)
    except ValueError:  # ragged
        return None
    return array if array.dtype.kind in "iuf" else None


def _is_awkward(values: Any) -> bool:
    """Whether this is an awkward array; awkward takes half a second to import, which who has one has spent."""
    awkward = sys.modules.get("awkward")
    return awkward is not None and isinstance(values, awkward.Array)


def _is_masked(values: Any) -> bool:
    return bool(np.ma.is_masked(values)) or (isinstance(values, list | tuple) and any(map(np.ma.is_masked, values)))


def _is_numbers(array: Any) -> bool:
    if not _is_awkward(array):
        return array.dtype.kind in "iuf" and array.ndim < 2
    import awkward as ak

    events = array.type.content
    particles = events.content if isinstance(events, ak.types.ListType) else events
    numbers = isinstance(particles, ak.types.NumpyType) and particles.primitive.startswith(("int", "uint", "float"))
    return isinstance(events, ak.types.ListType) and (numbers or isinstance(particles, ak.types.UnknownType))


def _shape(values: Any) -> str:
    if _is_awkward(values):
        return str(values.type)
    if hasattr(values, "detach"):
        return f"a tensor of {values.dtype} and shape {tuple(values.shape)}"
    array = np.asarray(values, dtype=object) if isinstance(values, list | tuple) else np.asarray(values)
    return f"{array.dtype} of shape {array.shape}"


def _flatten(names: tuple[str, ...], values: list[Any]) -> tuple[list[Any], NDArray[np.int64]]:
    """Flat columns, and the number of particles in each event; a number for an event goes to all its particles."""
    import awkward as ak

    try:
        columns = ak.broadcast_arrays(*values)
    except ValueError as error:
        raise ShapeError(_disagreement(names, values)) from error
    counts = ak.to_numpy(ak.num(columns[0], axis=1)).astype(np.int64)
    return [ak.to_numpy(ak.flatten(column, axis=1)) for column in columns], counts


def _disagreement(names: tuple[str, ...], values: list[Any]) -> str:
    found = ", ".join(f"{name} has {_shape(value)}" for name, value in zip(names, values, strict=True))
    return f"the arguments do not go together: {found}"


def _shower_ids(shower_id: Any, count: int) -> NDArray[np.int64]:
    ids = None
    with contextlib.suppress(TypeError, ValueError):
        ids = None if _is_masked(shower_id) else _as_array(shower_id)
    ids = ids if ids is None or _is_awkward(ids) else np.atleast_1d(ids)
    if ids is None or _is_awkward(ids) or ids.shape != (count,) or (ids.dtype.kind not in "iu" and count):
        masked = ", some of them masked" if _is_masked(shower_id) else ""
        msg = f"shower_id must be {count} integers, one for each entry, got {_shape(shower_id)}{masked}"
        raise ShapeError(msg)
    unique, first = np.unique(ids, return_index=True)
    if len(unique) != count:
        repeated = np.setdiff1d(np.arange(count), first)[0]
        msg = f"shower_id {ids[repeated]} is there twice (again at {repeated}): the two showers would share their noise"
        raise ShapeError(msg)
    return ids.astype(np.int64)


def _refuse_not_finite(request: Request) -> None:
    finite = np.isfinite(request.incident)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        msg = f"{_COLUMNS[column]} of {request.where(row)} is {request.incident[row, column]}; leave such particles out"
        raise DomainError(msg)


def _describe(request: Request, flags: NDArray[np.bool_], domain: Domain) -> str:
    first = int(np.argmax(flags))
    values = dict(zip(_COLUMNS, (f"{value:.6g}" for value in request.incident[first]), strict=True))
    listed = ", ".join(f"{name}={value}" for name, value in values.items())
    return (
        f"{int(flags.sum())} of {len(request)} incident particles are outside the domain ({domain.describe()}), "
        f"the first is {request.where(first)} with {listed} [GeV, mm]"
    )
