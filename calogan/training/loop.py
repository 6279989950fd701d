"""The training: a supervised warm start, then WGAN-GP; stopped at any step, it goes on, on a CPU bit for bit.

Several processes, and parts that one process computes one after another, take the steps that one would: each adds its
share of a batch to the gradients before they are used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from calogan.config import TrainingConfig
from calogan.errors import DivergenceError, TrainingError, TrainingInterrupted
from calogan.models.critic import CriticContext
from calogan.models.generator import Generator
from calogan.progress import Reporter, Task
from calogan.training.batches import PENALISED, BalancedOrder, BatchNoise, Share, step_seed
from calogan.training.checkpoint import Checkpoint
from calogan.training.distributed import Exchange, Group
from calogan.training.local import LocalShowers, ShowerSource
from calogan.training.memory import peak_memory
from calogan.training.objectives import gradient_penalty, warm_start_loss
from calogan.training.precision import Precision
from calogan.training.signals import STOPPING, StopRequest, stop_on_signals
from calogan.training.state import Best, TrainingState
from calogan.training.windows import batch_order

__all__ = ["Outlet", "Trainer"]

MOST_CONTEXTS = 2**28
"""Cells up to which what the critic expects of all training showers is kept on the device: two numbers a cell."""
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
    """Runs the steps of a training.

    Args:
        state: Networks, optimisers and counters, on the device.
        settings: Lengths and rates.
        showers: Reference showers in their local frames.
        seed: Seed of batches and noise.
        outlet: Where results go; process 0 alone uses it.
        group: The processes that train together; their states are the same.
        balance: PDG ids of the showers where batches are to have as many of each type, shape ``(showers,)``.

    Raises:
        TrainingError: The batch is too small for so many processes.
    """

    def __init__(
        self,
        state: TrainingState,
        settings: TrainingConfig,
        showers: ShowerSource,
        seed: int,
        outlet: Outlet,
        group: Group | None = None,
        balance: NDArray[np.int32] | None = None,
    ) -> None:
        self._state, self._settings, self._outlet = state, settings, outlet
        self._showers, self._group = showers, group or Group()
        self._device = showers.device
        self._contexts: CriticContext | None = None
        self._noise = BatchNoise(seed, self._device, next(state.generator.parameters()).dtype)
        self._batch_size = min(settings.global_batch(self._group.size), len(showers))
        order_seed, place = step_seed(seed, 0), showers.index_device
        cells, window = state.generator.n_cells, settings.shuffle_window
        self._order = (
            batch_order(len(showers), cells, self._batch_size, order_seed, place, window)
            if balance is None
            else BalancedOrder(balance, self._batch_size, order_seed, place)
        )
        self._shares = _shares(self._batch_size, self._group, settings.accumulate)
        if state.batch_size not in (0, self._batch_size):
            outlet.reporter.warning(f"batches had {state.batch_size} showers, and have {self._batch_size} from now on")
        state.batch_size = self._batch_size
        self._precision = Precision(settings.precision, self._device)
        self._stop = StopRequest()
        self._exchange = Exchange(self._group, self._device, self._requests)
        self._sums, self._counts = state.sums, state.counts
        self._sums.update({name: figure.to(self._device) for name, figure in self._sums.items()})
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
            stop_on_signals() as self._stop,
            self._precision.of(_large_networks(state)),
            self._showers.prefetch(self._coming(state.step)),
            reporter.task("training", self.total_steps, "steps", completed=state.step) as task,
        ):
            over = self._group.lead(self._out_of_time)
            while state.step < self.total_steps and not over:
                self._step()
                state.step += 1
                self._after_step(task)
                over = self._obey()
            if state.step < self.total_steps:
                reporter.warning(f"stopped at step {state.step} of {self.total_steps}: training.max_minutes is over")
                self._evaluate()
            self._save(self._outlet.checkpoint.save_last)
        if state.best is None:
            msg = f"no generator had a finite physics score by step {state.step}; nothing to select"
            raise self._group.agreed(DivergenceError(msg))
        return state.best

    def _step(self) -> None:
        if self._state.step < self._settings.warmup_steps:
            self._warmup_step()
        else:
            self._adversarial_step(self._state.step - self._settings.warmup_steps)

    def _coming(self, first: int) -> Iterator[Tensor]:
        """Numbers of the showers of all shares from a step on; for another thread, so with an order of its own."""
        order = copy(self._order)
        for step in range(first, self.total_steps):
            for counter in self._counters(step):
                batch = order.batch(counter)
                yield from (share.take(batch) for share in self._shares)

    def _counters(self, step: int) -> range:
        """Numbers of the batches of a step."""
        settings, adversarial = self._settings, step - self._settings.warmup_steps
        if adversarial < 0:
            return range(step, step + 1)
        first = settings.warmup_steps + adversarial * (settings.critic_steps + 1)
        return range(first, first + settings.critic_steps + (adversarial >= settings.critic_head_start))

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

    def _requests(self) -> list[bool]:
        """What this process asks of all: to stop for a signal, or since the time is over by the first one's clock."""
        asked = [self._stop.name == number.name for number in STOPPING]
        return [*asked, self._group.leads and self._out_of_time()]

    def _obey(self) -> bool:
        """Stop if any process was asked to; else say whether the time is over."""
        *asked, over = self._exchange.answer()
        if any(asked):
            self._save(self._outlet.checkpoint.save_last)
            name = STOPPING[asked.index(True)].name
            msg = f"stopped by {name} at step {self._state.step}; run the same command to go on"
            raise self._group.agreed(TrainingInterrupted(msg))
        return over

    def _out_of_time(self) -> bool:
        limit = self._settings.max_minutes
        return limit is not None and time.monotonic() - self._started > 60 * limit

    def _warmup_step(self) -> None:
        state, settings = self._state, self._settings
        step = state.step
        _set_rate(state.warmup_optimiser, settings.warmup_learning_rate, step / settings.warmup_steps)
        state.warmup_optimiser.zero_grad(set_to_none=True)
        (batch,) = self._counters(step)
        for share in self._shares:
            showers = self._showers[share.take(self._order.batch(batch))]
            noise, _ = self._noise.draw((step, WARMUP_DRAWS), share, state.generator.architecture.latent_size)
            divergence_weight = min(1.0, 2.0 * step / settings.warmup_steps)
            loss, parts = warm_start_loss(state.generator, state.encoder, showers, noise, step, divergence_weight)
            torch.autograd.backward(share.weight * loss)
            self._count({f"warmup/{name}": share.weight * part for name, part in parts.items()}, share)
        weights = [*state.generator.parameters(), *state.encoder.parameters()]
        self._exchange.add_up(weights)
        nn.utils.clip_grad_norm_(weights, 1.0)
        state.warmup_optimiser.step()
        state.ema.update_parameters(state.generator)

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
        showers = self._showers
        if self._contexts is None and isinstance(showers, LocalShowers) and showers.u.numel() <= MOST_CONTEXTS:
            self._contexts = state.critic.context(showers.features)
        batches = self._counters(settings.warmup_steps + step)
        for critic_step, batch in enumerate(batches[: settings.critic_steps]):
            self._critic_step(batch, (state.step, CRITIC_DRAWS, critic_step))
        for batch in batches[settings.critic_steps :]:
            self._generator_step(batch, (state.step, GENERATOR_DRAWS))

    def _critic_step(self, batch: int, draws: tuple[int, ...]) -> None:
        optimiser = self._state.critic_optimiser
        optimiser.zero_grad(set_to_none=True)
        for share in self._shares:
            distance, penalty = self._critic_losses(batch, draws, share)
            torch.autograd.backward(self._settings.gradient_penalty * penalty - distance)
            self._count({"critic/distance": distance, "critic/penalty": penalty}, share)
        self._exchange.add_up(_weights(optimiser))
        optimiser.step()

    def _critic_losses(self, batch: int, draws: tuple[int, ...], share: Share) -> tuple[Tensor, Tensor]:
        """What a share adds to the distance and the penalty of its batch."""
        critic = self._state.critic
        showers, context = self._part(batch, share)
        noise, mixing = self._noise.draw(draws, share, self._state.generator.noise_size)
        with torch.no_grad():
            generated = self._generated(showers, context, noise)
            reference = critic.standardise(showers.u, context)
        distance = critic(reference, context).mean() - critic(generated, context).mean()
        some = slice(0, len(share.penalised))
        part = context[some]
        with self._precision.full():
            penalty = gradient_penalty(
                lambda cells: critic(cells, part), reference[some], generated[some], mixing[some]
            )
        return share.weight * distance, share.penalised_weight * penalty

    def _generator_step(self, batch: int, draws: tuple[int, ...]) -> None:
        state, weights = self._state, _weights(self._state.generator_optimiser)
        state.generator_optimiser.zero_grad(set_to_none=True)
        for share in self._shares:
            showers, context = self._part(batch, share)
            noise, _ = self._noise.draw(draws, share, state.generator.noise_size)
            loss = -share.weight * state.critic(self._generated(showers, context, noise), context).mean()
            torch.autograd.backward(loss, inputs=weights)
            self._count({"generator/loss": loss}, share)
        self._exchange.add_up(weights)
        state.generator_optimiser.step()
        state.ema.update_parameters(state.generator)

    def _generated(self, showers: LocalShowers, context: CriticContext, noise: Tensor) -> Tensor:
        """Showers of the same particles as the critic sees them."""
        generator = self._state.generator
        energy = generator.local(showers.features, showers.momentum, noise)
        return self._state.critic.standardise(generator.transform.encode(energy), context)

    def _part(self, batch: int, share: Share) -> tuple[LocalShowers, CriticContext]:
        """Reference showers of a share of a batch, and what the critic knows of their particles."""
        index = share.take(self._order.batch(batch))
        showers = self._showers[index]
        known = self._contexts
        return showers, self._state.critic.context(showers.features) if known is None else known[index]

    def _count(self, figures: dict[str, Tensor], share: Share) -> None:
        """Add what a share of a batch has of its figures."""
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=self._device)) + value.detach()
            self._counts[name] += share is self._shares[0]

    def _log(self) -> str:
        figures = {name: float(total) / self._counts[name] for name, total in self._totals().items()}
        wrong = [name for name, value in figures.items() if not abs(value) < EXPLODED]
        if wrong:
            self._diverged(f"{wrong[0]} is {figures[wrong[0]]:.3g}")
        now, (before, step) = time.monotonic(), self._interval
        rate = (self._state.step - step) / max(now - before, 1e-9)
        self._interval = (now, self._state.step)
        self._sums.clear()
        self._counts.clear()
        showers = rate * self._batch_size
        extra = {"time/elapsed_s": now - self._started, "time/steps_per_s": rate, "time/showers_per_s": showers}
        self._record(figures | extra | peak_memory(self._device))
        return ", ".join(f"{name.rpartition('/')[2]} {value:.3g}" for name, value in list(figures.items())[:2])

    def _evaluate(self) -> str:
        state = self._state
        candidate = cast("Generator", state.ema.module)
        score = self._group.lead(lambda: self._outlet.score(candidate))
        if math.isfinite(score) and (state.best is None or score < state.best.score):
            weights = {name: value.detach().cpu().clone() for name, value in candidate.state_dict().items()}
            state.best = Best(score, state.step, weights)
        self._record({"validation/physics_score": score})
        self._outlet.reporter.message(f"step {state.step}: physics score {score:.3g} on validation showers")
        return f"score {score:.3g}"

    def _totals(self) -> dict[str, Tensor]:
        """Figures since the last line of the record, of all processes."""
        if not self._sums:
            return {}
        totals = torch.stack(list(self._sums.values()))
        self._group.add_up(totals)
        return dict(zip(self._sums, totals, strict=True))

    def _save(self, save: Callable[[TrainingState], None]) -> None:
        if not self._state.is_finite():
            self._diverged("a weight is not finite")
        self._state.elapsed = time.monotonic() - self._started
        for name, total in self._totals().items():  # which process 0 has from now on, for all
            self._sums[name] = total if self._group.leads else torch.zeros_like(total)
        self._group.lead(lambda: save(self._state))

    def _record(self, figures: dict[str, float]) -> None:
        self._group.lead(lambda: self._outlet.record(self._state.step, figures))

    def _diverged(self, what: str) -> None:
        checkpoint = self._outlet.checkpoint
        kept = "the last good checkpoint is kept" if checkpoint.exists() else "there is no checkpoint yet"
        msg = (
            f"training diverged at step {self._state.step}: {what}; {kept} ({checkpoint.path}). "
            "Lower the learning rates or raise training.gradient_penalty, with another run_dir"
        )
        raise self._group.agreed(DivergenceError(msg))


def _shares(batch_size: int, group: Group, accumulate: int) -> list[Share]:
    """What this process computes of each batch, one after another."""
    count = group.size * accumulate
    if count > 1 and batch_size < PENALISED * count:
        msg = (
            f"batches of {batch_size} showers are too few for training.accumulate {accumulate} on {group.size} "
            f"processes: at least {PENALISED * count} are needed; raise training.batch_size"
        )
        raise TrainingError(msg)
    return [Share.of(batch_size, group.rank * accumulate + number, count) for number in range(accumulate)]


def _large_networks(state: TrainingState) -> list[nn.Module]:
    """What has most of the weights; the critic's branch of physics features sees few numbers, and needs them exact."""
    generator = state.generator
    return [generator.trunk, generator.cell_mean, generator.cell_width, state.encoder.hidden, state.critic.cell_branch]


def _set_rate(optimiser: Optimizer, rate: float, progress: float) -> None:
    """Cosine from `rate` down to a twentieth of it (arXiv:1608.03983)."""
    factor = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    for group in optimiser.param_groups:
        group["lr"] = rate * factor * group.get("share", 1.0)


def _weights(optimiser: Optimizer) -> list[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]
