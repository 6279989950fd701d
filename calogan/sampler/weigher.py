"""Weights of showers from the graph that a bundle may have, run by ONNX Runtime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calogan.bundle import Bundle
from calogan.errors import BundleError
from calogan.sampler.network import open_session

__all__ = ["OnnxWeigher", "load_weigher"]

_CACHED = 57_600
"""Cells that are worked on at once: what lies between two operations then stays in the cache."""
_LEAST_BLOCK = 16


def load_weigher(bundle: Bundle, threads: int | None = None) -> OnnxWeigher:
    """What weighs the showers of a bundle.

    Raises:
        BundleError: The bundle has no such graph, or it cannot be run or is for other showers.
    """
    if bundle.weigher_path is None:
        msg = (
            f"{bundle.path}: this bundle has no weights for its showers; learn them with `calogan weigh CONFIG "
            "--bundle FOLDER` (this bundle, or a copy where it is shipped or from MLflow), or sample without weights"
        )
        raise BundleError(msg)
    graph, info = bundle.weigher_path.read_bytes(), bundle.info
    told_apart = bool(info.particles)
    return OnnxWeigher(graph, info.geometry.n_cells, str(bundle.weigher_path), threads, told_apart=told_apart)


class OnnxWeigher:
    """Incident particles and cells in, density ratios of full simulation to surrogate out, on the CPU.

    Args:
        graph: Serialised ONNX graph.
        cells: Cells of a shower.
        name: What errors call the graph.
        threads: Threads; none leaves the choice to the library.
        told_apart: Whether the particle's type is told, as of `calogan.physics.particles.network_input`.

    Raises:
        BundleError: The graph cannot be run, or its inputs and output are others.
    """

    def __init__(
        self, graph: bytes, cells: int, name: str, threads: int | None = None, *, told_apart: bool = False
    ) -> None:
        try:
            self._session = open_session(graph, threads)
        except Exception as error:  # onnxruntime's errors have no common class but this one
            msg = f"{name}: ONNX Runtime cannot read the graph: {' '.join(str(error).split())[:300]}"
            raise BundleError(msg) from error
        inputs, outputs = (
            {one.name: tuple(one.shape[1:]) for one in found}
            for found in (self._session.get_inputs(), self._session.get_outputs())
        )
        wanted = {"incident": (5 + told_apart,), "cell_energy": (cells,)}
        if inputs != wanted or outputs != {"weight": ()}:
            msg = (
                f"{name}: takes {inputs} and gives {outputs} a shower, expected {wanted} and {{'weight': ()}}; "
                "run calogan weigh again"
            )
            raise BundleError(msg)
        self._block = max(_LEAST_BLOCK, _CACHED // cells)

    def __call__(self, incident: NDArray[np.float32], cell_energy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weights, shape ``(showers,)``.

        Args:
            incident: px, py, pz [GeV], x, y [mm], and the type's number if it is told, shape ``(showers, 5 or 6)``.
            cell_energy: Energies [GeV], each 0 or above the threshold, shape ``(showers, cells)``.
        """
        weight = np.empty(len(incident), dtype=np.float32)
        for start in range(0, len(incident), self._block):
            block = slice(start, start + self._block)
            shower = {"incident": incident[block], "cell_energy": cell_energy[block]}
            (weight[block],) = self._session.run(["weight"], shower)
        return weight
