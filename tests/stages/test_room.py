"""Room for a training: what it estimates is what is written, and what there is no room for is refused at once."""

from __future__ import annotations

import pytest
import torch

from calogan.config import Config
from calogan.data.store import Store
from calogan.errors import TrainingError
from calogan.geometry import Geometry
from calogan.progress import SilentReporter
from calogan.stages.room import Room
from calogan.stages.train import fresh_state
from calogan.training.checkpoint import Checkpoint
from calogan.training.state import Best


@pytest.fixture
def state(ecal30_config, ecal30_store):
    values = ecal30_config.model_dump(mode="json") | {"model": {"symmetries": ["flip_x"]}}
    config = Config.model_validate(values)
    showers = Store.open(config.run_dir / "prepared").load("train", threshold=config.threshold)
    state, _ = fresh_state(config, Geometry.from_dict(config.geometry.to_dict()), showers, torch.device("cpu"))
    return state


def test_the_estimate_is_what_a_training_in_full_swing_writes(state, ecal30_store, tmp_path):
    for optimiser in (state.warmup_optimiser, state.generator_optimiser, state.critic_optimiser):
        for group in optimiser.param_groups:
            for weight in group["params"]:
                weight.grad = torch.zeros_like(weight)
        optimiser.step()
    state.best = Best(0.5, 1, {name: value.clone() for name, value in state.ema.module.state_dict().items()})
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "print", SilentReporter())
    checkpoint.save(state)

    room = Room.of(state.generator, ecal30_store.geometry, [384, 256, 128])

    written = checkpoint.path.stat().st_size
    assert 0.98 * written < room.checkpoint < 1.1 * written + 1e6
    checkpoint.save(state)
    room.require(tmp_path, checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_too_little_room_is_one_line_with_both_figures(tmp_path):
    room = Room(checkpoint=10**18, bundle=10**9)
    checkpoint = Checkpoint(tmp_path / "train" / "checkpoint.pt", "print", SilentReporter())
    with pytest.raises(
        TrainingError, match=r"train: training needs about 3000000001000 MB here, \d+ MB are free; make"
    ):
        room.require(checkpoint.path.parent, checkpoint)


def test_a_limit_that_the_free_space_does_not_show_is_seen(tmp_path, files_of_at_most):
    """As with a quota: the file system has room, but not for this user."""
    room = Room(checkpoint=10**6, bundle=10**6)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "print", SilentReporter())
    with (
        files_of_at_most(10**5),
        pytest.raises(TrainingError, match="4 MB here, and cannot have it: File too large; make"),
    ):
        room.require(tmp_path, checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    checkpoint = Checkpoint(tmp_path / "run" / "train" / "checkpoint.pt", "print", SilentReporter())
    with pytest.raises(TrainingError, match="and cannot have it: Not a directory"):
        Room(1, 1).require(checkpoint.path.parent, checkpoint)
