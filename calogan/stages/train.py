"""Train on prepared showers and write the selected generator as a bundle; needs neither uproot nor MLflow."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel

import calogan
from calogan.bundle import Bundle, BundleInfo, write_bundle
from calogan.config import Config, TrainingConfig
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.store import Store
from calogan.data.stored import ShowerRows, StoredShowers
from calogan.errors import BundleError, StoreError, TrainingError
from calogan.export import can_export, check_parity, describe, export_onnx
from calogan.geometry import Geometry
from calogan.models.critic import Critic
from calogan.models.encoder import Encoder
from calogan.models.generator import Architecture, Generator, build_generator
from calogan.physics.kinematics import Domain
from calogan.physics.particles import network_input
from calogan.progress import Reporter
from calogan.stages.room import Room
from calogan.tracking import NullTracker
from calogan.training.checkpoint import Checkpoint
from calogan.training.distributed import Group
from calogan.training.journal import Journal
from calogan.training.local import CHUNK, LocalShowers, ShowerSource
from calogan.training.loop import MOST_CONTEXTS, Outlet, Trainer
from calogan.training.memory import Keeping, keep_showers
from calogan.training.selection import PhysicsScore
from calogan.training.state import FORMAT, Best, TrainingState
from calogan.training.stream import StreamedShowers

if TYPE_CHECKING:
    from calogan.tracking import Tracker

__all__ = ["fresh_state", "require_model", "train"]

Weights = tuple[Tensor, ...] | list[Tensor]

SHAPE_RATE = 0.3
"""Learning rate of the cells' shapes relative to that of the other weights of the warm start."""
FITTED = 10_000
"""Training showers, at most, that scales are taken from, spread evenly."""
FITTED_ENERGIES = 250_000
"""The same for those of the layer energies."""
_SECTIONS = ("seed", "threshold", "condition", "geometry", "domain", "model")


def train(
    config: Config,
    reporter: Reporter,
    tracker: Tracker | None = None,
    *,
    group: Group | None = None,
    watch: Callable[[int, Mapping[str, float]], None] | None = None,
) -> Path:
    """Warm start, adversarial training, selection on validation showers, bundle.

    Run again, it goes on from the last checkpoint, and does nothing once the bundle is written.

    Args:
        config: The configuration; `config.run_dir` holds the prepared showers.
        reporter: Progress.
        tracker: Sends ``train/metrics.jsonl``, up to the last checkpoint: what comes after it may be done again.
        group: Processes that call this together; the first of them alone writes.
        watch: Called with the step and its figures after they are recorded.

    Returns:
        Folder of the bundle.

    Raises:
        StoreError: There are no prepared showers, or they are of another geometry.
        TrainingError: The run folder holds a training of another configuration or has too little room, the device is
            not there, nothing is left beside the momenta that are held out or of a particle type, or the state cannot
            be saved.
        BundleError: The bundle cannot be written.
        TrainingInterrupted: A signal asked to stop; the state is saved.
        DivergenceError: The training diverged; the last good checkpoint is kept.
    """
    group, tracker = group or Group(), tracker or NullTracker()
    store = group.together(lambda: _open(config))
    fingerprint = _fingerprint(config, store)
    target = config.run_dir / "bundle"
    if group.lead(lambda: _is_finished(target, fingerprint)):
        reporter.message(f"training: {target} is already there for this configuration and data")
        return target
    folder = config.run_dir / "train"
    checkpoint = Checkpoint(folder / "checkpoint.pt", fingerprint, reporter, tracker.log_training)
    particles = _told_apart(config, store.manifest.pdg_counts())
    group.lead(lambda: _require_room(config, store.geometry, particles, checkpoint))
    device = group.together(lambda: _prepare_device(config, group))
    showers, validation = group.together(lambda: _load(config, store))
    keeping = _keep(config, store.geometry, showers, device, group)
    _announce(config.training, len(showers), keeping, device, group, reporter)
    torch.manual_seed(config.seed)
    state, source = group.together(
        lambda: fresh_state(config, store.geometry, showers, device, section=keeping.section)
    )
    group.lead(lambda: _take_up(state, checkpoint, reporter))
    state.share(group)
    journal = group.together(lambda: Journal(folder / "metrics.jsonl", state.step, reporter) if group.leads else None)
    tracker.log_training(state.step)

    def record(step: int, figures: dict[str, float]) -> None:
        if journal is not None:
            journal.write(step, figures)
        if watch is not None:
            watch(step, figures)

    outlet = Outlet(checkpoint, record, PhysicsScore(validation, config.seed), reporter)
    balance = group.together(lambda: showers.pdg) if config.training.balance_particles else None
    best = group.together(lambda: Trainer(state, config.training, source, config.seed, outlet, group, balance)).run()
    group.lead(lambda: None if journal is None else journal.finish())
    reporter.message(f"selected step {best.step}, physics score {best.score:.3g} on validation showers")
    made = _provenance(config, store, state, best, fingerprint) | {
        "training_showers": len(showers),
        "processes": group.size,
    }
    name = group.lead(lambda: _write(config, store, state, best, validation, made, reporter).info.id)
    reporter.message(f"bundle {name}: {target}")
    return target


