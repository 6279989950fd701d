"""Are generated showers copies: of training showers, of reference showers, of each other?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data.fingerprints import shower_fingerprints
from calogan.data.showers import Showers
from calogan.errors import ShapeError
from calogan.metrics.memorisation import Nearest, nearer_share, nearest_showers, training_share
from calogan.metrics.metric import Metric
from calogan.metrics.resampling import Resampling
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = ["ClosePair", "Duplicates", "MemorisationStudy", "NearestTraining", "study_memorisation"]

_MOST_QUERIES = 2000
_BINS = 30
_CLOSEST = 5


@dataclass(frozen=True)
class Duplicates:
    """Showers that agree with another one in every cell; those without energy are not counted.

    Attributes:
        within_reference: Reference showers that another reference shower is equal to.
        within_generated: Generated showers that another generated shower is equal to.
        between: Generated showers that are equal to a reference shower.
        generated_training: Generated showers that are equal to a training shower; None without training showers.
        reference_training: Reference showers that are equal to a training shower; None without training showers.
    """

    within_reference: int
    within_generated: int
    between: int
    generated_training: int | None
    reference_training: int | None


@dataclass(frozen=True)
class ClosePair:
    """A generated shower and the training shower nearest to it."""

    generated_event: int
    training_event: int
    generated_momentum: float
    training_momentum: float
    distance: float


@dataclass(frozen=True)
class NearestTraining:
    """Distances from the nearest training shower, Euclidean in ln(1 + E/s) of all cells.

    Attributes:
        scale: s [GeV], the threshold.
        queries: Showers of each sample that were looked at, spread evenly over it.
        training: Training showers that were candidates.
        other: Reference showers that were candidates beside them.
        share: Share of generated showers whose nearest of all these is a training shower.
        nearer: Probability that a generated shower is nearer to the training showers than a reference shower.
        edges: Edges of the distance's histogram.
        reference: Reference showers in each bin.
        generated: Generated showers in each bin.
        closest: The generated showers that are nearest to a training shower.
    """

    scale: float
    queries: int
    training: int
    other: int
    share: Metric
    nearer: Metric
    edges: NDArray[np.float64]
    reference: NDArray[np.int64]
    generated: NDArray[np.int64]
    closest: tuple[ClosePair, ...]


@dataclass(frozen=True)
class MemorisationStudy:
    """Copies and near copies.

    Attributes:
        duplicates: Numbers of showers that are equal.
        copies: Share of generated showers that are equal to another one of any sample.
        nearest: Distances from training showers; None without these.
    """

    duplicates: Duplicates
    copies: Metric
    nearest: NearestTraining | None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Shares of generated showers that are copies, and nearest to a training shower, and how near they are."""
        return (self.copies,) if self.nearest is None else (self.copies, self.nearest.share, self.nearest.nearer)


def study_memorisation(
    samples: Samples, training: Showers | None, reporter: Reporter, *, hold_out: tuple[float, float] | None = None
) -> MemorisationStudy:
    """Look for copies in the generated sample.

    Args:
        samples: Both samples.
        training: Showers that the generator was trained on, of the reference's distribution; None if not at hand.
        reporter: Told about the search.
        hold_out: Momentum band [GeV] that training showers were not taken from; showers in it are not looked at.

    Returns:
        Numbers of duplicates, and distances from the nearest training shower for at most 2,000 showers of each
        sample (all with ``settings.full``).

    Raises:
        ShapeError: Training showers in other cells.
    """
    if training is None:
        prints = _fingerprints(samples.reference), _fingerprints(samples.generated)
        return MemorisationStudy(_count_duplicates(*prints, None), _copies(samples, *prints, None), None)
    if training.geometry != samples.reference.geometry:
        msg = f"training showers of {training.geometry.n_cells} other cells; give showers of the samples' geometry"
        raise ShapeError(msg)
    training = training.above(samples.threshold)
    first, second, trained = (_fingerprints(one) for one in (samples.reference, samples.generated, training))
    duplicates, copies = _count_duplicates(first, second, trained), _copies(samples, first, second, trained)
    training = training[_usable(training, hold_out)]
    kept = [_usable(sample, hold_out) for sample in (samples.reference, samples.generated)]
    if min(len(training), *(int(mask.sum()) for mask in kept)) < 2:
        return MemorisationStudy(duplicates, copies, None)
    return MemorisationStudy(duplicates, copies, _search(samples, training, kept[0], kept[1], reporter))


def _usable(showers: Showers, hold_out: tuple[float, float] | None) -> NDArray[np.bool_]:
    """Showers with energy outside of the band: those without are all alike."""
    lit: NDArray[np.bool_] = np.any(showers.cell_energy, axis=1)
    if hold_out is None:
        return lit
    momentum = showers.momentum
    return lit & ((momentum < hold_out[0]) | (momentum > hold_out[1]))


