import math
import os
import signal
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from calogan.config import TrainingConfig
from calogan.errors import DivergenceError, TrainingError, TrainingInterrupted
from calogan.geometry import Geometry, Layer
from calogan.models.critic import Critic
from calogan.models.encoder import Encoder
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.training import loop
from calogan.training.checkpoint import Checkpoint
from calogan.training.local import LocalShowers
from calogan.training.loop import Outlet, Trainer
from calogan.training.objectives import gradient_penalty
from calogan.training.signals import stop_on_signals
from calogan.training.state import TrainingState

GEOMETRY = Geometry((Layer(tuple(np.linspace(-40, 40, 7)), tuple(np.linspace(-40, 40, 7)), depth=50.0),))
SETTINGS = TrainingConfig(
    batch_size=16,
    warmup_steps=6,
    steps=6,
    critic_steps=2,
    critic_head_start=1,
    log_every=2,
    evaluate_every=3,
    checkpoint_every=5,
    device="cpu",
)


def make_showers():
    rng = torch.Generator().manual_seed(0)
    momentum = 1 + 60 * torch.rand(70, generator=rng)
    incident = 0.2 * torch.randn(70, 5, generator=rng)
    incident[:, 2] = momentum
    incident[:, 3:] *= 50.0
    shape = torch.softmax(torch.randn(70, 36, generator=rng), dim=1)
    energy = 0.17 * momentum.unsqueeze(1) * shape
    return incident, torch.where(energy > 0.05, energy, 0.0)


class Run:
    """One training in a folder, taken up as often as wanted."""

    def __init__(self, folder, score=None, settings=SETTINGS):
        self.folder, self.settings, self.records = folder, settings, []
        self._score = score or (lambda generator: float(generator.cell_mean.bias.detach().abs().sum()))
        torch.manual_seed(1)
        incident, cell_energy = make_showers()
        domain = Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (-20.0, 20.0))
        condition = ("momentum", "direction", "entry_point")
        architecture = Architecture(3, (16, 16), ("flip_x",))
        generator = build_generator(architecture, GEOMETRY, domain, condition, 0.05, 0.05)
        showers = LocalShowers.of(generator, incident, cell_energy)
        generator.energy_head.fit_scale(showers.layer_energy, showers.momentum)
        encoder = Encoder(36, generator.frame.size + 1, 3)
        critic = Critic((16,), GEOMETRY, generator)
        critic.fit_scale(showers.u, showers.features)
        weights = [weight for name, weight in generator.named_parameters() if not name.startswith("energy_head")]
        self.state = TrainingState(
            generator,
            encoder,
            critic,
            AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.9)),
            Adam([*generator.parameters(), *encoder.parameters()], 1e-3),
            Adam(weights, 1e-4, betas=(0.0, 0.9)),
            Adam([weight for weight in critic.parameters() if weight.requires_grad], 1e-4, betas=(0.0, 0.9)),
        )
        reporter, self.warned = SilentReporter(), []
        reporter.warning = self.warned.append
        self.checkpoint = Checkpoint(folder / "checkpoint.pt", "print", reporter)
        outlet = Outlet(self.checkpoint, self.record, self.score, reporter)
        self.trainer = Trainer(self.state, settings, showers, 5, outlet)

    def record(self, step, figures):
        self.records.append((step, figures))

    def score(self, generator):
        return self._score(generator)


def resumed(folder, **options):
    run = Run(folder, **options)
    run.checkpoint.load(run.checkpoint.find(), run.state)
    return run


def same(one, two):
    return all(torch.equal(value, two[name]) for name, value in one.items()) and one.keys() == two.keys()


@pytest.fixture
def straight(tmp_path):
    run = Run(tmp_path)
    run.best = run.trainer.run()
    return run


class StopError(Exception):
    """Stands for a kill: nothing after it runs."""


