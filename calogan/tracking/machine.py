"""Use of the machine over time: processors, GPUs, memory, disk and network, as MLflow measures them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from calogan.progress import Reporter
from calogan.tracking.history import append_line, last_step

__all__ = ["MachineWatch", "gpu_driver"]

_PREFIX = "system/"
_SHORTEST, _LONGEST = 10.0, 60.0
_SHARE = 0.01


class MachineWatch:
    """A thread that adds a line of measurements to a file now and then, until it is stopped.

    The time between two lines is that of `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL`, by default a hundredth of the time
    so far, between ten seconds and a minute.

    Args:
        path: The file; its lines are counted, and go on where they ended.
        reporter: Warned if nothing can be written.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path, self._reporter = path, reporter
        self._monitors = _monitors()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="machine watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Measure no more."""
        self._stop.set()
        self._thread.join(2.0)  # a file system that hangs is not waited for

    def _work(self) -> None:
        begun = time.monotonic()
        fixed = os.environ.get("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL")
        try:
            step = last_step(self._path)
            count = 0 if step is None else step + 1
            while True:
                passed = time.monotonic() - begun
                pause = float(fixed) if fixed else min(max(_SHARE * passed, _SHORTEST), _LONGEST)
                if self._stop.wait(pause):
                    return
                append_line(self._path, count, self._measure())
                count += 1
        except OSError as error:
            self._reporter.warning(
                f"{self._path}: the use of the machine is recorded no more: {error.strerror or error}"
            )

    def _measure(self) -> dict[str, float]:
        measured: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            measured |= {f"{_PREFIX}{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return measured


def gpu_driver() -> str | None:
    """Version of the NVIDIA driver; None without one."""
    try:
        import pynvml

        pynvml.nvmlInit()
        version: str = pynvml.nvmlSystemGetDriverVersion()
    except ImportError:
        return None
    except pynvml.NVMLError:
        return None
    return version


def _monitors() -> list[Any]:
    """MLflow's monitors of what this machine has."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        monitors.append(GPUMonitor())
    except (ImportError, RuntimeError):  # how it says that there is no NVIDIA GPU
        return monitors
    return monitors