def require_model(config: Config) -> None:
    """Refuse a model that does not go with the geometry and the condition, before any shower is read.

    Raises:
        ConfigError: Says what does not fit.
    """
    _build_generator(config, Geometry.from_dict(config.geometry.to_dict()), energy_scale=config.threshold)


def _open(config: Config) -> Store:
    store = Store.open(config.run_dir / "prepared")
    if store.geometry != Geometry.from_dict(config.geometry.to_dict()):
        msg = f"{config.run_dir / 'prepared'}: prepared for another geometry; run calogan prepare again"
        raise StoreError(msg)
    return store


def _announce(
    settings: TrainingConfig,
    showers: int,
    keeping: Keeping,
    device: torch.device,
    group: Group,
    reporter: Reporter,
) -> None:
    """Say what is trained on, and what is not as it seems."""
    processes = f"{group.size} processes, " if group.size > 1 else ""
    reporter.message(
        f"training on {showers} showers, {processes}{device}, {torch.get_num_threads()} threads; "
        f"showers {keeping.reason}"
    )
    if 0 < settings.steps <= settings.critic_head_start:
        reporter.warning(
            f"training.steps {settings.steps} are not more than critic_head_start {settings.critic_head_start}: "
            "the generator stays as the warm start leaves it"
        )
    if settings.precision == "tf32" and device.type != "cuda":
        reporter.warning("training.precision is tf32, which only GPUs have: computing in float32")


def _require_room(config: Config, geometry: Geometry, particles: tuple[int, ...], checkpoint: Checkpoint) -> None:
    sketch = _build_generator(config, geometry, energy_scale=config.threshold, particles=particles)
    Room.of(sketch, geometry, config.model.critic_hidden).require(checkpoint.path.parent, checkpoint)


def _take_up(state: TrainingState, checkpoint: Checkpoint, reporter: Reporter) -> None:
    """Go on from the last checkpoint if there is one."""
    if (whole := checkpoint.find()) is not None:
        checkpoint.load(whole, state)
        reporter.message(f"going on from step {state.step} ({whole})")


def _load(config: Config, store: Store) -> tuple[StoredShowers, Showers]:
    """Training showers, still on disk, and validation showers, without those of the band that is held out."""
    band = config.training.hold_out_momentum
    showers = StoredShowers(store, "train", threshold=config.threshold, without=band)
    most = config.training.evaluate_showers
    validation = store.load("validation", max_showers=most, threshold=config.threshold).without_momenta(band)
    if band is not None and not (len(showers) and len(validation)):
        msg = (
            f"training.hold_out_momentum {list(band)} leaves {len(showers)} training and {len(validation)} validation "
            "showers; choose a narrower band"
        )
        raise TrainingError(msg)
    for pdg in _told_apart(config, store.manifest.pdg_counts()):
        if not (showers.pdg == pdg).any():
            msg = f"no training shower is of pdg {pdg}, which other showers are: add showers, or leave out their files"
            raise TrainingError(msg)
    return showers, validation


def _told_apart(config: Config, pdg: Iterable[int]) -> tuple[int, ...]:
    """PDG ids of the types that the networks are told, in ascending order; none if the type is no condition."""
    return tuple(sorted(set(pdg))) if "particle" in config.condition else ()


