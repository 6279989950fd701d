"""What each part of the model is worth: trainings without it, and a plain WGAN-GP, judged on the test showers.

    python benchmarks/fidelity.py --config configs/ecal30_cpu.yaml --out runs/fidelity
    python benchmarks/fidelity.py --out runs/fidelity --table

Every row and seed writes a JSON file into --out. Run again, the program does what is not there yet. The row `full` is
trained first. One thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from calogan.config import Config, ValidationConfig, load_config
from calogan.data.showers import Showers
from calogan.data.store import Store
from calogan.errors import CaloganError, DivergenceError
from calogan.metrics.binning import observable_edges
from calogan.metrics.classifier import fit_trees
from calogan.metrics.crossfit import Fit, cross_fit
from calogan.metrics.features import observable_matrix
from calogan.metrics.frechet import frechet_physics_distance
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.metric import Metric
from calogan.metrics.network import fit_network
from calogan.metrics.score import physics_score
from calogan.metrics.separation import separation_power
from calogan.models import frame
from calogan.models.blocks import mlp
from calogan.models.critic import CriticContext
from calogan.models.generator import Generator
from calogan.physics.kinematics import momentum, slopes
from calogan.progress import PlainReporter, SilentReporter
from calogan.stages.prepare import prepare
from calogan.stages.train import fresh_state
from calogan.training.batches import BatchOrder, step_seed
from calogan.training.checkpoint import Checkpoint
from calogan.training.local import LocalShowers
from calogan.training.loop import Outlet, Trainer
from calogan.training.objectives import gradient_penalty
from calogan.training.selection import PhysicsScore
from calogan.training.state import FORMAT, TrainingState
from calogan.validation.comparison import make_samples
from calogan.validation.samples import Samples
from calogan.validation.studies.classifiers import high_level_features, low_level_features, network_settings
from calogan.validation.studies.multivariate import measure_coverage

CPU = torch.device("cpu")
BATCH = 1000
"""Showers generated at a time."""
SAMPLE_SEED = 20260101
EVALUATIONS = 6
"""Physics scores on validation showers, at even distances, out of which the best generator is taken."""
WARMUP_COST = 0.25
"""Time of a step of the warm start in that of an adversarial step."""
PLAIN_NOISE, PLAIN_RATE, PLAIN_BATCH, PLAIN_CRITIC_STEPS, PLAIN_PENALTY = 10, 5e-4, 64, 3, 10.0


# --- the rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """Lengths that all rows have in common."""

    warmup_steps: int
    steps: int


Alter = Callable[[TrainingState], None]


def keep(state: TrainingState) -> None:
    """Change nothing."""


@dataclass(frozen=True)
class Row:
    """A training that differs from the full one.

    Attributes:
        name: Of the row and its files.
        note: What differs.
        overrides: Changes of the configuration.
        alter: Changes of the fresh networks.
        moved: Whether showers are moved into the frame of the track.
        energies_first: Whether the layer energies are fitted before all else.
    """

    name: str
    note: str
    overrides: Callable[[Budget], Sequence[str]] = lambda _budget: ()
    alter: Alter = keep
    moved: bool = True
    energies_first: bool = False

    def build(
        self, config: Config, store: Store, showers: Showers, budget: Budget
    ) -> tuple[TrainingState, LocalShowers]:
        """Fresh networks, and the training showers as they see them."""
        torch.manual_seed(config.seed)
        with nullcontext() if self.moved else frame_of_calorimeter():
            state, local = fresh_state(config, store.geometry, showers, CPU)
        self.alter(state)
        if self.energies_first:
            fit_layer_energies(state, local, config, budget)
        for optimiser in (state.warmup_optimiser, state.generator_optimiser, state.critic_optimiser):
            leave_out_frozen(optimiser)
        return state, local


@contextmanager
def frame_of_calorimeter() -> Iterator[None]:
    """No axis is moved, as if the cells differed in size."""
    original = frame._Axis.of
    with mock.patch.object(frame._Axis, "of", lambda *given: replace(original(*given), pitch=None)):
        yield


def leave_out_frozen(optimiser: Optimizer) -> None:
    """Parameters that are not trained have no place in an optimiser."""
    for group in optimiser.param_groups:
        group["params"] = [weight for weight in group["params"] if weight.requires_grad]


def freeze_mixing(state: TrainingState) -> None:
    """Noise of every cell by itself."""
    amplitude = state.generator.mixing.amplitude
    nn.init.zeros_(amplitude.weight)
    nn.init.zeros_(amplitude.bias)
    amplitude.requires_grad_(requires_grad=False)


def freeze_shared(state: TrainingState) -> None:
    """Shared noise is standard normal whatever the particle, as its network starts."""
    state.generator.shared.requires_grad_(requires_grad=False)


def freeze_shape(state: TrainingState) -> None:
    """Lit cells have the energies of a Gaussian cut at zero."""
    shape = state.generator.shape.free_slope
    nn.init.zeros_(shape)
    shape.requires_grad = False


def silence_physics(state: TrainingState) -> None:
    """The physics branch of the critic says 0 to every shower."""
    branch = state.critic.physics_branch
    branch.requires_grad_(requires_grad=False)
    for weight in branch[-1].parameters():
        nn.init.zeros_(weight)


def show_cells_themselves(state: TrainingState) -> None:
    """The critic sees cells, not residuals from what is expected of the particle."""
    cells = state.generator.n_cells

    def context(features: Tensor) -> CriticContext:
        one = torch.ones(1, 1).expand(len(features), cells)
        return CriticContext(features, torch.zeros(1, 1).expand(len(features), cells), one)

    state.critic.context = context  # type: ignore[method-assign]


def fit_layer_energies(state: TrainingState, local: LocalShowers, config: Config, budget: Budget) -> None:
    """Fit the layer energies, which the adversarial phase does not train, as long as the warm start would."""
    head, settings = state.generator.energy_head, config.training
    optimiser = Adam(head.parameters(), settings.warmup_learning_rate, betas=(0.9, 0.99))
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, budget.warmup_steps)
    order = BatchOrder(len(local), settings.batch_size, step_seed(config.seed, 1), CPU)
    for step in range(budget.warmup_steps):
        showers = local[order.batch(step)]
        loss = head.negative_log_likelihood(showers.features, showers.layer_energy, showers.momentum).mean()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        decay.step()
    head.requires_grad_(requires_grad=False)  # it stays as it is in the one step of the warm start that there must be


def without_warm_start(budget: Budget) -> Sequence[str]:
    """One step of the warm start, more adversarial steps in its time, and a rate for a generator that knows nothing."""
    steps = budget.steps + round(WARMUP_COST * budget.warmup_steps)
    return "training.warmup_steps=1", "training.generator_learning_rate=1e-4", *adversarial(steps)


def adversarial(steps: int) -> Sequence[str]:
    """Number of adversarial steps with all that goes by it."""
    return (
        f"training.steps={steps}",
        f"training.evaluate_every={max(1, steps // EVALUATIONS)}",
        f"training.critic_head_start={min(100, steps // 10)}",
    )


PLAIN = Row("plain", "plain convolutional WGAN-GP")
FULL = Row("full", "everything")
ROWS = (
    PLAIN,
    Row("likelihood", "warm start alone", lambda _budget: adversarial(0)),
    Row(
        "no_frame", "frame of the calorimeter, no mirror images", lambda _budget: ("model.symmetries=[]",), moved=False
    ),
    Row("no_mirror", "no mirror images", lambda _budget: ("model.symmetries=[]",)),
    Row("no_mixing", "noise of each cell by itself", alter=freeze_mixing),
    Row("no_shape", "lit cells as Gaussians cut at zero", alter=freeze_shape),
    Row("one_gaussian", "the same Gaussian of shared noise for all particles", alter=freeze_shared),
    Row("no_latent", "one number of shared noise", lambda _budget: ("model.latent_size=1",)),
    Row(
        "no_warm_start",
        "warm start of the layer energies alone, more adversarial steps",
        without_warm_start,
        energies_first=True,
    ),
    Row("no_physics", "critic without physics features", alter=silence_physics),
    Row("no_residuals", "critic sees cells, not residuals", alter=show_cells_themselves),
    Row("no_ema", "no average of the generator's weights", lambda _budget: ("training.ema_decay=0",)),
    FULL,
)


# --- the plain WGAN-GP ------------------------------------------------------------------------------------------------


class PlainGenerator(nn.Module):
    """Dense layers, then transposed convolutions up to 30 x 30 cells, as in arXiv:1812.01319.

    The convolutions have fewer channels than there, so that a step takes no more than two or three times as long as
    one of the full model on a processor. Energies are in units of |p| times a constant, conditions are standardised.

    Args:
        showers: Training showers, for the scales.
        threshold: Fainter cells are dark [GeV].
    """

    noise_size = PLAIN_NOISE
    centre: Tensor
    spread: Tensor

    def __init__(self, showers: Showers, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        incident = torch.from_numpy(showers.incident)
        raw = _particle(incident)
        self.register_buffer("centre", raw.mean(dim=0))
        self.register_buffer("spread", raw.std(dim=0))
        energy = torch.from_numpy(showers.cell_energy[:10_000])
        self.unit = float((energy / momentum(incident[:10_000]).unsqueeze(1)).square().mean().sqrt())
        self.dense = mlp([PLAIN_NOISE + 5, 64, 128, 512, 256 * 4 * 4], _leaky)
        self.convolutions = nn.Sequential(
            nn.ConvTranspose2d(256, 64, 3, stride=2, padding=1, output_padding=1),  # 8 x 8
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1),  # 15 x 15
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),  # 30 x 30
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(16, 1, 3, padding=1),
        )

    def conditions(self, incident: Tensor) -> Tensor:
        """Standardised numbers of particles, shape ``(showers, 5)``."""
        return (_particle(incident) - self.centre) / self.spread

    def scaled(self, cell_energy: Tensor, incident: Tensor) -> Tensor:
        """Energies [GeV] as the critic sees them."""
        return cell_energy / (self.unit * momentum(incident).unsqueeze(1))

    def cells(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Scaled energies, shape ``(showers, 900)``."""
        hidden = self.dense(torch.cat([noise, conditions], dim=1)).unflatten(1, (256, 4, 4))
        return nn.functional.softplus(self.convolutions(hidden)).flatten(1)  # a ReLU dies in the first steps

    def forward(self, incident: Tensor, noise: Tensor) -> Tensor:
        """Energies [GeV], each 0 or above the threshold."""
        energy = self.cells(self.conditions(incident), noise) * (self.unit * momentum(incident).unsqueeze(1))
        return torch.where(energy >= self.threshold, energy, torch.zeros_like(energy))


