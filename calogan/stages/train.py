"""Train on prepared showers and write the selected generator as a bundle; needs neither uproot nor MLflow."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel

import calogan
from calogan.bundle import Bundle, BundleInfo, write_bundle
from calogan.config import Config
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.store import Store
from calogan.errors import BundleError, StoreError, TrainingError
from calogan.export import can_export, check_parity, describe, export_onnx
from calogan.geometry import Geometry
from calogan.models.critic import Critic
from calogan.models.encoder import Encoder
from calogan.models.generator import Architecture, Generator, build_generator
from calogan.physics.kinematics import Domain
from calogan.progress import Reporter
from calogan.stages.room import Room
from calogan.tracking import NullTracker
from calogan.training.checkpoint import Checkpoint
from calogan.training.journal import Journal
from calogan.training.local import LocalShowers
from calogan.training.loop import Outlet, Trainer
from calogan.training.selection import PhysicsScore
from calogan.training.state import FORMAT, Best, TrainingState

if TYPE_CHECKING:
    from calogan.tracking import Tracker

__all__ = ["fresh_state", "require_model", "train"]

Weights = tuple[Tensor, ...] | list[Tensor]

SHAPE_RATE = 0.3
"""Learning rate of the cells' shapes relative to that of the other weights of the warm start."""
FITTED = 10_000
"""Training showers, at most, that scales are taken from, spread evenly."""
_SECTIONS = ("seed", "threshold", "condition", "geometry", "domain", "model")


def train(config: Config, reporter: Reporter, tracker: Tracker | None = None) -> Path:
    """Warm start, adversarial training, selection on validation showers, bundle.

    Run again, it goes on from the last checkpoint, and does nothing once the bundle is written.

    Args:
        config: The configuration; `config.run_dir` holds the prepared showers.
        reporter: Progress.
        tracker: Sends ``train/metrics.jsonl``, up to the last checkpoint: what comes after it may be done again.

    Returns:
        Folder of the bundle.

    Raises:
        StoreError: There are no prepared showers, or they are of another geometry.
        TrainingError: The run folder holds a training of another configuration or has too little room, the device is
            not there, nothing is left beside the momenta that are held out, or the state cannot be saved.
        BundleError: The bundle cannot be written.
        TrainingInterrupted: A signal asked to stop; the state is saved.
        DivergenceError: The training diverged; the last good checkpoint is kept.
    """
    store = Store.open(config.run_dir / "prepared")
    geometry = Geometry.from_dict(config.geometry.to_dict())
    if store.geometry != geometry:
        msg = f"{config.run_dir / 'prepared'}: prepared for another geometry; run calogan prepare again"
        raise StoreError(msg)
    fingerprint, tracker = _fingerprint(config, store), tracker or NullTracker()
    target = config.run_dir / "bundle"
    if _is_finished(target, fingerprint):
        reporter.message(f"training: {target} is already there for this configuration and data")
        return target
    folder = config.run_dir / "train"
    checkpoint = Checkpoint(folder / "checkpoint.pt", fingerprint, reporter, tracker.log_training)
    sketch = _build_generator(config, geometry, energy_scale=config.threshold)
    Room.of(sketch, geometry, config.model.critic_hidden).require(folder, checkpoint)
    device = _prepare_device(config)
    showers, validation = _load(config, store)
    reporter.message(f"training on {len(showers)} showers, {device}, {torch.get_num_threads()} threads")
    settings = config.training
    if 0 < settings.steps <= settings.critic_head_start:
        reporter.warning(
            f"training.steps {settings.steps} are not more than critic_head_start {settings.critic_head_start}: "
            "the generator stays as the warm start leaves it"
        )
    torch.manual_seed(config.seed)
    state, local = fresh_state(config, geometry, showers, device)
    if (whole := checkpoint.find()) is not None:
        checkpoint.load(whole, state)
        reporter.message(f"going on from step {state.step} ({whole})")
    journal = Journal(folder / "metrics.jsonl", state.step, reporter)
    tracker.log_training(state.step)

    def record(step: int, figures: dict[str, float]) -> None:
        journal.write(step, figures)

    outlet = Outlet(checkpoint, record, PhysicsScore(validation, config.seed), reporter)
    best = Trainer(state, config.training, local, config.seed, outlet).run()
    journal.finish()
    reporter.message(f"selected step {best.step}, physics score {best.score:.3g} on validation showers")
    made = _provenance(config, store, state, best, fingerprint) | {"training_showers": len(showers)}
    bundle = _write(config, store, state, best, validation, made, reporter)
    reporter.message(f"bundle {bundle.info.id}: {bundle.path}")
    return bundle.path


