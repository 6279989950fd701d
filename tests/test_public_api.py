"""Tests of the names that users may rely on."""

from __future__ import annotations

import importlib

import pytest

import calogan


def test_public_names_are_pinned():
    assert sorted(calogan.__all__) == [
        "CaloganError",
        "Config",
        "Geometry",
        "ShowerSampler",
        "__version__",
        "load_sampler",
    ]
    assert sorted(dir(calogan)) == sorted(calogan.__all__)


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("CaloganError", "calogan.errors"),
        ("Config", "calogan.config"),
        ("Geometry", "calogan.geometry"),
        ("ShowerSampler", "calogan.sampler"),
        ("load_sampler", "calogan.sampler"),
    ],
)
def test_public_names_are_those_of_their_modules(name, home):
    assert getattr(calogan, name) is getattr(importlib.import_module(home), name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_samplr'"):
        _ = calogan.load_samplr