AnyGenerator = Generator | PlainGenerator


class PlainCritic(nn.Module):
    """Strided convolutions; the condition joins their flattened output."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, 16, 32, 64, 128]  # 30 -> 15 -> 8 -> 4 -> 2
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.dense = nn.Sequential(mlp([128 * 2 * 2 + 5, 256, 64], _leaky), nn.Linear(64, 1))

    def forward(self, cells: Tensor, conditions: Tensor) -> Tensor:
        """Scores, shape ``(showers,)``."""
        seen = self.convolutions(cells.reshape(-1, 1, 30, 30))
        scores: Tensor = self.dense(torch.cat([seen, conditions], dim=1))
        return scores.squeeze(1)


def _particle(incident: Tensor) -> Tensor:
    """Log |p|, slopes and entry point, shape ``(showers, 5)``."""
    return torch.stack([momentum(incident).log(), *slopes(incident), incident[:, 3], incident[:, 4]], dim=1)


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


class PlainTraining:
    """WGAN-GP of the plain networks."""

    def __init__(self, config: Config, showers: Showers) -> None:
        torch.manual_seed(config.seed)
        self.generator, self.critic = PlainGenerator(showers, config.threshold), PlainCritic()
        incident = torch.from_numpy(showers.incident)
        self.conditions = self.generator.conditions(incident)
        self.cells = self.generator.scaled(torch.from_numpy(showers.cell_energy), incident)
        self.optimisers = [
            Adam(network.parameters(), PLAIN_RATE, betas=(0.0, 0.9)) for network in (self.generator, self.critic)
        ]
        self.order = BatchOrder(len(showers), PLAIN_BATCH, step_seed(config.seed, 0), CPU)
        self.batches = 0

    def step(self) -> None:
        """Three steps of the critic and one of the generator."""
        for _ in range(PLAIN_CRITIC_STEPS):
            conditions, reference = self._batch()
            with torch.no_grad():
                generated = self.generator.cells(conditions, torch.randn(len(conditions), PLAIN_NOISE))
            score = partial(self.critic, conditions=conditions)
            penalty = gradient_penalty(score, reference, generated, torch.rand(len(conditions), 1))
            loss = score(generated).mean() - score(reference).mean() + PLAIN_PENALTY * penalty
            self._follow(self.optimisers[1], loss)
        conditions, _ = self._batch()
        generated = self.generator.cells(conditions, torch.randn(len(conditions), PLAIN_NOISE))
        self._follow(self.optimisers[0], -self.critic(generated, conditions).mean())

    def _batch(self) -> tuple[Tensor, Tensor]:
        index = self.order.batch(self.batches)
        self.batches += 1
        return self.conditions[index], self.cells[index]

    @staticmethod
    def _follow(optimiser: Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=[weight for group in optimiser.param_groups for weight in group["params"]])
        optimiser.step()


# --- training ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """A generator and how it came about; no generator if the training diverged."""

    generator: AnyGenerator | None
    steps: int
    selected_step: int
    scores: list[tuple[int, float]]
    length: str


def train_row(row: Row, config: Config, budget: Budget, store: Store, data: Data, folder: Path) -> Trained:
    """The full model without a part of it, by the training stage's own loop."""
    state, local = row.build(config, store, data.train, budget)
    scores: list[tuple[int, float]] = []

    def record(step: int, figures: dict[str, float]) -> None:
        if "validation/physics_score" in figures:
            scores.append((step, figures["validation/physics_score"]))
            print(f"  step {step}: physics score {scores[-1][1]:.4f}", flush=True)

    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(folder / "checkpoint.pt", "", SilentReporter())
    outlet = Outlet(checkpoint, record, PhysicsScore(data.validation, config.seed), SilentReporter())
    settings = config.training
    try:
        best = Trainer(state, settings, local, config.seed, outlet).run()
    except DivergenceError as error:
        print(f"  {error}", flush=True)
        return Trained(None, state.step, 0, scores, "diverged")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    state.generator.load_state_dict(best.weights)
    length = f"{settings.warmup_steps} + {settings.steps} steps"
    return Trained(state.generator.eval(), state.step, best.step, scores, length)


