"""Where a run comes from: code, command, packages, machine, scheduler."""

from __future__ import annotations

import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import calogan

__all__ = ["command_line", "host", "origin_tags", "requirements", "scheduler_job"]

_PACKAGES = ("torch", "numpy", "onnxruntime", "onnx", "mlflow", "uproot", "awkward", "scikit-learn")
_SLURM = {
    "SLURM_JOB_ID": "slurm.job_id",
    "SLURM_ARRAY_JOB_ID": "slurm.array_job_id",
    "SLURM_ARRAY_TASK_ID": "slurm.array_task_id",
    "SLURM_RESTART_COUNT": "slurm.restart_count",
    "SLURM_JOB_PARTITION": "slurm.partition",
    "SLURM_NNODES": "slurm.nodes",
    "SLURM_JOB_NODELIST": "slurm.node_list",
    "SLURM_JOB_NAME": "slurm.job_name",
    "SLURM_CLUSTER_NAME": "slurm.cluster",
}
_CONDOR = {
    "ClusterId": "htcondor.cluster_id",
    "ProcId": "htcondor.proc_id",
    "NumJobStarts": "htcondor.job_starts",
    "RemoteHost": "htcondor.remote_host",
    "GlobalJobId": "htcondor.global_job_id",
}
_CONDOR_AD = "_CONDOR_JOB_AD"


def origin_tags() -> dict[str, object]:
    """Tags of what runs here: code, command, packages, machine; the job is in `scheduler_job`."""
    source = _source_version()
    commit = {"mlflow.source.git.commit": source.removesuffix("-changed")} if " " not in source else {}
    return {
        "calogan.version": calogan.__version__,
        "calogan.source": source,
        "calogan.host": host(),
        "calogan.python": platform.python_version(),
        "calogan.packages": ", ".join(f"{name} {version}" for name in _PACKAGES if (version := _version(name))),
        "calogan.command": command_line(),
        "calogan.cpus": len(os.sched_getaffinity(0)),
        "calogan.world_size": os.environ.get("WORLD_SIZE", "1"),
        "mlflow.source.name": "calogan",
        "mlflow.source.type": "LOCAL",
        **commit,
    }


def command_line() -> str:
    """The command that runs, as a shell takes it."""
    return shlex.join(["calogan", *sys.argv[1:]] if Path(sys.argv[0]).stem in {"calogan", "__main__"} else sys.argv)


def host() -> str:
    """Name of the machine."""
    return socket.gethostname()


def scheduler_job(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Ids that Slurm or HTCondor gave to the job, by their tags' names; empty outside of both."""
    job = {tag: environment[name] for name, tag in _SLURM.items() if environment.get(name)}
    if _CONDOR_AD in environment:
        job |= _condor_job(Path(environment[_CONDOR_AD]))
    return job


@cache
def requirements() -> str:
    """All packages that are installed, a line each, as pip takes them."""
    found = {(one.metadata["Name"] or "", one.version) for one in metadata.distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found, key=lambda pair: pair[0].lower()) if name)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _condor_job(path: Path) -> dict[str, str]:
    """Ids in the file that describes an HTCondor job, which has lines such as ``ClusterId = 12``."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {"htcondor.job_ad": str(path)}
    values = dict(re.findall(r'^(\w+) = "?([^"\n]*)"?$', text, flags=re.MULTILINE))
    return {tag: values[name] for name, tag in _CONDOR.items() if name in values}


def _source_version() -> str:
    """The commit of a git checkout, marked where files differ from it; else the version of the package."""
    root = Path(calogan.__file__).parent.parent
    released = f"calogan {calogan.__version__}"
    if not (root / ".git").exists():
        return released
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return released
    return f"{commit}-changed" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
