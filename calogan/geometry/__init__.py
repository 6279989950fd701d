"""The cells of a calorimeter: layers of rows x columns and one flat index over all of them."""

from __future__ import annotations

from calogan.geometry.calorimeter import Geometry
from calogan.geometry.layer import Layer
from calogan.geometry.polar import PolarLayer

__all__ = ["Geometry", "Layer", "PolarLayer"]
