"""Results."""

from __future__ import annotations

import json

import pytest

from calogan.metrics.metric import Metric


def test_excess_is_above_the_floor_with_both_errors_and_json_takes_it():
    metric = Metric("a", 0.5, 0.3, 0.1, 0.4, 10, 20, "here")
    assert (metric.excess, metric.excess_error) == (0.4, pytest.approx(0.5))
    assert json.loads(json.dumps(metric.to_dict()))["p_value"] is None
