"""Everything that a training needs to go on exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from calogan.models.critic import Critic
from calogan.models.encoder import Encoder
from calogan.models.generator import Generator
from calogan.training.distributed import Group

__all__ = ["FORMAT", "Best", "TrainingState"]

FORMAT = 4
"""Of checkpoints; raised when networks or what they are fitted to change."""
_PARTS = (
    "generator",
    "encoder",
    "critic",
    "ema",
    "warmup_optimiser",
    "generator_optimiser",
    "critic_optimiser",
)


@dataclass
class Best:
    """The generator with the best physics score on validation showers so far."""

    score: float
    step: int
    weights: dict[str, Tensor]


@dataclass
class TrainingState:
    """Networks, optimisers and counters.

    There is no random state: every step draws from a generator seeded by the seed and the step.

    Attributes:
        step: Steps done.
        elapsed: Time that they took [s].
        batch_size: Showers of the last batch; 0 before the first.
        best: The generator to be selected, so far.
        sums: Figures since the last line of the record, summed over steps.
        counts: Steps in each of the sums.
    """

    generator: Generator
    encoder: Encoder
    critic: Critic
    ema: AveragedModel
    warmup_optimiser: Optimizer
    generator_optimiser: Optimizer
    critic_optimiser: Optimizer
    step: int = 0
    elapsed: float = 0.0
    batch_size: int = 0
    best: Best | None = None
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        networks: tuple[nn.Module, ...] = (self.generator, self.critic, self.encoder)
        return all(bool(torch.isfinite(weight).all()) for network in networks for weight in network.parameters())

    def content(self) -> dict[str, Any]:
        """Plain values and tensors; `take_up` takes them back."""
        return {
            "step": self.step,
            "elapsed": self.elapsed,
            "batch_size": self.batch_size,
            "best": vars(self.best) if self.best else None,
            "sums": dict(self.sums),
            "counts": dict(self.counts),
            "parts": {name: getattr(self, name).state_dict() for name in _PARTS},
        }

    def take_up(self, content: Mapping[str, Any]) -> None:
        """Become the state that `content` described.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: It does not fit these networks.
        """
        for name in _PARTS:
            getattr(self, name).load_state_dict(content["parts"][name])
        self.step, self.elapsed = int(content["step"]), float(content["elapsed"])
        self.batch_size = int(content["batch_size"])
        self.best = Best(**content["best"]) if content["best"] else None
        for known, kept in ((self.sums, content["sums"]), (self.counts, content["counts"])):
            known.clear()
            known.update(kept)

    def share(self, group: Group) -> None:
        """Become, on every process, the state of process 0, which alone has the figures: they are added up."""
        if (content := group.spread(self.content)) is not None:
            figures = {name: torch.zeros_like(figure) for name, figure in content["sums"].items()}
            self.take_up({**content, "sums": figures})
