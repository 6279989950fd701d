"""Normal random numbers keyed by (seed, shower id): the same for a shower whatever the batch it is made in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calogan.errors import ConfigError, ShapeError

__all__ = ["standard_normal"]

_BLOCK = 64  # showers whose words fit into a core's cache
_ANY = np.random.SeedSequence(0)  # the state is set for every shower; without it the system is asked for entropy


def standard_normal(
    seed: int, shower_id: ArrayLike, size: int, particle: ArrayLike | None = None
) -> NDArray[np.float32]:
    r"""Standard normal numbers of each shower, from a random stream of its own.

    A shower's stream is Philox4x64-10 with the key (seed, shower id) and a counter whose third word is the particle's
    index, so that the numbers depend on nothing else: not on the batch, its order or the process. Each raw 64-bit word
    gives the two 32-bit integers of one Box-Muller pair,

    .. math:: r = \sqrt{-2 \ln((m + 1) / 2^{32})}, \quad a = 2 \pi k / 2^{32}, \quad (r \cos a, r \sin a)

    with :math:`0 \le m < 2^{32}` and :math:`-2^{31} \le k < 2^{31}`, in single precision. Numbers are exact to a few
    :math:`10^{-7}` and reach :math:`\pm 6.66`; of true normal numbers 3e-11 lie beyond. Only raw words are
    taken from NumPy, whose promise of a fixed stream (NEP 19) covers those and not its distributions; logarithm and
    cosine may differ in the last bit between processors.

    Args:
        seed: From 0 to 2**64 - 1.
        shower_id: 64-bit ids, shape ``(showers,)``; negative ones count as their two's complement.
        size: Numbers for each shower.
        particle: Index of the particle in its event, at least 0, shape ``(showers,)``; none stands for 0.

    Returns:
        Normal numbers, shape ``(showers, size)``.

    Raises:
        ShapeError: Ids or indices are not integers or do not go together.
        ConfigError: The seed does not fit into 64 bits.

    Source:
        Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11), doi:10.1145/2063384.2063405.

    Example:
        >>> one, two = standard_normal(7, [5, 6], size=4), standard_normal(7, [6], size=4)
        >>> bool((one[1] == two[0]).all())
        True
    """
    if not 0 <= seed < 2**64:
        msg = f"the seed must be from 0 to 2**64 - 1, got {seed}"
        raise ConfigError(msg)
    ids = _as_words("shower_id", shower_id)
    particles = np.zeros_like(ids) if particle is None else _as_words("particle", particle)
    if particles.shape != ids.shape:
        msg = f"particle has shape {particles.shape}, expected {ids.shape}, that of shower_id"
        raise ShapeError(msg)
    half = (size + 1) // 2
    numbers = np.empty((len(ids), 2 * half), dtype=np.float32)
    words = np.empty((min(_BLOCK, len(ids)), half), dtype="<u8")
    for start in range(0, len(ids), _BLOCK):
        block = slice(start, start + _BLOCK)
        filled = words[: len(ids[block])]
        _fill(filled, seed, ids[block], particles[block])
        _box_muller(filled, numbers[block])
    return numbers[:, :size]


def _as_words(name: str, values: ArrayLike) -> NDArray[np.uint64]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        msg = f"{name} must be a one-dimensional array of integers, got shape {array.shape} of {array.dtype}"
        raise ShapeError(msg)
    return array.astype(np.int64 if array.dtype.kind != "u" else np.uint64).view(np.uint64)


def _fill(words: NDArray[np.uint64], seed: int, ids: NDArray[np.uint64], particles: NDArray[np.uint64]) -> None:
    """Raw words of each shower's stream; setting one generator's state takes 2 us, making a generator 45 us."""
    bits = np.random.Philox(_ANY)
    state = bits.state
    key, counter = state["state"]["key"], state["state"]["counter"]
    key[0] = seed
    for row, shower, particle in zip(words, ids, particles, strict=True):
        key[1], counter[2] = shower, particle
        bits.state = state
        row[:] = bits.random_raw(row.size)


def _box_muller(words: NDArray[np.uint64], numbers: NDArray[np.float32]) -> None:
    half = words.shape[1]
    integers = words.view("<u4")
    radius = integers[:, :half].astype(np.float32)
    radius += np.float32(1)
    radius *= np.float32(2.0**-32)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle = integers[:, half:].view("<i4").astype(np.float32)
    angle *= np.float32(2 * np.pi / 2**32)
    np.multiply(radius, np.cos(angle), out=numbers[:, :half])
    np.multiply(radius, np.sin(angle), out=numbers[:, half:])