def _keep(config: Config, geometry: Geometry, showers: StoredShowers, device: torch.device, group: Group) -> Keeping:
    # what the critic expects of a cell is kept where all showers are few: two numbers more
    few = len(showers) * geometry.n_cells <= MOST_CONTEXTS
    numbers = geometry.n_cells * (3 if few else 1)
    return keep_showers(config.training, len(showers), numbers, device, sharers=group.local_size)


def fresh_state(
    config: Config, geometry: Geometry, showers: ShowerRows, device: torch.device, *, section: int | None = None
) -> tuple[TrainingState, ShowerSource]:
    """Networks with the scales of the training showers, their optimisers, and the showers as the networks see them.

    Args:
        config: The configuration.
        geometry: Cells of a shower.
        showers: Training showers, cut at the threshold.
        device: Where the networks are wanted.
        section: Showers that are read at a time, to stream them from disk; None brings all to the device.
    """
    settings = config.training
    generator = _fresh_generator(config, geometry, showers)
    critic = Critic(config.model.critic_hidden, geometry, generator).to(device)
    generator = generator.to(device)
    source: ShowerSource = (
        LocalShowers.load(generator, showers, device)
        if section is None
        else StreamedShowers(generator, showers, device, section)
    )
    _fit_energies(generator, source)
    encoder = Encoder(geometry.n_cells, generator.frame.size + geometry.n_layers, config.model.latent_size).to(device)
    some = source[_spread_evenly(len(source), FITTED).to(source.index_device)]
    critic.fit_scale(some.u, some.features)
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
    return state, source


def _fit_energies(generator: Generator, source: ShowerSource) -> None:
    index = _spread_evenly(len(source), FITTED_ENERGIES).to(source.index_device)
    pieces = [(some.layer_energy, some.momentum) for part in torch.split(index, CHUNK) for some in [source[part]]]
    layer_energy, momentum = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    generator.energy_head.fit_scale(layer_energy, momentum)


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


def _fresh_generator(config: Config, geometry: Geometry, showers: ShowerRows) -> Generator:
    """Generator whose scale of energies is that of the training showers."""
    lit = showers[_spread_evenly(len(showers), FITTED).numpy()].cell_energy
    lit = lit[lit > 0]
    if len(lit) == 0:
        msg = f"no training shower has a cell above the threshold of {config.threshold} GeV; check threshold and units"
        raise TrainingError(msg)
    particles = _told_apart(config, showers.pdg.tolist())
    return _build_generator(config, geometry, float(np.median(lit - config.threshold)), particles)


def _spread_evenly(count: int, most: int) -> Tensor:
    """Numbers of the showers that scales are taken from: files may be ordered by momentum."""
    return torch.arange(0, count, max(1, math.ceil(count / most)))


def _build_generator(
    config: Config, geometry: Geometry, energy_scale: float, particles: tuple[int, ...] = ()
) -> Generator:
    model = config.model
    return build_generator(
        Architecture(model.latent_size, tuple(model.generator_hidden), tuple(model.symmetries), particles),
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
    schema = Schema.from_source(config.data.sources[0]).written(store.geometry)
    info = BundleInfo(
        id="",
        calogan_version=calogan.__version__,
        condition=tuple(config.condition),
        geometry=store.geometry,
        domain=Domain.from_config(config.domain),
        threshold=config.threshold,
        # that the files of the first source are all of one type says nothing of others
        schema=replace(schema, particle_id=None) if generator.architecture.particles else schema,
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
        some = validation[_spread_evenly(len(validation), 1000).numpy()]
        check_parity(generator, graph, network_input(some.incident, some.pdg, info.particles))
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
    # without what is null or new and at its default, so that a setting that a later version adds, and that is not used,
    # changes nothing
    training, usual = config.training, TrainingConfig()
    unused = {name for name in training.LATER if getattr(training, name) == getattr(usual, name)}
    training_text = training.model_dump_json(exclude={*training.FREE, *unused}, exclude_none=True)
    text = "\n".join([str(FORMAT), config.digest(*_SECTIONS), training_text, store.digest])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_finished(target: Path, fingerprint: str) -> bool:
    try:
        provenance = Bundle.load(target).info.provenance
    except BundleError:
        return False
    return bool(provenance.get("fingerprint") == fingerprint and provenance.get("complete"))


def _prepare_device(config: Config, group: Group) -> torch.device:
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    return group.device(config.training.device)