def train_plain(config: Config, budget: Budget, data: Data) -> Trained:
    """The plain WGAN-GP, as many adversarial steps as the others have in both phases."""
    training, score = PlainTraining(config, data.train), PhysicsScore(data.validation, config.seed)
    steps = budget.warmup_steps + budget.steps
    scores: list[tuple[int, float]] = []
    best, selected, weights = math.inf, 0, {}
    for step in range(1, steps + 1):
        training.step()
        if step % max(1, steps // EVALUATIONS) == 0 or step == steps:
            scores.append((step, score(cast("Generator", training.generator))))
            print(f"  step {step}: physics score {scores[-1][1]:.4f}", flush=True)
            if scores[-1][1] < best:
                best, selected = scores[-1][1], step
                weights = {name: value.detach().clone() for name, value in training.generator.state_dict().items()}
    if not weights:
        return Trained(None, steps, 0, scores, "diverged")
    training.generator.load_state_dict(weights)
    return Trained(training.generator.eval(), steps, selected, scores, f"{steps} adversarial steps")


# --- judging ----------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def generate(generator: AnyGenerator, reference: Showers, threshold: float) -> Showers:
    """A shower for each particle of the reference."""
    rng = torch.Generator().manual_seed(SAMPLE_SEED)
    pieces = [
        generator(incident, torch.randn(len(incident), generator.noise_size, generator=rng))
        for incident in torch.split(torch.from_numpy(reference.incident), BATCH)
    ]
    return replace(reference, cell_energy=torch.cat(pieces).numpy()).above(threshold)


@torch.inference_mode()
def sampling_time(generator: AnyGenerator, reference: Showers) -> float:
    """Milliseconds a shower of noise and network, the shortest of five times."""
    incident = torch.from_numpy(np.resize(reference.incident, (BATCH, 5)))
    times = []
    for _ in range(6):  # the first one sets things up
        start = time.perf_counter()
        generator(incident, torch.randn(BATCH, generator.noise_size))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times[1:]) / BATCH


