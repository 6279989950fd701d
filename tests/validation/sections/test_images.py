from __future__ import annotations

import numpy as np
import pytest

from calogan.geometry import Layer
from calogan.validation.sections.images import images_section
from calogan.validation.studies.images import LayerImages, ShowerPair

CELLS = Layer((0.0, 1.0, 2.0), (0.0, 1.0, 2.0), depth=5.0)


@pytest.fixture
def images():
    mean = np.array([[1.0, 2.0], [0.0, 4.0]])
    return [LayerImages(layer, CELLS, mean, mean / 2, mean / 10) for layer in (0, 2)]


@pytest.fixture
def pairs():
    return [ShowerPair(7, 8, 10.0, 11.0, 0, CELLS, np.ones((2, 2)), np.zeros((2, 2))) for _ in range(3)]


def test_reference_generated_and_ratio_of_each_layer_and_then_single_showers(images, pairs):
    section = images_section(images, pairs, paired=True)

    assert [drawing.name for drawing in section.drawings] == [
        *(f"layer{layer}_{which}" for layer in (0, 2) for which in ("reference", "generated", "ratio")),
        *(f"shower_{number}" for number in range(3)),
    ]
    assert sum(drawing.key for drawing in section.drawings) == 1
    assert "the same incident particle" in section.text[1]
    assert "most similar" in images_section(images, pairs, paired=False).text[1]


def test_pictures_show_the_cells(images, pairs):
    drawings = {drawing.name: drawing for drawing in images_section(images, pairs, paired=True).drawings}

    ratio = drawings["layer0_ratio"].make().axes[0].collections[0].get_array()
    assert np.ma.allclose(ratio[~np.isnan(ratio)], 0.5)
    assert drawings["layer2_reference"].make().axes[0].get_title(loc="center").endswith("layer 2")
    assert [axes.get_title() for axes in drawings["shower_1"].make().axes[:2]] == [
        "reference, 10 GeV",
        "generated, 11 GeV",
    ]
