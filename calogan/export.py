"""The generator and the weigher as programs of their own: preprocessing and threshold inside, noise an input."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calogan.bundle import BundleInfo
from calogan.errors import BundleError
from calogan.models.generator import Generator
from calogan.noise import standard_normal
from calogan.training.weigher import Weigher

__all__ = [
    "Parity",
    "Program",
    "can_export",
    "check_parity",
    "compare_cells",
    "describe",
    "export_onnx",
    "export_pt2",
    "export_weigher",
    "load_pt2",
]

Program = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Cell energies [GeV], (showers, cells), from incident particles, (showers, 5 or 6), and noise."""

FORMAT = 1
"""Of the metadata; a reader refuses another."""
METADATA = "calogan.json"
"""Where a torch.export archive keeps them."""
_TRACES = {"stack_trace", "from_node", "nn_module_stack"}  # paths of this machine
_AT_THRESHOLD = 1e-4
"""Relative distance from the threshold within which a cell may be lit or dark by rounding."""
_FEW = 1e-5
"""Part of all cells that may differ."""
_PARTICLE = torch.tensor([[0.1, 0.1, 10.0, 0.0, 0.0]])
"""Any particle, to trace with."""
_INPUTS, _OUTPUTS = ("incident", "noise"), ("cell_energy",)


@dataclass(frozen=True)
class Parity:
    """What came of a comparison of an exported program with its generator.

    Attributes:
        showers: Showers compared.
        cells: Cells compared, dark ones included.
        difference: Largest relative difference of a cell that is lit in both and not within 1e-4 of the threshold.
        apart: Such cells whose relative difference is above the tolerance.
        flipped: Cells that are lit in one alone.
    """

    showers: int
    cells: int
    difference: float
    apart: int
    flipped: int


def can_export() -> bool:
    """Whether the packages that torch's exporter needs are installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript"))


def describe(info: BundleInfo) -> dict[str, str]:
    """What a user of an exported program has to know, as ONNX metadata.

    Args:
        info: The bundle's description; while the bundle is being made its id is empty, and left out.

    Returns:
        Values by key; all but ``version``, ``bundle``, ``threshold`` and the counts are JSON.
    """
    values = {
        "format": str(FORMAT),
        "version": info.calogan_version,
        "condition": json.dumps(info.condition),
        "domain": json.dumps(info.domain.to_dict()),
        "threshold": repr(info.threshold),
        "noise_size": str(info.noise_size),
        "cells": str(info.geometry.n_cells),
        "geometry": json.dumps(info.geometry.to_dict()),
        "inputs": json.dumps({_INPUTS[0]: _columns(info), _INPUTS[1]: "standard normal"}),
        "outputs": json.dumps(_OUTPUTS),
        "units": json.dumps({"momentum": "GeV", "angle": "radian", "length": "mm", "energy": "GeV"}),
    }
    if pdg := info.provenance.get("pdg"):
        values["pdg"] = json.dumps(pdg)
    if info.particles:
        values["particles"] = json.dumps(info.particles)
    if info.id:
        values["bundle"] = info.id
    return {f"calogan.{key}": value for key, value in values.items()}


def _columns(info: BundleInfo) -> list[str]:
    """Columns of `incident`; the last one, where it is there, is the place of the PDG id in `info.particles`."""
    return ["px", "py", "pz", "x", "y", *(["particle"] if info.particles else [])]


def export_onnx(generator: Generator, metadata: Mapping[str, str] | None = None) -> bytes:
    """Serialise a generator for ONNX Runtime.

    The graph takes `incident` (showers, 5) [GeV, mm] and `noise` (showers, noise_size), both float32, and gives
    `cell_energy` (showers, cells) [GeV]. Where the generator tells particle types apart, a sixth column of `incident`
    is the number of the type, counted from 0 in the order of `Architecture.particles`. The graph does not say where in
    the source an operation comes from.

    Args:
        generator: The generator, on the CPU.
        metadata: What the graph says of itself, see `describe`.

    Returns:
        The serialised ONNX model.
    """
    return _serialise(generator, _example(generator), _OUTPUTS, metadata)


def export_weigher(weigher: Weigher, cells: int) -> bytes:
    """Serialise a weigher for ONNX Runtime.

    The graph takes `incident` as the generator's does and `cell_energy` (showers, cells) [GeV], both float32, and gives
    `weight` (showers,).

    Args:
        weigher: The weigher, on the CPU.
        cells: Cells of a shower.

    Returns:
        The serialised ONNX model.
    """
    operations = {torch.ops.aten.sigmoid.default: _sigmoid}
    inputs = {"incident": _particles(weigher.features.frame.n_types), "cell_energy": torch.zeros(2, cells)}
    return _serialise(weigher, inputs, ["weight"], operations=operations)


def export_pt2(generator: Generator, metadata: Mapping[str, str] | None = None) -> bytes:
    """Serialise a generator for `torch.export.load`, with the inputs and the output of the ONNX graph.

    Args:
        generator: The generator, on the CPU.
        metadata: What the archive says of itself, in its extra file ``calogan.json``; see `describe`.

    Returns:
        The archive.
    """
    example, batch = _example(generator), torch.export.Dim("showers")
    archive = io.BytesIO()
    with _quiet("torch.export"):
        program = torch.export.export(
            generator.eval(), tuple(example.values()), dynamic_shapes={name: {0: batch} for name in example}
        )
        for node in program.graph.nodes:
            node.meta = {key: value for key, value in node.meta.items() if key not in _TRACES}
        torch.export.save(program, archive, extra_files={METADATA: json.dumps(dict(metadata or {}))})
    return archive.getvalue()


def load_pt2(archive: bytes) -> Program:
    """The program of an archive that `export_pt2` has just made.

    Never an archive of somebody else: `torch.export.load` unpickles, and so runs what code the archive holds.
    """
    with _quiet("torch.export"):
        module = torch.export.load(io.BytesIO(archive)).module()

    def run(incident: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            cells: NDArray[np.float32] = module(torch.from_numpy(incident), torch.from_numpy(noise)).numpy()
        return cells

    return run


def _example(generator: Generator) -> dict[str, Tensor]:
    """Inputs to trace a generator with."""
    inputs = _particles(generator.frame.n_types), torch.zeros(2, generator.noise_size)
    return dict(zip(_INPUTS, inputs, strict=True))


def _particles(n_types: int) -> Tensor:
    """Two particles, of the first type where there are types."""
    return torch.cat([_PARTICLE, torch.zeros(1, 1)], dim=1)[:, : 5 + bool(n_types)].repeat(2, 1)


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Without gradients, and without the warnings that an exporter has for its own authors."""
    logs = [logging.getLogger(name) for name in names]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def check_parity(
    generator: Generator, exported: bytes | Program, incident: NDArray[np.float32], tolerance: float = 1e-3
) -> Parity:
    """Compare an exported program with the generator in torch.

    Args:
        generator: The generator.
        exported: Its serialised ONNX graph, run in ONNX Runtime, or any program.
        incident: Incident particles to try, as the generator takes them, float32, shape ``(showers, 5 or 6)``.
        tolerance: Relative difference from which on a cell counts as another. Far above 1e-5, since where a generator
            is hardly trained, a layer's energy may hang on a single faint cell.

    Returns:
        How far they agree.

    Raises:
        BundleError: The graph cannot run, or more than one cell in 100,000, and more than one, is another or lit in one
            alone: rounding may put out a cell that is at its threshold.
    """
    noise = standard_normal(0, np.arange(len(incident)), generator.noise_size)
    cells = _run_onnx(exported, incident, noise) if isinstance(exported, bytes) else exported(incident, noise)
    with torch.no_grad():
        eager = generator(torch.from_numpy(incident), torch.from_numpy(noise)).numpy()
    threshold = generator.transform.threshold.item()
    seen = compare_cells(eager, cells, threshold, tolerance)
    if seen.apart + seen.flipped > 1 + _FEW * seen.cells:
        msg = (
            f"the exported graph differs from the generator: of {seen.cells} cells {seen.apart} by more than "
            f"{tolerance:g}, up to {seen.difference:.2g}, and {seen.flipped} are lit in one alone"
        )
        raise BundleError(msg)
    return compare_cells(eager, cells, threshold)


