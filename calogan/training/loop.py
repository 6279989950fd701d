"""The training: a supervised warm start, then WGAN-GP; stopped at any step, it goes on, on a CPU bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from calogan.config import TrainingConfig
from calogan.errors import DivergenceError, TrainingInterrupted
from calogan.models.critic import CriticContext
from calogan.models.generator import Generator
from calogan.progress import Reporter, Task
from calogan.training.batches import BatchOrder, step_seed
from calogan.training.checkpoint import Checkpoint
from calogan.training.local import LocalShowers
from calogan.training.memory import peak_memory
from calogan.training.objectives import gradient_penalty, warm_start_loss
from calogan.training.signals import StopRequest, stop_on_signals
from calogan.training.state import Best, TrainingState

__all__ = ["Outlet", "Trainer"]

MOST_CONTEXTS = 2**28
"""Cells up to which what the critic expects of all training showers is kept on the device: two numbers a cell."""
PENALISED = 2
"""One in so many showers of a batch is in the gradient penalty, which takes most of the time."""
EXPLODED = 1e6
"""A loss beyond this has diverged: those of healthy trainings stay below some hundreds."""
CRITIC_DRAWS, GENERATOR_DRAWS, WARMUP_DRAWS = range(3)


@dataclass(frozen=True)
class Outlet:
    """Where a training's results go.

    Attributes:
        checkpoint: Where the state is kept.
        record: Called with the step and the figures of an interval.
        score: Physics score of a generator on validation showers; lower is better.
        reporter: Progress.
    """

    checkpoint: Checkpoint
    record: Callable[[int, dict[str, float]], None]
    score: Callable[[Generator], float]
    reporter: Reporter


class Trainer:
    """Runs the steps of a training on showers that are in memory.

    Args:
        state: Networks, optimisers and counters, on the device.
        settings: Lengths and rates.
        showers: Reference showers in their local frames, on the device.
        seed: Seed of batches and noise.
        outlet: Where results go.
    """

    def __init__(
        self, state: TrainingState, settings: TrainingConfig, showers: LocalShowers, seed: int, outlet: Outlet
    ) -> None:
        self._state, self._settings, self._outlet, self._seed = state, settings, outlet, seed
        self._showers = showers
        self._device = showers.u.device
        self._contexts: CriticContext | None = None
        self._rng = torch.Generator(self._device)
        self._order = BatchOrder(len(showers), settings.batch_size, step_seed(seed, 0), self._device)
        self._sums, self._counts = state.sums, state.counts
        self._started = time.monotonic() - state.elapsed
        self._interval = (time.monotonic(), state.step)

    @property
    def total_steps(self) -> int:
        """Warm-up and adversarial steps."""
        return self._settings.warmup_steps + self._settings.steps

    def run(self) -> Best:
        """Go on to the end.

        Returns:
            The best generator on validation showers.

        Raises:
            TrainingInterrupted: A signal asked to stop; the state is saved.
            TrainingError: The last state, or several in a row, cannot be saved.
            DivergenceError: Losses or weights are not finite or exploded; the last good checkpoint is kept.
        """
        state, reporter = self._state, self._outlet.reporter
        with (
            stop_on_signals() as stop,
            reporter.task("training", self.total_steps, "steps", completed=state.step) as task,
        ):
            while state.step < self.total_steps and not self._out_of_time():
                self._step()
                state.step += 1
                self._after_step(task)
                self._obey(stop)
        if state.step < self.total_steps:
            reporter.warning(f"stopped at step {state.step} of {self.total_steps}: training.max_minutes is over")
            self._evaluate()
        self._save(self._outlet.checkpoint.save_last)
        if state.best is None:
            msg = f"no generator had a finite physics score by step {state.step}; nothing to select"
            raise DivergenceError(msg)
        return state.best

    def _step(self) -> None:
        if self._state.step < self._settings.warmup_steps:
            self._warmup_step()
        else:
            self._adversarial_step(self._state.step - self._settings.warmup_steps)

    def _after_step(self, task: Task) -> None:
        state, settings = self._state, self._settings
        step, last = state.step, state.step == self.total_steps
        note = ""
        if step % settings.log_every == 0 or last:
            note = self._log()
        adversarial = step - settings.warmup_steps
        if adversarial >= 0 and (adversarial % settings.evaluate_every == 0 or last):
            note = self._evaluate()
        if step % settings.checkpoint_every == 0 and not last:
            self._save(self._outlet.checkpoint.save_or_warn)
        task.advance(1, note)

    def _obey(self, stop: StopRequest) -> None:
        if stop.name is not None:
            self._save(self._outlet.checkpoint.save_or_warn)
            msg = f"stopped by {stop.name} at step {self._state.step}; run the same command to go on"
            raise TrainingInterrupted(msg)

    def _out_of_time(self) -> bool:
        limit = self._settings.max_minutes
        return limit is not None and time.monotonic() - self._started > 60 * limit

    def _warmup_step(self) -> None:
        state, settings = self._state, self._settings
        step = state.step
        _set_rate(state.warmup_optimiser, settings.warmup_learning_rate, step / settings.warmup_steps)
        self._rng.manual_seed(step_seed(self._seed, step, WARMUP_DRAWS))
        showers = self._showers[self._order.batch(step)]
        latent = state.generator.architecture.latent_size
        loss, parts = warm_start_loss(
            state.generator,
            state.encoder,
            showers,
            self._normal(len(showers), latent),
            step,
            divergence_weight=min(1.0, 2.0 * step / settings.warmup_steps),
        )
        state.warmup_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_([*state.generator.parameters(), *state.encoder.parameters()], 1.0)
        state.warmup_optimiser.step()
        state.ema.update_parameters(state.generator)
        self._count({f"warmup/{name}": part for name, part in parts.items()})

    def _adversarial_step(self, step: int) -> None:
        state, settings = self._state, self._settings
        for optimiser, rate in (
            (state.critic_optimiser, settings.critic_learning_rate),
            (state.generator_optimiser, settings.generator_learning_rate),
        ):
            _set_rate(optimiser, rate, step / settings.steps)
        if step == 0:  # from the averaged weights, which the last batches have not pushed about
            state.generator.load_state_dict(state.ema.module.state_dict())
            state.critic.set_baseline(state.generator)
        if self._contexts is None and self._showers.u.numel() <= MOST_CONTEXTS:
            self._contexts = state.critic.context(self._showers.features)
        batches = settings.warmup_steps + step * (settings.critic_steps + 1)
        for critic_step in range(settings.critic_steps):
            self._rng.manual_seed(step_seed(self._seed, state.step, CRITIC_DRAWS, critic_step))
            self._critic_step(*self._batch(batches + critic_step))
        if step < settings.critic_head_start:
            return
        self._rng.manual_seed(step_seed(self._seed, state.step, GENERATOR_DRAWS))
        self._generator_step(*self._batch(batches + settings.critic_steps))

    def _critic_step(self, showers: LocalShowers, context: CriticContext) -> None:
        state, critic = self._state, self._state.critic
        with torch.no_grad():
            generated = self._generated(showers, context)
            reference = critic.standardise(showers.u, context)
        mixing = torch.rand(len(showers), 1, generator=self._rng, device=self._device)
        distance = critic(reference, context).mean() - critic(generated, context).mean()
        some = slice(0, max(1, len(showers) // PENALISED))
        part = context[some]
        penalty = gradient_penalty(lambda cells: critic(cells, part), reference[some], generated[some], mixing[some])
        state.critic_optimiser.zero_grad(set_to_none=True)
        (self._settings.gradient_penalty * penalty - distance).backward()
        state.critic_optimiser.step()
        self._count({"critic/distance": distance, "critic/penalty": penalty})

    def _generator_step(self, showers: LocalShowers, context: CriticContext) -> None:
        state = self._state
        loss = -state.critic(self._generated(showers, context), context).mean()
        state.generator_optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=_weights(state.generator_optimiser))
        state.generator_optimiser.step()
        state.ema.update_parameters(state.generator)
        self._count({"generator/loss": loss})

    def _generated(self, showers: LocalShowers, context: CriticContext) -> Tensor:
        """Showers of the same particles as the critic sees them."""
        generator = self._state.generator
        noise = self._normal(len(showers), generator.noise_size)
        energy = generator.local(showers.features, showers.momentum, noise)
        return self._state.critic.standardise(generator.transform.encode(energy), context)

    def _batch(self, counter: int) -> tuple[LocalShowers, CriticContext]:
        """Reference showers, and what the critic knows of their particles."""
        index = self._order.batch(counter)
        showers = self._showers[index]
        known = self._contexts
        return showers, self._state.critic.context(showers.features) if known is None else known[index]

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._rng, device=self._device)

    def _count(self, figures: dict[str, Tensor]) -> None:
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=self._device)) + value.detach()
            self._counts[name] += 1

    def _log(self) -> str:
        figures = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        wrong = [name for name, value in figures.items() if not abs(value) < EXPLODED]
        if wrong:
            self._diverged(f"{wrong[0]} is {figures[wrong[0]]:.3g}")
        now, (before, step) = time.monotonic(), self._interval
        rate = (self._state.step - step) / max(now - before, 1e-9)
        self._interval = (now, self._state.step)
        self._sums.clear()
        self._counts.clear()
        batch = min(self._settings.batch_size, len(self._showers))
        extra = {"time/elapsed_s": now - self._started, "time/steps_per_s": rate, "time/showers_per_s": rate * batch}
        extra |= peak_memory(self._device)
        self._outlet.record(self._state.step, figures | extra)
        return ", ".join(f"{name.rpartition('/')[2]} {value:.3g}" for name, value in list(figures.items())[:2])

    def _evaluate(self) -> str:
        state = self._state
        candidate = cast("Generator", state.ema.module)
        score = self._outlet.score(candidate)
        if math.isfinite(score) and (state.best is None or score < state.best.score):
            weights = {name: value.detach().cpu().clone() for name, value in candidate.state_dict().items()}
            state.best = Best(score, state.step, weights)
        self._outlet.record(state.step, {"validation/physics_score": score})
        self._outlet.reporter.message(f"step {state.step}: physics score {score:.3g} on validation showers")
        return f"score {score:.3g}"

    def _save(self, save: Callable[[TrainingState], None]) -> None:
        if not self._state.is_finite():
            self._diverged("a weight is not finite")
        self._state.elapsed = time.monotonic() - self._started
        save(self._state)

    def _diverged(self, what: str) -> None:
        checkpoint = self._outlet.checkpoint
        kept = "the last good checkpoint is kept" if checkpoint.exists() else "there is no checkpoint yet"
        msg = (
            f"training diverged at step {self._state.step}: {what}; {kept} ({checkpoint.path}). "
            "Lower the learning rates or raise training.gradient_penalty, with another run_dir"
        )
        raise DivergenceError(msg)


def _set_rate(optimiser: Optimizer, rate: float, progress: float) -> None:
    """Cosine from `rate` down to a twentieth of it (arXiv:1608.03983)."""
    factor = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    for group in optimiser.param_groups:
        group["lr"] = rate * factor * group.get("share", 1.0)


def _weights(optimiser: Optimizer) -> Iterable[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]