def judge(samples: Samples) -> dict[str, dict[str, float | None]]:
    """All figures of the table, with errors and floors, as the validation stage finds them."""
    names = list(samples.observables)
    reference, generated = (
        observable_matrix(values, names) for values in (samples.reference_values, samples.generated_values)
    )
    widths = [separation(samples, name) for name in ("width_x", "width_y")]
    return {
        "low": area(
            samples, low_level_features(samples), partial(fit_network, settings=network_settings(samples)), "low"
        ),
        "high": area(samples, high_level_features(samples), fit_trees, "high"),
        "fpd": figures(frechet_physics_distance(reference, generated, samples.resampling("fpd"))),
        "recall": figures(measure_coverage(samples, samples.threshold).recall),
        "occupancy": figures(separation(samples, "occupancy")),
        "width": figures(max(widths, key=lambda metric: metric.value)),
        "score": {
            "value": physics_score(samples.reference_values, samples.generated_values),
            "error": None,
            "floor": 0.0,
        },
    }


def area(samples: Samples, features: tuple[np.ndarray, np.ndarray], fit: Fit, level: str) -> dict[str, float | None]:
    """Area under a classifier's curve; the floor is known, so no classifier is trained for it."""
    label = np.repeat([0, 1], [len(samples.reference), len(samples.generated)])
    group = np.concatenate([samples.reference_group, samples.generated_group])
    pooled = LabelledFeatures(np.concatenate(features), label)
    rng = samples.rng(f"{level}-level classifier")
    found = cross_fit(pooled, group, fit, rng, samples.settings.classifier_repeats).area
    return {"value": found.value, "error": found.error, "floor": 0.5}


