"""Pictures of the cells: mean energies and single showers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from calogan.validation.page import Drawing, Section
from calogan.validation.plots.image import KNOWN_RATIO, layer_image, shower_pair
from calogan.validation.studies.images import LayerImages, ShowerPair

__all__ = ["images_section"]

_CAPTIONS = {"reference": "", "generated": "", "ratio": f"grey: uncertain by more than {KNOWN_RATIO:.0%}"}


def images_section(images: Sequence[LayerImages], pairs: Sequence[ShowerPair], *, paired: bool) -> Section:
    """Mean energy in each cell, and single showers of both samples side by side.

    Args:
        images: Means of both samples, a layer each.
        pairs: Single showers.
        paired: Whether both showers of a pair have the very same incident particle.
    """
    particle = "the same incident particle" if paired else "the most similar incident particle"
    means = "Mean energy of each cell over all showers of a sample, and generated over reference."
    single = f"Single showers: reference left, generated right, for {particle}; spread over the momenta, not chosen."
    return Section("images", "Images", (means, single), (), (*_mean_images(images), *_showers(pairs)))


def _mean_images(images: Sequence[LayerImages]) -> Iterator[Drawing]:
    for one in images:
        for which, caption in _CAPTIONS.items():
            title = f"mean energy of the cells of layer {one.layer}, {which}"
            yield Drawing(f"layer{one.layer}_{which}", title, partial(layer_image, one, which), caption)


def _showers(pairs: Sequence[ShowerPair]) -> Iterator[Drawing]:
    for index, pair in enumerate(pairs):
        yield Drawing(
            f"shower_{index}",
            f"a reference shower at {pair.reference_momentum:.3g} GeV and a generated one",
            partial(shower_pair, pair),
            f"layer {pair.layer}; events {pair.reference_event} and {pair.generated_event}",
            key=index == len(pairs) // 2,
        )
