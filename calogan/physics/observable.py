"""What an observable is: one number per shower, and how to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from calogan.geometry import Geometry
from calogan.physics.view import ShowerView

__all__ = ["Observable", "ViewFunction"]

ObservableFunction = Callable[[Any, Any, Geometry], Any]


@dataclass(frozen=True)
class Observable:
    """A number per shower and how to show it.

    Attributes:
        function: ``(cell_energy, incident, geometry) -> (showers,)`` with cell_energy [GeV] ``(showers, cells)`` and
            incident (px, py, pz [GeV], x, y [mm]) ``(showers, 5)``, arrays of NumPy in double precision.
            NaN, never a warning, where a shower has no such number (mostly because it is empty).
        label: Axis label without the unit, as Matplotlib mathtext.
        unit: Unit, empty for a pure number.
        discrete: Whether the values are whole numbers.
        scale: Spacing of histogram bins that suits the values.
        applies: Whether the observable has a meaning of its own in a geometry.
    """

    function: ObservableFunction
    label: str
    unit: str = ""
    discrete: bool = False
    scale: Literal["linear", "log"] = "linear"
    applies: Callable[[Geometry], bool] = lambda geometry: geometry.n_cells > 1

    @property
    def axis_label(self) -> str:
        """Label with the unit in square brackets."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    def values(self, view: ShowerView) -> Any:
        """The numbers of showers, shape ``(showers,)``; functions of a view share what they have in common."""
        if isinstance(self.function, ViewFunction):
            return self.function.of_view(view)
        return self.function(view.cell_energy, view.incident, view.geometry)


@dataclass(frozen=True)
class ViewFunction:
    """A function of a `ShowerView` that can be called with arrays too, of NumPy or torch.

    Attributes:
        of_view: ``view -> (showers,)``.
    """

    of_view: Callable[[ShowerView], Any]

    def __call__(self, cell_energy: Any, incident: Any, geometry: Geometry) -> Any:
        """Numbers of showers, shape ``(showers,)``."""
        return self.of_view(ShowerView(cell_energy, incident, geometry))