@pytest.mark.parametrize("killed_at", [6, 7, 11])
def test_killed_and_resumed_ends_with_the_same_bits(tmp_path, straight, killed_at):
    folder = tmp_path / "killed"
    folder.mkdir()
    first = Run(folder)
    original = first.trainer._step

    def kill():
        if first.state.step == killed_at:
            raise StopError
        original()

    first.trainer._step = kill
    with pytest.raises(StopError):
        first.trainer.run()
    second = resumed(folder)
    assert second.state.step == killed_at // 5 * 5
    best = second.trainer.run()
    assert same(second.state.generator.state_dict(), straight.state.generator.state_dict())
    assert same(second.state.critic.state_dict(), straight.state.critic.state_dict())
    assert same(second.state.ema.state_dict(), straight.state.ema.state_dict())
    assert same(best.weights, straight.best.weights)
    assert (best.step, best.score) == (straight.best.step, straight.best.score)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signal_saves_and_says_how_to_go_on(tmp_path, straight, number):
    folder = tmp_path / "stopped"
    folder.mkdir()
    first = Run(folder, score=lambda generator: os.kill(os.getpid(), number) or straight.score(generator))
    with pytest.raises(TrainingInterrupted, match=f"{number.name} at step 6; run the same command"):
        first.trainer.run()
    second = resumed(folder)
    assert second.state.step == 6
    second.trainer.run()
    assert same(second.state.generator.state_dict(), straight.state.generator.state_dict())


def test_the_record_goes_on_in_the_middle_of_an_interval(tmp_path, straight):
    """A signal stops a training between two lines: the next one is of all its steps."""
    folder = tmp_path / "stopped"
    folder.mkdir()
    first = Run(folder)
    original = first.trainer._step
    first.trainer._step = lambda: original() or (first.state.step == 8 and signal.raise_signal(signal.SIGUSR1))
    with pytest.raises(TrainingInterrupted, match="SIGUSR1 at step 9"):
        first.trainer.run()
    second = resumed(folder)
    second.trainer.run()
    assert timeless(first.records + second.records) == timeless(straight.records)


def test_a_disk_that_is_full_for_a_while_changes_no_result(tmp_path, straight, files_of_at_most):
    folder = tmp_path / "full"
    folder.mkdir()
    run = Run(folder)
    with ExitStack() as limit:
        original = run.trainer._step

        def step():
            if run.state.step == 4:
                limit.enter_context(files_of_at_most(1000))
            elif run.state.step == 7:
                limit.close()
            original()

        run.trainer._step = step
        best = run.trainer.run()
    assert [line.count("the state of step 5 cannot be saved (File too large)") for line in run.warned] == [1]
    assert same(best.weights, straight.best.weights)
    assert resumed(folder).state.step == 12


def test_a_disk_that_is_full_at_the_end_is_told(tmp_path, files_of_at_most):
    with files_of_at_most(1000), pytest.raises(TrainingError, match="the state of step 12 cannot be saved"):
        Run(tmp_path).trainer.run()
    assert list(tmp_path.iterdir()) == []


def timeless(records):
    return [
        (step, {name: value for name, value in figures.items() if not name.startswith(("time/", "memory/"))})
        for step, figures in records
    ]


def test_a_request_in_the_last_step_is_heard_once_the_state_is_saved(tmp_path):
    run = Run(tmp_path)
    run._score = lambda generator: os.kill(os.getpid(), signal.SIGUSR1) or 1.0
    handler = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        run.trainer._exchange.answer = lambda: [False] * 4  # of several processes the answer comes a step late
        run.trainer.run()
    finally:
        signal.signal(signal.SIGUSR1, handler)
    assert torch.load(run.checkpoint.path, weights_only=True)["step"] == run.state.step == run.trainer.total_steps


def test_a_request_that_nobody_obeyed_is_left_to_the_handler_before():
    with pytest.raises(KeyboardInterrupt), stop_on_signals():
        signal.raise_signal(signal.SIGINT)


def test_what_the_critic_expects_is_the_same_whether_it_is_kept_or_not(tmp_path, straight, monkeypatch):
    monkeypatch.setattr(loop, "MOST_CONTEXTS", 0)
    other = Run(tmp_path)
    other.trainer.run()
    for name, weight in straight.state.critic.named_parameters():
        torch.testing.assert_close(other.state.critic.get_parameter(name), weight, rtol=1e-3, atol=1e-5)


