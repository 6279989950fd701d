"""Files of incident particles or of events -> files of generated showers, as the full simulation would write them."""

from calogan.stages.generate.generation import Generation, generate

__all__ = ["Generation", "generate"]
