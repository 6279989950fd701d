"""The generator as an ONNX graph: preprocessing and threshold inside, noise an input."""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings

import numpy as np
import torch

from calogan.errors import BundleError
from calogan.models.generator import Generator

__all__ = ["can_export", "check_parity", "export_onnx"]


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
    count = 2
    incident = torch.tensor([[0.1, 0.1, 10.0, 0.0, 0.0]]).repeat(count, 1)
    noise = torch.zeros(count, generator.noise_size)
    batch = torch.export.Dim("showers")
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                generator.eval(),
                (incident, noise),
                input_names=["incident", "noise"],
                output_names=["cell_energy"],
                dynamic_shapes={"incident": {0: batch}, "noise": {0: batch}},
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
