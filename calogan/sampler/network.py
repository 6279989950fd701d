"""The generator as a function of arrays, run by ONNX Runtime or by torch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from calogan.bundle import GRAPH, Bundle
from calogan.errors import BundleError, ConfigError, MissingDependencyError
from calogan.noise import standard_normal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Backend", "Network", "OnnxNetwork", "TorchNetwork", "load_network", "open_session"]

Backend = Literal["auto", "torch", "onnx"]


_CACHED = 115_200
"""Cells that are worked on at once a thread: what lies between two operations then stays in the cache."""
_LEAST_BLOCK = 16


class Network(Protocol):
    """Cell energies from incident particles and noise.

    Attributes:
        program: Library that runs it, with its version.
        device: Device that it runs on.
        threads: CPU threads; None where the library chooses.
        block: Showers that are best made at once; None where it does not matter.
    """

    program: str
    device: str
    threads: int | None
    block: int | None

    def noise(
        self, seed: int, shower_id: NDArray[np.int64], size: int, particle: NDArray[np.int64] | None = None
    ) -> Any:
        """The numbers of `calogan.noise.standard_normal`, drawn where the network is."""

    def __call__(self, incident: NDArray[np.float32], noise: Any) -> NDArray[np.float32]:
        """Energies [GeV], shape ``(showers, cells)``.

        Args:
            incident: px, py, pz [GeV], x, y [mm], and the type's number where the bundle tells types apart, see
                `calogan.physics.particles.network_input`, shape ``(showers, 5 or 6)``.
            noise: Standard normal numbers, shape ``(showers, noise_size)``: an array, or what `noise` gave.
        """


class OnnxNetwork:
    """The exported graph in ONNX Runtime, on the CPU; needs no torch."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        import onnxruntime

        self.program, self.device, self.threads = f"ONNX Runtime {onnxruntime.__version__}", "cpu", threads
        workers = threads or _available_processors()
        cells = bundle.info.geometry.n_cells
        self.block: int | None = max(_LEAST_BLOCK, workers * _CACHED // cells)
        self._session = open_session(str(bundle.onnx_path), threads)

    def noise(
        self, seed: int, shower_id: NDArray[np.int64], size: int, particle: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """See `Network`."""
        return standard_normal(seed, shower_id, size, particle)

    def __call__(self, incident: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Network`."""
        made: NDArray[np.float32] = self._session.run(["cell_energy"], {"incident": incident, "noise": noise})[0]
        return made


class TorchNetwork:
    """The generator in torch, on any device.

    Raises:
        ConfigError: There is no such device.
        MissingDependencyError: torch is not installed.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", threads: int | None = None) -> None:
        try:
            import torch
        except ModuleNotFoundError as error:
            msg = (
                f"{bundle.path}: without generator.onnx, or for {device}, torch is needed: pip install 'calogan[train]'"
            )
            raise MissingDependencyError(msg) from error
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            # The first use of a device, not its name, shows whether it is there.
            self._torch, self._device = torch, torch.device(chosen)
            torch.zeros(1, device=self._device).cpu()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            msg = f"device {device!r} cannot be used: {reason}; expected auto, cpu, cuda, cuda:1, ... of this machine"
            raise ConfigError(msg) from error
        self.program = f"torch {torch.__version__}"
        self.threads: int | None = torch.get_num_threads()
        self.block: int | None = None
        self.device = chosen if chosen == "cpu" else f"{chosen} ({torch.cuda.get_device_name(self._device)})"
        self._generator = bundle.load_generator().to(self._device)

    def noise(
        self, seed: int, shower_id: NDArray[np.int64], size: int, particle: NDArray[np.int64] | None = None
    ) -> Tensor:
        """See `Network`."""
        if self._device.type == "cpu":
            return self._torch.from_numpy(standard_normal(seed, shower_id, size, particle))
        from calogan.models.noise import standard_normal_on

        with self._torch.inference_mode():
            return standard_normal_on(self._device, seed, shower_id, size, particle)

    def __call__(self, incident: NDArray[np.float32], noise: NDArray[np.float32] | Tensor) -> NDArray[np.float32]:
        """See `Network`."""
        with self._torch.inference_mode():
            inputs = (self._torch.as_tensor(values).to(self._device) for values in (incident, noise))
            made: Tensor = self._generator(*inputs)
            if made.is_cuda:  # into pinned memory, which the card writes to by itself
                made = self._torch.empty(made.shape, dtype=made.dtype, pin_memory=True).copy_(made)
            cells: NDArray[np.float32] = made.cpu().numpy()
        return cells


def open_session(graph: str | bytes, threads: int | None) -> Any:
    """A graph in ONNX Runtime on the CPU.

    Args:
        graph: Path of the graph, or the graph itself.
        threads: CPU threads; none leaves the choice to the library.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads or 0
    return onnxruntime.InferenceSession(graph, sess_options=options, providers=["CPUExecutionProvider"])


def _available_processors() -> int:
    """Processors that this process may use: in a batch job fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_network(
    bundle: Bundle, device: str = "auto", backend: Backend = "auto", threads: int | None = None
) -> Network:
    """The network of a bundle, by default the exported graph where it is there and the CPU will do, else torch.

    Raises:
        ConfigError: The backend cannot use the device, or there is no such device.
        BundleError: The exported graph is asked for, and the bundle has none.
        MissingDependencyError: torch is needed and not installed.
    """
    on_cpu, exported = device in {"auto", "cpu"}, bundle.onnx_path is not None
    if backend == "onnx" and not on_cpu:
        msg = f"backend 'onnx' runs on the CPU, not on {device!r}; choose backend='torch', or device='cpu'"
        raise ConfigError(msg)
    if backend == "onnx" and not exported:
        msg = f"{bundle.path}: has no {GRAPH}; choose backend='torch'"
        raise BundleError(msg)
    if backend != "torch" and on_cpu and exported:
        return OnnxNetwork(bundle, threads)
    return TorchNetwork(bundle, device, threads)
