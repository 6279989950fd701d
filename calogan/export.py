"""The generator and the weigher as ONNX graphs: preprocessing and threshold inside, noise an input."""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from calogan.errors import BundleError
from calogan.models.generator import Generator
from calogan.training.weigher import Weigher

__all__ = ["can_export", "check_parity", "export_onnx", "export_weigher"]


def can_export() -> bool:
    """Whether the packages that torch's exporter needs are installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript"))


def export_onnx(generator: Generator) -> bytes:
    """Serialise a generator for ONNX Runtime.

    The graph takes `incident` (showers, 5) [GeV, mm] and `noise` (showers, noise_size), both float32, and gives
    `cell_energy` (showers, cells) [GeV]. It does not say where in the source an operation comes from.

    Args:
        generator: The generator, on the CPU.

    Returns:
        The serialised ONNX model.
    """
    return _serialise(generator, {"noise": torch.zeros(2, generator.noise_size)}, "cell_energy")


def export_weigher(weigher: Weigher, cells: int) -> bytes:
    """Serialise a weigher for ONNX Runtime.

    The graph takes `incident` (showers, 5) [GeV, mm] and `cell_energy` (showers, cells) [GeV], both float32, and gives
    `weight` (showers,).

    Args:
        weigher: The weigher, on the CPU.
        cells: Cells of a shower.

    Returns:
        The serialised ONNX model.
    """
    operations = {torch.ops.aten.sigmoid.default: _sigmoid}
    return _serialise(weigher, {"cell_energy": torch.zeros(2, cells)}, "weight", operations)


def check_parity(generator: Generator, graph: bytes, incident: np.ndarray, tolerance: float = 1e-3) -> float:
    """Compare the graph in ONNX Runtime with the generator in torch.

    Args:
        generator: The generator.
        graph: Its serialised graph.
        incident: Incident particles to try, float32, shape ``(showers, 5)``.
        tolerance: Largest allowed difference of a shower's cells, relative to its energy.

    Returns:
        The largest difference of a cell that is lit in both, relative to the energy of its shower.

    Raises:
        BundleError: The graph cannot run, the difference is above the tolerance, or more than one cell in 10,000 is lit
            in one alone (a cell within rounding of the threshold may be). Of 100 showers or more, one in
            1,000, and at least one, may differ as a whole: rounding may choose its frame.
    """
    import onnxruntime

    noise = np.random.default_rng(0).standard_normal((len(incident), generator.noise_size), dtype=np.float32)
    try:
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        (exported,) = session.run(["cell_energy"], {"incident": incident, "noise": noise})
    except Exception as error:  # onnxruntime's errors have no common class but this one
        msg = f"ONNX Runtime cannot run the exported graph: {' '.join(str(error).split())[:300]}"
        raise BundleError(msg) from error
    with torch.no_grad():
        eager = generator(torch.from_numpy(incident), torch.from_numpy(noise)).numpy()
    flips = ((exported > 0) != (eager > 0)).sum(axis=1)
    spared = math.ceil(len(incident) / 1000) if len(incident) >= 100 else 0
    kept = np.argsort(flips, kind="stable")[: len(incident) - spared]
    exported, eager, flipped = exported[kept], eager[kept], int(flips[kept].sum())
    both = (exported > 0) & (eager > 0)
    largest = np.where(both, np.abs(exported - eager), 0.0).max(axis=1)
    difference = float((largest / np.maximum(eager.sum(axis=1), generator.transform.scale.item())).max())
    if not difference <= tolerance or flipped > 1 + 1e-4 * eager.size:
        msg = (
            f"the exported graph differs from the generator by {difference:.2g} of a shower's energy, "
            f"and {flipped} of {eager.size} cells are lit in one alone"
        )
        raise BundleError(msg)
    return difference


def _serialise(
    module: nn.Module, second: dict[str, Tensor], output: str, operations: dict[Any, Any] | None = None
) -> bytes:
    """ONNX model of a function of incident particles and of one more array with a row a shower, named by its key."""
    incident = torch.tensor([[0.1, 0.1, 10.0, 0.0, 0.0]]).repeat(2, 1)
    inputs = {"incident": incident, **second}
    batch = torch.export.Dim("showers")
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes={name: {0: batch} for name in inputs},
                custom_translation_table=operations,
                dynamo=True,
                verbose=False,
            )
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
    assert program is not None, "the dynamo exporter returns its program"
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info, model.graph):
        del part.metadata_props[:]  # where each was traced: paths of this machine
    return bytes(model.SerializeToString())


def _sigmoid(x: Any) -> Any:
    """In elementary operations: ONNX Runtime's own is a little off near 0, where hundreds of dark cells are."""
    from onnxscript import opset18 as op

    return op.Reciprocal(op.Add(op.Exp(op.Neg(x)), op.CastLike(op.Constant(value_float=1.0), x)))
