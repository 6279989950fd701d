"""The cells that showers are in: rectangular layers, or rings about the axis, written here or read from an XML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from calogan.config.binning import read_layers
from calogan.config.section import Section

__all__ = [
    "LIST_OF_EDGES",
    "Axis",
    "AxisConfig",
    "GeometryConfig",
    "LayerConfig",
    "PolarLayerConfig",
]

LIST_OF_EDGES = "list of edges"


class AxisConfig(Section):
    """Equal cells along one axis."""

    cells: int = Field(ge=1, description="number of cells")
    low: float = Field(description="lower edge of the first cell [mm]")
    high: float = Field(description="upper edge of the last cell [mm]")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.high <= self.low:
            msg = f"high ({self.high}) must be above low ({self.low})"
            raise ValueError(msg)
        return self

    def edges(self) -> list[float]:
        """Edges [mm], ``cells + 1`` of them."""
        step = (self.high - self.low) / self.cells
        return [self.low + step * index for index in range(self.cells)] + [self.high]


def _form_of_axis(value: Any) -> str:
    return AxisConfig.__name__ if isinstance(value, AxisConfig | Mapping) else LIST_OF_EDGES


Axis = Annotated[
    Annotated[AxisConfig, Tag(AxisConfig.__name__)] | Annotated[list[float], Tag(LIST_OF_EDGES)],
    Discriminator(_form_of_axis),
]


def _edges(axis: AxisConfig | list[float]) -> list[float]:
    return axis.edges() if isinstance(axis, AxisConfig) else axis


class LayerConfig(Section):
    """One layer: rows along x, columns along y."""

    x: Axis = Field(description="rows: {cells, low, high} or a list of edges [mm]")
    y: Axis = Field(description="columns: {cells, low, high} or a list of edges [mm]")
    depth: float = Field(ge=0, description="depth of a shower's centre in this layer from the front face [mm]")
    z_range: tuple[float, float] | None = Field(default=None, description="front and back of the layer [mm]")

    def to_dict(self) -> dict[str, Any]:
        """The form that `Geometry.from_dict` takes."""
        return {"x_edges": _edges(self.x), "y_edges": _edges(self.y), "depth": self.depth, "z_range": self.z_range}


class PolarLayerConfig(Section):
    """One layer of rings about the axis: rows are sectors in alpha, columns are rings."""

    r: Axis = Field(description="rings: {cells, low, high} or a list of edges [mm]")
    alpha: int = Field(ge=1, description="number of equal sectors, the first from -pi")
    depth: float = Field(ge=0, description="depth of a shower's centre in this layer from the front face [mm]")
    z_range: tuple[float, float] | None = Field(default=None, description="front and back of the layer [mm]")

    def to_dict(self) -> dict[str, Any]:
        """The form that `Geometry.from_dict` takes."""
        return {"r_edges": _edges(self.r), "sectors": self.alpha, "depth": self.depth, "z_range": self.z_range}


def _form_of_layer(value: Any) -> str:
    polar = value.keys() & {"r", "alpha"} if isinstance(value, Mapping) else isinstance(value, PolarLayerConfig)
    return (PolarLayerConfig if polar else LayerConfig).__name__


_Layer = Annotated[
    Annotated[LayerConfig, Tag(LayerConfig.__name__)] | Annotated[PolarLayerConfig, Tag(PolarLayerConfig.__name__)],
    Discriminator(_form_of_layer),
]


class GeometryConfig(Section):
    """The calorimeter's layers, from the front to the back; those of an XML are kept as if they had been written."""

    xml: Path | None = Field(
        default=None,
        exclude=True,
        description="binning file of the CaloChallenge to take the layers from, relative to the working directory",
    )
    particle: str | None = Field(
        default=None, exclude=True, description="its element, by name or pid, such as photon; null if it has one only"
    )
    layer_depths: list[Annotated[float, Field(ge=0)]] | None = Field(
        default=None, exclude=True, description="depth of each of its layers that has cells [mm]; null for 0, 1, 2, ..."
    )
    layers: list[_Layer] = Field(default=[], validate_default=True, description="layers, front first; or else xml")

    @field_validator("layers", mode="before")
    @classmethod
    def _from_xml(cls, layers: Any, info: ValidationInfo) -> Any:
        xml, particle, depths = (info.data.get(name) for name in ("xml", "particle", "layer_depths"))
        if xml is None:
            if particle is not None or depths is not None:
                msg = "particle and layer_depths go with xml; leave them out, or name the XML file"
                raise ValueError(msg)
            if not layers:
                msg = "list at least one layer, or name a binning file of the CaloChallenge as xml"
                raise ValueError(msg)
            return layers
        if layers:
            msg = "give layers or xml, not both"
            raise ValueError(msg)
        return read_layers(xml, particle, depths)

    def to_dict(self) -> dict[str, Any]:
        """The form that `Geometry.from_dict` takes."""
        return {"layers": [layer.to_dict() for layer in self.layers]}
