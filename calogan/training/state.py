"""Everything that a training needs to go on exactly, in one file that is replaced as a whole."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from calogan.errors import TrainingError
from calogan.models.critic import Critic
from calogan.models.encoder import Encoder
from calogan.models.generator import Generator
from calogan.training.distributed import Group

__all__ = ["FORMAT", "Best", "TrainingState"]

FORMAT = 3
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
    """Networks, optimisers, counters, and the size of the last batch (0 if there was none).

    There is no random state: every step draws from a generator seeded by the seed and the step.
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
        self.batch_size = int(content.get("batch_size", 0))
        self.best = Best(**content["best"]) if content["best"] else None

    def share(self, group: Group) -> None:
        """Become, on every process, the state of process 0."""
        if (content := group.spread(self.content)) is not None:
            self.take_up(content)

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the state; a kill leaves the old file or the new one.

        Args:
            path: The checkpoint.
            fingerprint: Hash of what must be the same to go on (configuration and data).
        """
        content = {"format": FORMAT, "fingerprint": fingerprint, **self.content()}
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def load(self, path: Path, fingerprint: str) -> None:
        """Take up a state that `save` wrote; nothing in the file is executed.

        Raises:
            TrainingError: The file is damaged, of another format, or of another configuration or data.
        """
        content = _read(path)
        if content.get("fingerprint") != fingerprint:
            msg = (
                f"{path}: belongs to a training with another configuration or other data; "
                "choose another run_dir, or remove this file to start again"
            )
            raise TrainingError(msg)
        try:
            self.take_up(content)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            msg = f"{path}: does not fit the networks: {' '.join(str(error).split())}; remove it to start again"
            raise TrainingError(msg) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        msg = f"{path}: damaged checkpoint: {' '.join(str(error).split())[:200]}; remove it to start again"
        raise TrainingError(msg) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        msg = f"{path}: not a checkpoint of this version; remove it to start again"
        raise TrainingError(msg)
    return content
