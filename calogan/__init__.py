"""calogan: calorimeter showers from a conditional WGAN-GP instead of Geant4.

Importing this package is cheap: the public names below are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calogan.config import Config
    from calogan.errors import CaloganError
    from calogan.geometry import Geometry
    from calogan.sampler import ShowerSampler, load_sampler

__version__ = "0.1.0"

__all__ = ["CaloganError", "Config", "Geometry", "ShowerSampler", "__version__", "load_sampler"]

_HOMES = {
    "CaloganError": "calogan.errors",
    "Config": "calogan.config",
    "Geometry": "calogan.geometry",
    "ShowerSampler": "calogan.sampler",
    "load_sampler": "calogan.sampler",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module 'calogan' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