def require_model(config: Config) -> None:
    """Refuse a model that does not go with the geometry and the condition, before any shower is read.

    Raises:
        ConfigError: Says what does not fit.
    """
    _build_generator(config, Geometry.from_dict(config.geometry.to_dict()), energy_scale=config.threshold)


def _load(config: Config, store: Store) -> tuple[Showers, Showers]:
    """Training and validation showers, without those of the band that is held out."""
    band = config.training.hold_out_momentum
    showers = store.load("train", threshold=config.threshold).without_momenta(band)
    most = config.training.evaluate_showers
    validation = store.load("validation", max_showers=most, threshold=config.threshold).without_momenta(band)
    if band is not None and not (len(showers) and len(validation)):
        msg = (
            f"training.hold_out_momentum {list(band)} leaves {len(showers)} training and {len(validation)} validation "
            "showers; choose a narrower band"
        )
        raise TrainingError(msg)
    return showers, validation


def fresh_state(
    config: Config, geometry: Geometry, showers: Showers, device: torch.device
) -> tuple[TrainingState, LocalShowers]:
    """Networks with the scales of the training showers, their optimisers, and the showers as the networks see them."""
    settings = config.training
    generator = _fresh_generator(config, geometry, showers)
    critic = Critic(config.model.critic_hidden, geometry, generator).to(device)
    generator = generator.to(device)
    incident, cell_energy = (torch.from_numpy(array).to(device) for array in (showers.incident, showers.cell_energy))
    local = LocalShowers.of(generator, incident, cell_energy)
    generator.energy_head.fit_scale(local.layer_energy, local.momentum)
    encoder = Encoder(geometry.n_cells, generator.frame.size + geometry.n_layers, config.model.latent_size).to(device)
    some = _spread_evenly(len(local)).to(device)
    critic.fit_scale(local.u[some], local.features[some])
    averaged = AveragedModel(generator, device=device, multi_avg_fn=_averaging(settings.ema_decay))
    adversarial = [weight for name, weight in generator.named_parameters() if not name.startswith("energy_head.")]
    critic_weights = [weight for weight in critic.parameters() if weight.requires_grad]
    state = TrainingState(
        generator=generator,
        encoder=encoder,
        critic=critic,
        ema=averaged,
        warmup_optimiser=Adam(_warmup_groups(generator, encoder), settings.warmup_learning_rate, betas=(0.9, 0.99)),
        # No momentum in the adversarial phase, as in arXiv:1704.00028.
        generator_optimiser=Adam(adversarial, settings.generator_learning_rate, betas=(0.0, 0.9), fused=True),
        critic_optimiser=Adam(critic_weights, settings.critic_learning_rate, betas=(0.0, 0.9), fused=True),
    )
    return state, local


def _warmup_groups(generator: Generator, encoder: Encoder) -> list[dict[str, Any]]:
    """Parameters and their rates: a step of all slopes of a bright cell at once moves it far."""
    shape = list(generator.shape.parameters())
    others = [weight for name, weight in generator.named_parameters() if not name.startswith("shape.")]
    return [{"params": [*others, *encoder.parameters()]}, {"params": shape, "share": SHAPE_RATE}]


def _averaging(decay: float) -> Callable[[Weights, Weights, Tensor | int], None]:
    """Exponential average that forgets the first steps: its decay is (n + 1) / (n + 10) until it is `decay`."""

    @torch.no_grad()
    def update(averaged: Weights, current: Weights, count: Tensor | int) -> None:
        share = (9.0 / (torch.as_tensor(count) + 10.0)).clamp_min(1.0 - decay)
        for old, new in zip(averaged, current, strict=True):
            old.lerp_(new, share.to(old.dtype))

    return update