def test_both_phases_change_what_they_should(tmp_path, straight):
    fresh, warm = Run(tmp_path / "unused"), Run(tmp_path, settings=SETTINGS.model_copy(update={"steps": 0}))
    warm.trainer.run()
    networks = fresh.state.generator, warm.state.ema.module, straight.state.generator
    start, middle, end = (dict(network.named_parameters()) for network in networks)
    for name in start:
        head = name.startswith("energy_head.")
        moved = not torch.equal(middle[name], end[name])
        assert moved is not head, f"{name}: the adversarial phase trains the averaged weights, all but the energy head"
    assert not torch.equal(start["energy_head.mean.weight"], middle["energy_head.mean.weight"])
    assert same(fresh.state.critic.state_dict(), warm.state.critic.state_dict())
    assert not same(fresh.state.critic.state_dict(), straight.state.critic.state_dict())
    baseline = dict(straight.state.critic.baseline.named_parameters())
    assert all(torch.equal(baseline[name], weight) for name, weight in middle.items()), "what the warm start expects"


def test_half_of_a_batch_is_in_the_penalty(tmp_path, monkeypatch):
    seen = []

    def penalty(critic, reference, generated, mixing):
        seen.append((len(reference), len(generated), len(mixing)))
        return critic(reference).sum() * 0.0

    monkeypatch.setattr(loop, "gradient_penalty", penalty)
    Run(tmp_path).trainer.run()
    assert set(seen) == {(8, 8, 8)}


def test_bfloat16_trains_nearly_as_float32_does(tmp_path, straight, monkeypatch):
    types = []

    def penalty(critic, reference, generated, mixing):
        value = gradient_penalty(critic, reference, generated, mixing)
        types.append((value.dtype, torch.is_autocast_enabled("cpu")))
        return value

    monkeypatch.setattr(loop, "gradient_penalty", penalty)
    run = Run(tmp_path, settings=SETTINGS.model_copy(update={"precision": "bf16"}))
    run.trainer.run()
    assert set(types) == {(torch.float32, False)}
    assert run.state.is_finite()
    assert not same(run.state.generator.state_dict(), straight.state.generator.state_dict())
    for (step, rounded), (other_step, exact) in zip(run.records, straight.records, strict=True):
        assert step == other_step
        for name in rounded:
            if name.startswith("warmup/") or name == "critic/distance":
                assert rounded[name] == pytest.approx(exact[name], rel=0.05, abs=0.05)


def test_records_are_at_the_intervals(straight):
    assert [step for step, figures in straight.records if "time/steps_per_s" in figures] == [2, 4, 6, 8, 10, 12]
    assert [step for step, figures in straight.records if "validation/physics_score" in figures] == [6, 9, 12]


def test_best_is_the_lowest_score(tmp_path):
    scores = iter([3.0, math.nan, 2.0])
    best = Run(tmp_path, score=lambda _generator: next(scores)).trainer.run()
    assert (best.score, best.step) == (2.0, 12)


def test_divergence_keeps_the_last_good_checkpoint(tmp_path):
    run = Run(tmp_path)
    original = run.trainer._critic_step

    def poison(showers, context):
        original(showers, context)
        if run.state.step == 8:
            with torch.no_grad():
                run.state.critic.cell_branch[-1].bias.fill_(math.nan)

    run.trainer._critic_step = poison
    with pytest.raises(DivergenceError, match=r"diverged at step 10.*last good checkpoint is kept"):
        run.trainer.run()
    kept = resumed(tmp_path)
    assert kept.state.step == 5
    assert kept.state.is_finite()


def test_wall_clock_limit_ends_with_a_selected_generator(tmp_path):
    run = Run(tmp_path, settings=SETTINGS.model_copy(update={"max_minutes": 1e-9}))
    best = run.trainer.run()
    assert best.step == run.state.step < 12