def compare_cells(
    expected: NDArray[np.float32], found: NDArray[np.float32], threshold: float, tolerance: float = 1e-5
) -> Parity:
    """Compare the same showers, made in two ways.

    Args:
        expected: Cell energies [GeV], shape ``(showers, cells)``.
        found: The same, made in another way.
        threshold: Read-out threshold [GeV].
        tolerance: Relative difference above which cells count as apart; by default what backends and batch sizes are
            to keep to.
    """
    both = (expected > 0) & (found > 0) & (np.abs(expected - threshold) > _AT_THRESHOLD * threshold)
    difference = np.abs(found[both] / expected[both] - 1)
    flipped = int(((expected > 0) != (found > 0)).sum())
    apart = int((difference > tolerance).sum())
    return Parity(len(expected), expected.size, float(difference.max(initial=0.0)), apart, flipped)


def _run_onnx(graph: bytes, incident: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        cells: NDArray[np.float32] = session.run(_OUTPUTS, dict(zip(_INPUTS, (incident, noise), strict=True)))[0]
    except Exception as error:  # onnxruntime's errors have no common class but this one
        msg = f"ONNX Runtime cannot run the exported graph: {' '.join(str(error).split())[:300]}"
        raise BundleError(msg) from error
    return cells


def _serialise(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: Sequence[str],
    metadata: Mapping[str, str] | None = None,
    operations: dict[Any, Any] | None = None,
) -> bytes:
    """ONNX model of a function of arrays with a row a shower, named by their keys."""
    import onnx

    batch = torch.export.Dim("showers")
    with _quiet("torch.onnx", "onnxscript"):
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes={name: {0: batch} for name in inputs},
            custom_translation_table=operations,
            dynamo=True,
            verbose=False,
        )
    assert program is not None, "the dynamo exporter returns its program"
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info, model.graph):
        del part.metadata_props[:]  # where each was traced: paths of this machine
    onnx.helper.set_model_props(model, dict(metadata or {}))
    return bytes(model.SerializeToString())


def _sigmoid(x: Any) -> Any:
    """In elementary operations: ONNX Runtime's own is a little off near 0, where hundreds of dark cells are."""
    from onnxscript import opset18 as op

    return op.Reciprocal(op.Add(op.Exp(op.Neg(x)), op.CastLike(op.Constant(value_float=1.0), x)))