def _search(
    samples: Samples,
    training: Showers,
    reference: NDArray[np.bool_],
    generated: NDArray[np.bool_],
    reporter: Reporter,
) -> NearestTraining:
    scale = samples.faint
    if samples.paired:
        reference = generated = reference & generated
    most = None if samples.settings.full else _MOST_QUERIES
    candidates, first, second = np.flatnonzero(reference), _spread(reference, most), _spread(generated, most)
    with reporter.task("copies", total=len(first) + 2 * len(second), unit="showers") as task:
        trained = _logarithm(training.cell_energy, scale)
        from_reference = nearest_showers(
            _logarithm(samples.reference.cell_energy[first], scale), trained, advance=task.advance
        )
        queries = _logarithm(samples.generated.cell_energy[second], scale)
        from_generated = nearest_showers(queries, trained, advance=task.advance)
        # the partner has the very particle of the query, which no training shower has
        partner = np.searchsorted(candidates, second) if samples.paired else None
        others = nearest_showers(
            queries, _logarithm(samples.reference.cell_energy[candidates], scale), partner, advance=task.advance
        )
    edges, counts = _histograms(from_reference.distance, from_generated.distance)
    other = len(candidates) - samples.paired
    return NearestTraining(
        scale=scale,
        queries=len(second),
        training=len(training),
        other=other,
        share=training_share(
            from_generated, others, len(training), other, samples.rng("copies"), name="nearest is a training shower"
        ),
        nearer=nearer_share(
            from_reference.distance,
            from_generated.distance,
            _resampling(samples, len(first), len(second)),
            name="nearer to training showers",
        ),
        edges=edges,
        reference=counts[0],
        generated=counts[1],
        closest=_closest(samples.generated[second], training, from_generated),
    )


def _resampling(samples: Samples, n: int, m: int) -> Resampling:
    seed = int(samples.rng("distances of copies").integers(2**63))
    return Resampling(n, m, samples.paired, samples.settings.bootstrap, seed)


def _spread(chosen: NDArray[np.bool_], most: int | None) -> NDArray[np.int64]:
    """Places of the chosen showers, at most `most` of them, evenly spread."""
    places = np.flatnonzero(chosen)
    count = len(places) if most is None else min(most, len(places))
    return places[np.arange(count) * len(places) // count]


def _logarithm(cell_energy: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    logarithm: NDArray[np.float32] = np.log1p(cell_energy / np.float32(scale))
    return logarithm


def _histograms(
    reference: NDArray[np.float64], generated: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    highest = max(float(reference.max()), float(generated.max())) or 1.0
    edges = np.linspace(0.0, highest * (1 + 1e-9), _BINS + 1)
    return edges, [np.histogram(values, edges)[0].astype(np.int64) for values in (reference, generated)]


def _closest(generated: Showers, training: Showers, nearest: Nearest) -> tuple[ClosePair, ...]:
    order = np.argsort(nearest.distance, kind="stable")[:_CLOSEST]
    partners = training[nearest.index[order]]
    rows = zip(
        generated.event[order].tolist(),
        partners.event.tolist(),
        generated.momentum[order].tolist(),
        partners.momentum.tolist(),
        nearest.distance[order].tolist(),
        strict=True,
    )
    return tuple(ClosePair(*row) for row in rows)


def _count_duplicates(
    reference: NDArray[np.uint64], generated: NDArray[np.uint64], trained: NDArray[np.uint64] | None
) -> Duplicates:
    return Duplicates(
        within_reference=_repeated(reference),
        within_generated=_repeated(generated),
        between=_among(generated, reference),
        generated_training=None if trained is None else _among(generated, trained),
        reference_training=None if trained is None else _among(reference, trained),
    )


def _copies(
    samples: Samples,
    reference: NDArray[np.uint64],
    generated: NDArray[np.uint64],
    trained: NDArray[np.uint64] | None,
) -> Metric:
    """Share of generated showers that are equal to any other shower; its floor is that of reference showers."""
    if trained is None:
        trained = np.empty(0, dtype=np.uint64)
    shares = [_share_of_copies(generated, np.concatenate([reference, trained])), _share_of_copies(reference, trained)]
    n, m = len(samples.reference), len(samples.generated)
    # a count of none has the error of a count of one
    errors = [math.sqrt(max(share * (1 - share), 1 / size) / size) for share, size in zip(shares, (m, n), strict=True)]
    return Metric(
        name="copies",
        value=shares[0],
        error=errors[0],
        floor=shares[1],
        floor_error=errors[1] if shares[1] else 0.0,
        n_reference=n,
        n_generated=m,
        source="definition of calogan",
        floor_note="reference showers that are equal to another one, or to a training shower",
    )


def _share_of_copies(fingerprints: NDArray[np.uint64], others: NDArray[np.uint64]) -> float:
    _, place, counts = np.unique(fingerprints, return_inverse=True, return_counts=True)
    copied = (counts[place] > 1) | np.isin(fingerprints, others)
    return float(copied.sum()) / max(len(fingerprints), 1)


def _fingerprints(showers: Showers) -> NDArray[np.uint64]:
    return shower_fingerprints(showers.cell_energy[showers.cell_energy.any(axis=1)])


def _among(fingerprints: NDArray[np.uint64], others: NDArray[np.uint64]) -> int:
    return int(np.count_nonzero(np.isin(fingerprints, others)))


def _repeated(fingerprints: NDArray[np.uint64]) -> int:
    counts = np.unique(fingerprints, return_counts=True)[1]
    return int(counts[counts > 1].sum())
