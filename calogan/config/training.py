"""What is trained, and how long."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from calogan.config.section import Section

__all__ = ["ModelConfig", "TrainingConfig"]


class ModelConfig(Section):
    """Sizes of the generator and the critic."""

    latent_size: int = Field(default=24, ge=1, description="noise shared by all cells of a shower")
    generator_hidden: list[int] = Field(
        default=[256, 256, 128], min_length=1, description="widths of the generator's hidden layers"
    )
    critic_hidden: list[int] = Field(
        default=[384, 256, 128], min_length=1, description="widths of the critic's hidden layers"
    )
    symmetries: list[Literal["flip_x", "flip_y", "swap_xy"]] = Field(
        default=[],
        description="mirror images that are showers as well; only where calorimeter and particles have them",
    )


class TrainingConfig(Section):
    """Lengths in steps; one step is one update of the generator."""

    FREE: ClassVar[frozenset[str]] = frozenset(
        {"accumulate", "checkpoint_every", "data", "device", "log_every", "max_minutes", "memory_gb", "threads"}
    )
    """Fields that may change when a training is taken up again: they change no result."""
    LATER: ClassVar[frozenset[str]] = frozenset({"balance_particles", "batch_per", "precision"})
    """Fields that checkpoints of earlier versions do not know; at their defaults, all is as it was."""

    batch_size: int = Field(default=128, ge=2, description="showers in a batch")
    batch_per: Literal["global", "process"] = Field(
        default="global",
        description="whether a batch has batch_size showers in all (the same training on any number of processes), "
        "or for each process",
    )
    balance_particles: bool = Field(
        default=False,
        description="whether batches have as many showers of each particle type on average, and not as many as there "
        "are: an epoch then takes showers of the rarer types several times",
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        description="parts that a process computes its share of a batch in: less memory, the same training",
    )
    precision: Literal["float32", "tf32", "bf16"] = Field(
        default="float32",
        description="of matrix products: tf32 rounds their factors on a GPU; bf16 the large networks' forward passes",
    )
    warmup_steps: int = Field(default=2000, ge=1, description="supervised steps before the adversarial phase")
    steps: int = Field(default=6000, ge=0, description="adversarial steps")
    critic_steps: int = Field(default=3, ge=1, description="critic updates per generator update")
    critic_head_start: int = Field(default=100, ge=0, description="adversarial steps that train the critic alone")
    gradient_penalty: float = Field(default=10.0, gt=0, description="weight of the gradient penalty")
    warmup_learning_rate: float = Field(default=2e-3, gt=0, description="Adam's rate in the supervised phase")
    generator_learning_rate: float = Field(default=1e-4, gt=0, description="Adam's rate of the generator")
    critic_learning_rate: float = Field(default=2e-4, gt=0, description="Adam's rate of the critic")
    ema_decay: float = Field(
        default=0.999, ge=0, lt=1, description="decay of the averaged generator weights per step, in both phases"
    )
    hold_out_momentum: tuple[float, float] | None = Field(
        default=None,
        description="band of |p| [GeV] kept from training and selection, to see in the report how well it is filled",
    )
    data: Literal["auto", "memory", "stream"] = Field(
        default="auto",
        description="training showers in memory, or streamed from disk while training; auto: in memory if they fit",
    )
    memory_gb: float | None = Field(
        default=None,
        gt=0,
        description="memory that training showers may take [GB], on the device or to stream them; null: what is free",
    )
    shuffle_window: int | None = Field(
        default=None,
        ge=1,
        description="showers that are shuffled with one another, from blocks of 256 all over the files, which disks "
        "read fast; null: all showers up to 16 GB, beyond that so many that they fill 1 GB",
    )
    log_every: int = Field(default=50, ge=1, description="steps between two lines of metrics.jsonl")
    evaluate_every: int = Field(default=500, ge=1, description="steps between two physics scores on validation showers")
    evaluate_showers: int = Field(default=2000, ge=10, description="validation showers in a physics score")
    checkpoint_every: int = Field(default=500, ge=1, description="steps between two checkpoints")
    max_minutes: float | None = Field(default=None, gt=0, description="stop after this time, on top of the steps")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, ...")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; null leaves torch's choice")

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if self.balance_particles and self.shuffle_window is not None:
            msg = "balance_particles shuffles all showers with one another; leave shuffle_window out"
            raise ValueError(msg)
        return self

    def global_batch(self, processes: int) -> int:
        """Showers in a batch of all processes."""
        return self.batch_size * (processes if self.batch_per == "process" else 1)
