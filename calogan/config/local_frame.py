"""Where the front face of a collider detector's calorimeter is, and which way its showers are seen."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from calogan.config.section import Section

__all__ = ["BarrelFrameConfig", "EndcapFrameConfig", "LocalFrameConfig"]

_CELL = (
    "size of the detector's cells along x, y [mm]: the origin is the cell centre nearest to the entry point; null: that"
)
_CENTRE = "centre of one of the cells along x, y [mm], from the middle of a side (barrel) or the beam (endcap)"
_AXES = "depth along the normal of the face, or along the particle's momentum"


class _FrameConfig(Section):
    axes: Literal["face", "particle"] = Field(default="face", description=_AXES)
    cell: tuple[float, float] | None = Field(default=None, description=_CELL)
    cell_centre: tuple[float, float] = Field(default=(0.0, 0.0), description=_CENTRE)

    @model_validator(mode="after")
    def _along_cells(self) -> Self:
        if self.cell is not None and min(self.cell) <= 0:
            msg = f"cell: sizes must be above 0 mm, got {self.cell}"
            raise ValueError(msg)
        if self.cell is not None and self.axes == "particle":
            msg = "cell needs axes: face, along which the cells lie"
            raise ValueError(msg)
        return self


class BarrelFrameConfig(_FrameConfig):
    """A front face about the beam axis: x along the azimuth, y along the beam, depth away from it."""

    face: Literal["barrel"]
    radius: float = Field(gt=0, description="distance of the front face from the beam axis [mm]")
    half_length: float = Field(gt=0, description="largest abs(z) of the front face [mm]")
    sides: int = Field(default=0, ge=0, description="number of flat sides; 0 is a cylinder")
    phi: float = Field(default=0.0, description="azimuth of the normal of one flat side [degree]")

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if self.sides in {1, 2}:
            msg = f"sides: a barrel has at least 3 flat sides, or 0 for a cylinder, got {self.sides}"
            raise ValueError(msg)
        return self


class EndcapFrameConfig(_FrameConfig):
    """Front faces at either end of the detector: depth along the beam."""

    face: Literal["endcap"]
    z: float = Field(gt=0, description="distance of the front faces from the detector's centre [mm]")
    radii: tuple[float, float] = Field(description="inner and outer radius of the front faces [mm]")
    phi: float | None = Field(
        default=None, description="azimuth of the x axis [degree]; null: y points away from the beam"
    )

    @model_validator(mode="after")
    def _ring(self) -> Self:
        if not 0 <= self.radii[0] < self.radii[1]:
            msg = f"radii: the inner radius must be below the outer one, got {self.radii}"
            raise ValueError(msg)
        if self.cell is not None and self.phi is None:
            msg = "cell needs phi, the azimuth of the axis along which the cells lie"
            raise ValueError(msg)
        return self


LocalFrameConfig = Annotated[BarrelFrameConfig | EndcapFrameConfig, Field(discriminator="face")]
