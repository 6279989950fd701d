from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from calogan.progress import SilentReporter
from calogan.validation.figures import draw, file_name
from calogan.validation.page import Drawing, Section


@pytest.fixture(scope="module")
def pictures(toy_sections):
    return draw(toy_sections, SilentReporter())


def test_pictures_are_of_the_size_they_say(pictures):
    assert len(pictures) == 3
    for picture in pictures:
        pixels = mpl.image.imread(io.BytesIO(picture.png))
        assert pixels.shape[1::-1] == picture.size
        assert pixels[..., :3].std() > 0


def test_no_two_pictures_have_one_name_and_none_leaves_the_folder(pictures):
    assert [picture.name for picture in pictures] == ["response", "b_E_b", "b_E_b_2"]
    assert file_name("...") == "figure"
    assert file_name("énergie", {"figure"}) == "nergie"


def test_settings_of_matplotlib_are_those_of_the_report_only_while_drawing():
    before, during = dict(mpl.rcParams), []

    def make():
        during.append(mpl.rcParams["legend.frameon"])
        return Figure(figsize=(1, 1))

    draw([Section("one", "One", drawings=(Drawing("a", "", make),))], SilentReporter())

    assert during == [False]
    assert dict(mpl.rcParams) == before


def test_a_drawing_is_made_once():
    made = []

    def make():
        made.append(1)
        return Figure(figsize=(1, 1))

    draw([Section("one", "One", drawings=(Drawing("a", "", make, key=True),))], SilentReporter())

    assert np.sum(made) == 1
