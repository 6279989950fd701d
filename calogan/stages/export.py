"""A bundle -> its generator as one file for other programs: an ONNX graph, a torch.export archive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calogan.atomic import write_atomically
from calogan.bundle import Bundle, BundleInfo
from calogan.errors import ConfigError, DataError, MissingDependencyError
from calogan.physics.kinematics import Domain
from calogan.physics.particles import network_input
from calogan.progress import Reporter
from calogan.sampler.source import find_bundle

if TYPE_CHECKING:
    from calogan.export import Parity

__all__ = ["Exported", "export"]

BATCHES = (1, 17, 1000)
"""Showers of each comparison: one alone, an odd number, and many."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: The file.
        parity: Its comparisons with the generator in torch, one for each of `BATCHES`.
    """

    path: Path
    parity: tuple[Parity, ...]


def export(
    bundle: str | Path,
    onnx: Path | None = None,
    pt2: Path | None = None,
    *,
    overwrite: bool = False,
    reporter: Reporter,
) -> list[Exported]:
    """Write a bundle's generator as an ONNX graph, as an archive of torch.export, or both.

    Each is made from the weights, run and compared with the generator before its file appears.

    Args:
        bundle: A bundle's folder, the name of a shipped bundle, or one that MLflow holds, as for `load_sampler`.
        onnx: ONNX file to write.
        pt2: torch.export archive to write.
        overwrite: Replace files that exist.
        reporter: Told about what is made.

    Raises:
        ConfigError: No file is asked for, or one twice.
        DataError: A file that exists or cannot be written.
        BundleError: The bundle is missing or damaged, or what was exported differs from the generator.
        MissingDependencyError: torch, onnx or onnxscript is not installed, or MLflow for a bundle that it holds.
        CaloganError: MLflow fails, or what it holds cannot be kept here.
    """
    wanted = {name: path for name, path in (("onnx", onnx), ("pt2", pt2)) if path is not None}
    source = find_bundle(bundle)
    _check_paths(wanted, source, overwrite=overwrite)
    try:
        from calogan.export import check_parity, describe, export_onnx, export_pt2, load_pt2

        generator, metadata, made = source.load_generator(), describe(source.info), []
        for name, path in wanted.items():
            reporter.message(f"exporting {source.path} to {path}")
            content = export_onnx(generator, metadata) if name == "onnx" else export_pt2(generator, metadata)
            program = content if name == "onnx" else load_pt2(content)
            tried = (_draw(source.info, count) for count in BATCHES)
            parity = tuple(check_parity(generator, program, incident) for incident in tried)
            made.append((Exported(path, parity), content))
    except ModuleNotFoundError as error:
        msg = f"calogan export needs {error.name}: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    for exported, content in made:
        try:
            write_atomically(exported.path, content)
        except OSError as error:
            msg = f"{exported.path}: cannot be written: {error.strerror}"
            raise DataError(msg) from error
    return [exported for exported, _ in made]


def _check_paths(wanted: dict[str, Path], bundle: Bundle, *, overwrite: bool) -> None:
    """Refuse outputs that cannot be, before the work is done."""
    if not wanted:
        msg = "calogan export: name a file to write, with --onnx, --pt2 or both"
        raise ConfigError(msg)
    if len({path.resolve() for path in wanted.values()}) < len(wanted):
        msg = f"calogan export: --onnx and --pt2 are the same file, {next(iter(wanted.values()))}"
        raise ConfigError(msg)
    for path in wanted.values():
        _check_path(path, bundle, overwrite=overwrite)


def _check_path(path: Path, bundle: Bundle, *, overwrite: bool) -> None:
    folder = path.parent
    if bundle.path.resolve() in path.resolve().parents:
        reason = f"is in the bundle {bundle.path}, whose files are its own; name a file elsewhere"
    elif path.is_dir():
        reason = "is a folder; name a file in it"
    elif not folder.is_dir():
        reason = f"there is no folder {folder}; make it first"
    elif not os.access(folder, os.W_OK):
        reason = f"the folder {folder} cannot be written to"
    elif path.exists() and not overwrite:
        reason = "exists already; give another name, or --overwrite"
    else:
        return
    msg = f"{path}: {reason}"
    raise DataError(msg)


def _draw(info: BundleInfo, count: int) -> NDArray[np.float32]:
    """Particles as the generator takes them, of each type in turn where it is told them, always the same ones."""
    pdg = np.resize(info.particles or (0,), count)
    incident = info.domain.clip(_draw_in(info.domain, count), pdg)
    return network_input(incident, pdg, info.particles)


def _draw_in(domain: Domain, count: int) -> NDArray[np.float32]:
    """Particles of a domain: uniform in log|p|, angle, azimuth and entry point."""
    rng = np.random.default_rng(count)
    low, high = domain.momentum
    size = low * (high / low) ** rng.random(count)
    polar, azimuth = rng.uniform(0, domain.max_angle, count), rng.uniform(0, 2 * np.pi, count)
    across = size * np.sin(polar)
    entry: Sequence[NDArray[np.float64]] = [rng.uniform(*window, count) for window in (domain.entry_x, domain.entry_y)]
    columns = [across * np.cos(azimuth), across * np.sin(azimuth), size * np.cos(polar), *entry]
    return domain.clip(np.stack(columns, axis=1))