def separation(samples: Samples, name: str) -> Metric:
    """Separation power of an observable."""
    reference, generated = samples.reference_values[name], samples.generated_values[name]
    edges = observable_edges(samples.observables[name], reference)
    return separation_power(reference, generated, edges, paired=samples.paired, name=f"separation {name}")


def figures(metric: Metric) -> dict[str, float | None]:
    """What the table needs of a metric."""
    return {"value": metric.value, "error": metric.error, "floor": metric.floor}


# --- the program ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Showers of the three splits, cut at the threshold."""

    train: Showers
    validation: Showers
    test: Showers

    @classmethod
    def load(cls, store: Store, config: Config, options: argparse.Namespace) -> Data:
        """Read them from a prepared store."""
        threshold = config.threshold
        return cls(
            store.load("train", max_showers=2000 if options.quick else None, threshold=threshold),
            store.load(
                "validation",
                max_showers=500 if options.quick else config.training.evaluate_showers,
                threshold=threshold,
            ),
            store.load("test", max_showers=options.showers, threshold=threshold),
        )


def run_one(
    row: Row, seed: int, options: argparse.Namespace, store: Store, data: Data, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Train and judge one row with one seed."""
    budget = Budget(options.warmup_steps, options.steps)
    overrides = [f"seed={seed}", f"training.warmup_steps={budget.warmup_steps}", *adversarial(budget.steps)]
    config = load_config(options.config, [*overrides, *row.overrides(budget)])
    start = time.process_time()
    if row is PLAIN:
        trained = train_plain(config, budget, data)
    else:
        trained = train_row(row, config, budget, store, data, options.out / f".{row.name}-{seed}")
    minutes = (time.process_time() - start) / 60
    result = {
        "row": row.name,
        "seed": seed,
        "settings": settings,
        "minutes": minutes,
        "steps": trained.steps,
        "selected_step": trained.selected_step,
        "length": trained.length,
        "scores": trained.scores,
    }
    if trained.generator is None:
        return result | {"figures": {}}
    validation = ValidationConfig(classifier_repeats=3 if options.quick else 5)
    generated = generate(trained.generator, data.test, config.threshold)
    samples = make_samples(data.test, generated, validation, config.threshold, SilentReporter())
    found = judge(samples)
    found["time"] = {"value": sampling_time(trained.generator, data.test), "error": None, "floor": None}
    found["minutes"] = {"value": minutes, "error": None, "floor": None}
    found["steps"] = {"value": float(trained.steps), "error": None, "floor": None}
    return result | {"figures": found}


def result_path(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{name}-{seed}.json"


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write a file that is whole or not there."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")
    temporary.replace(path)


def is_done(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether a result is there; those of other settings may not be mixed with it."""
    if not path.exists():
        return False
    if json.loads(path.read_text(encoding="utf-8"))["settings"] != settings:
        msg = f"{path} was made with other settings; remove it or choose another --out"
        raise SystemExit(msg)
    return True


COLUMNS = {
    "low": ("AUC, cells", 3),
    "high": ("AUC, observables", 3),
    "fpd": ("FPD", 3),
    "recall": ("recall", 3),
    "occupancy": ("separation, lit cells", 4),
    "width": ("separation, width", 4),
    "score": ("physics score", 4),
    "time": ("ms a shower", 3),
    "minutes": ("minutes", 1),
    "steps": ("steps", 0),
}


def table(folder: Path) -> str:
    """Markdown table of all results in a folder."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*-*.json"))]
    titles = [title for title, _ in COLUMNS.values()]
    lines = [f"| {' | '.join(['row', 'what differs', 'seeds', *titles])} |", "|" + "---|" * (3 + len(titles))]
    for row in ROWS:
        ours = [result for result in results if result["row"] == row.name]
        if ours:
            cells = [
                cell([result["figures"].get(key) for result in ours], places) for key, (_, places) in COLUMNS.items()
            ]
            lines.append(f"| {' | '.join([f'`{row.name}`', row.note, str(len(ours)), *cells])} |")
    floors = [floor([result["figures"].get(key) for result in results], places) for key, (_, places) in COLUMNS.items()]
    lines.append(f"| {' | '.join(['floor', 'full simulation against itself', '', *floors])} |")
    lengths = sorted({f"`{result['row']}`: {result['length']}" for result in results})
    return "\n".join(
        [
            *lines,
            "",
            "One seed: value ± error of the test showers. Several: mean ± their scatter. Minutes of processor time.",
            f"Lengths: {'; '.join(lengths)}.",
        ]
    )


def cell(found: Sequence[Mapping[str, float | None] | None], places: int) -> str:
    """Value and error of one seed, mean and scatter of several."""
    known = [one for one in found if one is not None]
    if not known:
        return "diverged"
    values = [float(one["value"]) for one in known if one["value"] is not None]
    if not values:
        return "none"
    lost = f" ({len(found) - len(known)} of {len(found)} diverged)" if len(known) < len(found) else ""
    error = known[0]["error"] if len(values) == 1 else float(np.std(values, ddof=1))
    text = f"{np.mean(values):.{places}f}"
    return text + ("" if error is None else f" ± {error:.{places}f}") + lost


def floor(found: Sequence[Mapping[str, float | None] | None], places: int) -> str:
    """Mean of the rows' floors."""
    known = [one["floor"] for one in found if one is not None and one["floor"] is not None]
    return f"{np.mean(known):.{places}f}" if known else ""


def main() -> None:
    options = read_options()
    if options.table:
        print(table(options.out))
        return
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    config = load_config(options.config, [f"run_dir={options.out}"])
    store = Store.open(options.prepared) if options.prepared else prepare(config, PlainReporter())
    data = Data.load(store, config, options)
    free = {"seed", "run_dir", "tracking", "validation", "data"}
    settings = {
        "config": json.loads(config.model_dump_json(exclude=free)),
        "data": store.digest,
        "networks": FORMAT,
        "warmup_steps": options.warmup_steps,
        "steps": options.steps,
        "showers": [len(data.train), len(data.validation), len(data.test)],
    }
    for row, seed in plan(options):
        path = result_path(options.out, row.name, seed)
        if is_done(path, settings):
            print(f"{row.name}, seed {seed}: {path} is there", flush=True)
            continue
        print(f"{row.name}, seed {seed}: {row.note}", flush=True)
        start = time.monotonic()
        result = run_one(row, seed, options, store, data, settings)
        write_result(path, result)
        shown = ", ".join(f"{key} {one['value']:.4g}" for key, one in result["figures"].items())
        print(f"  {shown or 'diverged'}; {(time.monotonic() - start) / 60:.1f} min in all", flush=True)
    print(table(options.out))


def plan(options: argparse.Namespace) -> list[tuple[Row, int]]:
    """Rows and seeds in the order in which they run: every row once, the full one first; then further seeds."""
    chosen = [row for row in (FULL, *ROWS[:-1]) if row.name in options.rows]
    first, *further = options.seeds
    repeated = [row for row in chosen if row in (FULL, PLAIN)]
    return [(row, first) for row in chosen] + [(row, seed) for seed in further for row in repeated]


def read_options() -> argparse.Namespace:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/ecal30_cpu.yaml"))
    parser.add_argument("--out", type=Path, default=Path("runs/fidelity"), help="folder of the results")
    parser.add_argument("--prepared", type=Path, help="prepared store; else the data are prepared into OUT/prepared")
    parser.add_argument("--rows", default=",".join(names), help="out of %(default)s")
    parser.add_argument("--seeds", default="1,2,3", help="of the rows plain and full; the others have the first one")
    parser.add_argument("--warmup-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1200, help="adversarial steps")
    parser.add_argument("--showers", type=int, default=10010, help="test showers")
    parser.add_argument("--quick", action="store_true", help="a few steps and showers, to see that all of it works")
    parser.add_argument("--table", action="store_true", help="print the table of what is there")
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    unknown = sorted(set(options.rows) - set(names))
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(names)}")
    if options.quick:
        options.warmup_steps, options.steps, options.showers = 8, 12, 500
        options.seeds, options.out = options.seeds[:1], options.out / "quick"
    return options


if __name__ == "__main__":
    try:
        main()
    except CaloganError as error:
        raise SystemExit(str(error)) from None
