"""Whether a training can write what it is going to write, asked before the hours that it takes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from torch import nn

from calogan.errors import TrainingError
from calogan.geometry import Geometry
from calogan.models.critic import Critic
from calogan.models.encoder import Encoder
from calogan.models.generator import Generator
from calogan.training.checkpoint import Checkpoint

__all__ = ["Room"]

_STATES = 3
"""Checkpoints on disk while one is written: the last one, the one before it, and the new one."""
_OTHERS = 1_000_000
"""Bytes of what is small: the record of the figures, descriptions, file headers."""


@dataclass(frozen=True)
class Room:
    """What a training writes.

    Attributes:
        checkpoint: Size of a checkpoint [bytes].
        bundle: Size of the bundle [bytes].
    """

    checkpoint: int
    bundle: int

    @classmethod
    def of(cls, generator: Generator, geometry: Geometry, critic_hidden: list[int]) -> Self:
        """Room for a generator, the networks that train it, their optimisers' two averages, and the bundle."""
        latent = generator.architecture.latent_size
        encoder = Encoder(geometry.n_cells, generator.frame.size + geometry.n_layers, latent)
        critic = Critic(tuple(critic_hidden), geometry, generator)
        networks: tuple[nn.Module, ...] = (generator, encoder, critic)
        state = sum(_stored(network) + 2 * _trained(network) for network in networks)
        # The average and the best one so far, and the generator's second optimiser.
        state += 2 * _stored(generator) + 2 * _trained(generator)
        return cls(checkpoint=state + _OTHERS, bundle=2 * _stored(generator) + _OTHERS)  # as weights and as a graph

    def require(self, folder: Path, checkpoint: Checkpoint) -> None:
        """Refuse a folder that cannot be written or has too little room; files that are there already count as room.

        Space is really taken for a moment where the system can do that: a quota is seen in no other way.

        Raises:
            TrainingError: Says how much is needed and how much is there.
        """
        there = sum(path.exists() for path in (checkpoint.path, checkpoint.previous))
        sizes = [self.checkpoint] * (_STATES - there) + [self.bundle]
        needed = f"{folder}: training needs about {_megabytes(sum(sizes))} here"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
            if free < sum(sizes):
                msg = f"{needed}, {_megabytes(free)} are free; make room, or choose another run_dir"
                raise TrainingError(msg)
            with ExitStack() as files:
                for size in sizes:
                    file = files.enter_context(tempfile.TemporaryFile(dir=folder))
                    if hasattr(os, "posix_fallocate"):
                        os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            msg = f"{needed}, and cannot have it: {error.strerror or error}; make room, or choose another run_dir"
            raise TrainingError(msg) from error


def _stored(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


def _trained(network: nn.Module) -> int:
    return sum(weight.nbytes for weight in network.parameters() if weight.requires_grad)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
