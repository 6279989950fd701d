"""Chart of worths."""

from __future__ import annotations

import numpy as np

from calogan.metrics.amplification import showers_worth
from calogan.validation.plots.amplification import worth_chart
from calogan.validation.studies.amplification import AmplificationStudy


def test_each_histogram_has_a_row_and_lower_limits_an_arrow():
    rng = np.random.default_rng(1)
    values = rng.normal(size=1000)
    worths = (
        showers_worth(values, rng.normal(size=1000), name="same"),
        showers_worth(values, rng.normal(1, 1, size=1000), name="shifted"),
        showers_worth(values, values, paired=True, name="copied"),
    )
    (axes,) = worth_chart(AmplificationStudy(worths, False, 1000, 1000)).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["same", "shifted", "copied"]
    arrows = [line for line in axes.lines if line.get_marker() == ">" and len(line.get_xdata())]
    assert [line.get_xdata()[0] for line in arrows] == [worths[0].endless_low]
