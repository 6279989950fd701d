"""Which showers are for training, validation and test: a hash of the event id."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["SPLITS", "Split", "assign_splits", "entry_ids", "mix"]

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

# Never to be changed: every prepared file, and every report on a test split, relies on it.
_SALT = np.uint64(0x63616C6F67616E31)
_TEST_FROM = np.uint64(8 * (2**64 // 10))
_VALIDATION_FROM = np.uint64(6 * (2**64 // 10))


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of splitmix64: a bijection of 64-bit integers whose output bits look independent.

    Args:
        values: 64-bit integers, any shape.

    Returns:
        Mixed integers, same shape.

    Source:
        S. Vigna, https://prng.di.unimi.it/splitmix64.c (public domain), after G. Steele, D. Lea, C. Flood,
        "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def assign_splits(event: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Split of each event: 60% train (0), 20% validation (1), 20% test (2).

    The split depends on the id alone, so that adding files moves no shower, and the same shower has the same split
    in every packaging of it.

    Args:
        event: Event ids, shape ``(showers,)``.

    Returns:
        Index into `SPLITS`, shape ``(showers,)``.
    """
    mixed = mix(np.atleast_1d(np.asarray(event, dtype=np.int64)).view(np.uint64) ^ _SALT)
    return (mixed >= _VALIDATION_FROM).astype(np.uint8) + (mixed >= _TEST_FROM).astype(np.uint8)


def entry_ids(checksum: str, entry: NDArray[np.int64]) -> NDArray[np.int64]:
    """Event ids for a file that has none: a hash of its checksum and the entry.

    Args:
        checksum: Hexadecimal checksum of the file, at least 16 digits.
        entry: Entries in the file, shape ``(showers,)``.

    Returns:
        Positive ids of 63 bits, shape ``(showers,)``.
    """
    start = np.uint64(int(checksum[:16], 16))
    return (mix(entry.astype(np.uint64) ^ mix(np.atleast_1d(start))) >> np.uint64(1)).astype(np.int64)