def _fresh_generator(config: Config, geometry: Geometry, showers: Showers) -> Generator:
    """Generator whose scale of energies is that of the training showers."""
    lit = showers.cell_energy[_spread_evenly(len(showers)).numpy()]
    lit = lit[lit > 0]
    if len(lit) == 0:
        msg = f"no training shower has a cell above the threshold of {config.threshold} GeV; check threshold and units"
        raise TrainingError(msg)
    return _build_generator(config, geometry, float(np.median(lit - config.threshold)))


def _spread_evenly(count: int) -> Tensor:
    """Numbers of the showers that scales are taken from: files may be ordered by momentum."""
    return torch.arange(0, count, max(1, math.ceil(count / FITTED)))


def _build_generator(config: Config, geometry: Geometry, energy_scale: float) -> Generator:
    model = config.model
    return build_generator(
        Architecture(model.latent_size, tuple(model.generator_hidden), tuple(model.symmetries)),
        geometry,
        Domain.from_config(config.domain),
        config.condition,
        config.threshold,
        energy_scale,
    )


def _write(
    config: Config,
    store: Store,
    state: TrainingState,
    best: Best,
    validation: Showers,
    provenance: dict[str, Any],
    reporter: Reporter,
) -> Bundle:
    generator = state.generator.cpu().eval()
    generator.load_state_dict(best.weights)
    info = BundleInfo(
        id="",
        calogan_version=calogan.__version__,
        condition=tuple(config.condition),
        geometry=store.geometry,
        domain=Domain.from_config(config.domain),
        threshold=config.threshold,
        schema=Schema.from_source(config.data.sources[0]),
        noise_size=generator.noise_size,
        architecture=generator.architecture.to_dict(),
        provenance=provenance,
        files={},
    )
    graph = _export(generator, info, validation, reporter)
    weights = {name: value.numpy() for name, value in generator.state_dict().items()}
    return write_bundle(config.run_dir / "bundle", info, weights, graph)


def _export(generator: Generator, info: BundleInfo, validation: Showers, reporter: Reporter) -> bytes | None:
    """The checked graph; none, with a warning, where it cannot be made: the training is not lost for it."""
    if not can_export():
        reporter.warning("onnx and onnxscript are not installed: the bundle has no ONNX graph and samples with torch")
        return None
    graph = export_onnx(generator, describe(info))
    try:
        check_parity(generator, graph, validation.incident[:1000])
    except BundleError as error:
        reporter.warning(f"{error}: the bundle has no ONNX graph and samples with torch")
        return None
    return graph


def _provenance(config: Config, store: Store, state: TrainingState, best: Best, fingerprint: str) -> dict[str, Any]:
    return {
        "study": config.name,
        "fingerprint": fingerprint,
        "config_digest": config.digest(),
        "data_digest": store.digest,
        "seed": config.seed,
        "hold_out_momentum": list(band) if (band := config.training.hold_out_momentum) else None,
        "pdg": sorted(store.manifest.pdg_counts()),
        "steps": state.step,
        "complete": state.step == config.training.warmup_steps + config.training.steps,
        "selected_step": best.step,
        "physics_score": best.score,
        "minutes": round(state.elapsed / 60, 2),
        "torch": torch.__version__,
    }


def _fingerprint(config: Config, store: Store) -> str:
    """Hash of all that must be the same for a checkpoint or a bundle to be this training's, its networks' kind too."""
    # without what is null, so that a setting that a later version adds, and that is not used, changes nothing
    training = config.training.model_dump_json(exclude=set(config.training.FREE), exclude_none=True)
    text = "\n".join([str(FORMAT), config.digest(*_SECTIONS), training, store.digest])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_finished(target: Path, fingerprint: str) -> bool:
    try:
        provenance = Bundle.load(target).info.provenance
    except BundleError:
        return False
    return bool(provenance.get("fingerprint") == fingerprint and provenance.get("complete"))


def _prepare_device(config: Config) -> torch.device:
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    name = config.training.device
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        msg = f"training.device is {name!r}, which is not there: {str(error).splitlines()[0]}; use auto or cpu"
        raise TrainingError(msg) from error
    return device
