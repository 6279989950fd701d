"""Which collections of an EDM4hep file hold the hits and the particles, and how showers are seen in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from calogan.config import Edm4hepSource
from calogan.errors import SchemaError
from calogan.physics.local_frame import LocalFrame

__all__ = ["Collections"]


@dataclass(frozen=True)
class Collections:
    """Collections of an EDM4hep file.

    Attributes:
        hits: Collections of SimCalorimeterHit or CalorimeterHit, added to one shower.
        contributions: Collection of CaloHitContribution of each of them, whose step positions are taken instead of
            those of the hits' cells; none by default.
        particles: Collection of MCParticle.
        header: Collection of EventHeader, or None.
        straight: Whether also charged particles are followed along straight lines to the front face.
        frame: How global positions become those of the calorimeter.
    """

    hits: tuple[str, ...]
    contributions: tuple[str, ...]
    particles: str
    header: str | None
    straight: bool
    frame: LocalFrame

    @classmethod
    def from_source(cls, source: Edm4hepSource) -> Self:
        """Collections of a ``data.sources`` entry of the configuration."""
        return cls(
            hits=tuple(source.collections),
            contributions=tuple(source.steps),
            particles=source.particles,
            header=source.header,
            straight=source.charged == "straight",
            frame=LocalFrame.from_dict(source.local_frame.model_dump()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        lists = {"hits": list(self.hits), "contributions": list(self.contributions), "frame": self.frame.to_dict()}
        return asdict(self) | lists

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Collections from the plain values of `to_dict`."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        try:
            return cls(**fields | {"frame": LocalFrame.from_dict(values["frame"])})
        except (KeyError, TypeError) as error:
            msg = f"not collections of EDM4hep: {error}"
            raise SchemaError(msg) from error
