"""A small training as one of several processes: python worker.py OUT JOB, described by the environment as by torchrun.

Importable by path as well: `train` is what one process does.
"""

import json
import math
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from calogan.config import TrainingConfig
from calogan.errors import TrainingInterrupted
from calogan.geometry import Geometry, Layer
from calogan.models.critic import Critic
from calogan.models.encoder import Encoder
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.training.checkpoint import Checkpoint
from calogan.training.distributed import process_group
from calogan.training.local import LocalShowers
from calogan.training.loop import Outlet, Trainer
from calogan.training.state import TrainingState

SETTINGS = {
    "batch_size": 32,
    "warmup_steps": 25,
    "steps": 25,
    "critic_steps": 2,
    "critic_head_start": 0,
    "log_every": 5,
    "evaluate_every": 25,
    "checkpoint_every": 1000,
    "device": "cpu",
}
EDGES = tuple(np.linspace(-40, 40, 7))
GEOMETRY = Geometry((Layer(EDGES, EDGES, depth=50.0),))


def make_showers(count=80):
    rng = torch.Generator().manual_seed(0)
    momentum = 1 + 60 * torch.rand(count, generator=rng)
    incident = 0.2 * torch.randn(count, 5, generator=rng)
    incident[:, 2] = momentum
    incident[:, 3:] *= 50.0
    shape = torch.softmax(torch.randn(count, 36, generator=rng), dim=1)
    energy = 0.17 * momentum.unsqueeze(1) * shape
    return incident, torch.where(energy > 0.05, energy, 0.0)


def make_state(seed, *, double):
    torch.manual_seed(seed)
    incident, cell_energy = make_showers()
    domain = Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (-20.0, 20.0))
    condition = ("momentum", "direction", "entry_point")
    generator = build_generator(Architecture(3, (16, 16), ("flip_x",)), GEOMETRY, domain, condition, 0.05, 0.05)
    showers = LocalShowers.of(generator, incident, cell_energy)
    generator.energy_head.fit_scale(showers.layer_energy, showers.momentum)
    encoder = Encoder(36, generator.frame.size + 1, 3)
    critic = Critic((16,), GEOMETRY, generator)
    critic.fit_scale(showers.u, showers.features)
    if double:
        showers = LocalShowers(*(values.double() for values in vars(showers).values()))
        for network in (generator, encoder, critic):
            network.double()
    weights = [weight for name, weight in generator.named_parameters() if not name.startswith("energy_head")]
    state = TrainingState(
        generator,
        encoder,
        critic,
        AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(0.9)),
        Adam([*generator.parameters(), *encoder.parameters()], 1e-3),
        Adam(weights, 1e-4, betas=(0.0, 0.9)),
        Adam([weight for weight in critic.parameters() if weight.requires_grad], 1e-4, betas=(0.0, 0.9)),
    )
    return state, showers


class Lines(SilentReporter):
    def __init__(self):
        self.warned = []

    def warning(self, text):
        self.warned.append(text)


def train(folder, group, *, double=False, signal_at=None, **settings):
    """Train, on from the checkpoint if there is one; only the first process' numbers of the start are used.

    The last process gets a signal after so many steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state, showers = make_state(group.rank, double=double)
    records, lines = [], Lines()
    checkpoint = Checkpoint(folder / "checkpoint.pt", "print", lines)
    if group.leads and (whole := checkpoint.find()) is not None:
        checkpoint.load(whole, state)
    state.share(group)
    settings = TrainingConfig(**SETTINGS | settings)
    outlet = Outlet(
        checkpoint,
        lambda step, figures: records.append((step, figures)),
        lambda generator: float(generator.cell_mean.bias.detach().abs().sum()),
        lines,
    )
    trainer = Trainer(state, settings, showers, 5, outlet, group)
    step = trainer._step

    def signalled_step():
        step()
        if state.step + 1 == signal_at and group.rank == group.size - 1:
            os.kill(os.getpid(), signal.SIGUSR1)

    trainer._step = signalled_step
    try:
        trainer.run()
    except TrainingInterrupted as error:
        lines.warned.append(str(error))
    networks = (state.generator, state.critic, state.encoder, state.ema)
    weights = [value.detach().double() for network in networks for value in network.state_dict().values()]
    return {"weights": weights, "records": records, "step": state.step, "warned": lines.warned}


if __name__ == "__main__":
    out, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
    with process_group() as group:
        for name, options in jobs.items():
            result = train(out / name, group, **options)
            torch.save(result, out / name / f"rank{group.rank}.pt")
