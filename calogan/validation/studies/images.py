"""Pictures of both samples: mean energy in each cell, and a few single showers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.geometry import Layer, PolarLayer
from calogan.metrics.features import type_features
from calogan.physics.kinematics import slopes
from calogan.physics.observables import MANY_LAYERS

__all__ = ["LayerImages", "ShowerPair", "mean_images", "shower_pairs"]


_OTHER_TYPE = 1000.0  # in widths of the conditions
_MOMENTUM_WEIGHT = 5.0  # a shower looks different at another momentum before it does at another angle


@dataclass(frozen=True)
class LayerImages:
    """Mean energy in each cell of a layer.

    Attributes:
        layer: Layer, counted from 0 at the front.
        cells: Its cells.
        reference: Mean energies of the reference showers [GeV], shape ``(rows, columns)``.
        generated: Mean energies of the generated showers [GeV], shape ``(rows, columns)``.
        ratio_error: Standard error of generated / reference in each cell, shape ``(rows, columns)``.
    """

    layer: int
    cells: Layer | PolarLayer
    reference: NDArray[np.float64]
    generated: NDArray[np.float64]
    ratio_error: NDArray[np.float64]


@dataclass(frozen=True)
class ShowerPair:
    """A reference shower and a generated one of the same, or the most similar, incident particle.

    Attributes:
        reference_event: Id of the reference shower.
        generated_event: Id of the generated shower.
        reference_momentum: |p| of the reference shower's particle [GeV].
        generated_momentum: |p| of the generated shower's particle [GeV].
        layer: Layer that is shown.
        cells: Its cells.
        reference: Energies [GeV], shape ``(rows, columns)``.
        generated: Energies [GeV], shape ``(rows, columns)``.
    """

    reference_event: int
    generated_event: int
    reference_momentum: float
    generated_momentum: float
    layer: int
    cells: Layer | PolarLayer
    reference: NDArray[np.float64]
    generated: NDArray[np.float64]


def mean_images(reference: Showers, generated: Showers, max_layers: int = 6) -> tuple[LayerImages, ...]:
    """Mean energy in each cell, for the layers that hold most of the reference's energy.

    Of more than `MANY_LAYERS` layers those are taken that equal shares of the energy lie before: from where showers
    begin to where they end, closest where they are brightest.

    Args:
        reference: Full simulation.
        generated: Surrogate.
        max_layers: Layers shown at most.

    Returns:
        Images from the front to the back.
    """
    energy = reference.layer_energy.mean(axis=0)
    if len(energy) > MANY_LAYERS:
        shares = (np.arange(max_layers) + 0.5) / max_layers
        chosen = np.unique(np.searchsorted(energy.cumsum(), shares * energy.sum())).tolist()
    else:
        chosen = sorted(np.argsort(-energy, kind="stable")[:max_layers].tolist())
    images = [sample.geometry.layer_images(sample.cell_energy) for sample in (reference, generated)]
    return tuple(_layer_images(reference, layer, images[0][layer], images[1][layer]) for layer in chosen)


def shower_pairs(reference: Showers, generated: Showers, count: int = 6) -> tuple[ShowerPair, ...]:
    """Single showers of both samples, spread evenly over the ranks of |p|, in the layer with most energy.

    Args:
        reference: Full simulation.
        generated: Surrogate; the partner of a reference shower is the one with the most similar incident particle.
        count: Number of pairs.
    """
    layer = int(np.argmax(reference.layer_energy.mean(axis=0)))
    ranks = (np.arange(count) + 0.5) / count * len(reference)
    chosen = np.argsort(reference.momentum, kind="stable")[ranks.astype(np.int64)]
    partner = _most_similar(reference, generated, chosen)
    pairs = []
    for first, second in zip(chosen.tolist(), partner.tolist(), strict=True):
        pictures = [
            sample.geometry.layer_images(sample.cell_energy[index : index + 1])[layer][0].astype(np.float64)
            for sample, index in ((reference, first), (generated, second))
        ]
        pairs.append(
            ShowerPair(
                reference_event=int(reference.event[first]),
                generated_event=int(generated.event[second]),
                reference_momentum=float(reference.momentum[first]),
                generated_momentum=float(generated.momentum[second]),
                layer=layer,
                cells=reference.geometry.layers[layer],
                reference=pictures[0],
                generated=pictures[1],
            )
        )
    return tuple(pairs)


def _layer_images(
    showers: Showers, layer: int, reference: NDArray[np.floating], generated: NDArray[np.floating]
) -> LayerImages:
    means, squares = [], []
    for images in (reference, generated):
        mean = images.mean(axis=0, dtype=np.float64)
        error = images.std(axis=0, ddof=1, dtype=np.float64) / np.sqrt(len(images))
        means.append(mean)
        squares.append(np.divide(error, mean, out=np.full_like(mean, np.nan), where=mean > 0) ** 2)
    ratio = np.divide(means[1], means[0], out=np.full_like(means[0], np.nan), where=means[0] > 0)
    cells = showers.geometry.layers[layer]
    return LayerImages(layer, cells, means[0], means[1], ratio * np.sqrt(squares[0] + squares[1]))


def _most_similar(reference: Showers, generated: Showers, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    features = []
    for sample in (reference, generated):
        incident = sample.incident.astype(np.float64)
        features.append(np.stack([np.log(sample.momentum), *slopes(incident), incident[:, 3], incident[:, 4]], axis=1))
    scale = features[0].std(axis=0)
    scale[0] /= _MOMENTUM_WEIGHT
    scale[scale == 0] = 1.0
    if all(sample.pdg.all() for sample in (reference, generated)):
        types = np.union1d(reference.pdg, generated.pdg).tolist()
        features = [
            np.concatenate([one, _OTHER_TYPE * type_features(sample.pdg, types)], axis=1)
            for one, sample in zip(features, (reference, generated), strict=True)
        ]
        scale = np.append(scale, np.ones(len(types)))
    distance = (((features[0][chosen, None] - features[1][None]) / scale) ** 2).sum(axis=-1)
    return np.asarray(np.argmin(distance, axis=1), dtype=np.int64)
