"""Showers on demand: a trained bundle called as if it were the full simulation."""

from __future__ import annotations

from calogan.sampler.generated import GeneratedShowers
from calogan.sampler.placement import PlacedShowers
from calogan.sampler.request import OutsideDomainWarning
from calogan.sampler.sampler import ShowerSampler
from calogan.sampler.source import builtin_bundles, load_sampler

__all__ = [
    "GeneratedShowers",
    "OutsideDomainWarning",
    "PlacedShowers",
    "ShowerSampler",
    "builtin_bundles",
    "load_sampler",
]
