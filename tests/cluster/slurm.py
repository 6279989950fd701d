#!/usr/bin/env python3
"""A Slurm of two nodes on this machine, for tests: python tests/cluster/slurm.py FOLDER

Needs root and Debian's slurm-wlm and munge; no systemd and no accounting. It says when it is ready, and how to use it;
it ends, with all of its jobs, when its standard input does: with its parent, whatever happens to that.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo")
SECONDS = 60  # to start
# The nodes are two daemons on this machine, under names that lead to it.
NODES = tuple(dict.fromkeys((socket.gethostname(), "localhost")))
CPUS = 4  # that jobs may ask for on a node; there need not be so many
MEMORY = 64000  # MB that jobs may ask for; nothing holds them to it
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

# A job that is requeued waits for as long as credentials live (cred_expire).
CONFIG = """\
ClusterName=calogan
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=20
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
"""
NODE = (
    "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory} State=UNKNOWN\n"
)


def missing() -> str | None:
    """Why there can be no Slurm here, None if there can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurm-wlm, munge)"
    return "not root" if os.getuid() != 0 else None


def main(folder: Path) -> None:
    """Start, say so, wait for the end of standard input, stop."""
    os.environ["PATH"] = PATH
    os.environ["SLURM_CONF"] = str(configure(folder))
    with ExitStack() as stack:
        start(stack, "munged", "--foreground", *munge_options(folder))
        wait_for((folder / "munge.socket").exists, "munged", folder)
        start(stack, "slurmctld", "-D")
        wait_for(lambda: succeeds("scontrol", "ping"), "slurmctld", folder)
        for node in NODES:
            start(stack, "slurmd", "-D", "-N", node)
        stack.callback(cancel_jobs)
        wait_for(nodes_are_idle, "slurmd", folder)
        print(f"export SLURM_CONF={folder / 'slurm.conf'} PATH={folder / 'bin'}:$PATH", flush=True)
        sys.stdin.read()


def configure(folder: Path) -> Path:
    """Write the configuration, its key and its folders."""
    for name in ("state", "bin", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    host, (port, *node_ports) = socket.gethostname(), free_ports(1 + len(NODES))
    nodes = [
        NODE.format(node=node, host=host, port=node_port, cpus=CPUS, memory=MEMORY)
        for node, node_port in zip(NODES, node_ports, strict=True)
    ]
    (folder / "slurm.conf").write_text("".join([*nodes, CONFIG.format(host=host, folder=folder, port=port)]))
    # Snakemake's jobs drop SLURM_CONF: on a cluster, the configuration is in /etc/slurm.
    wrapper = folder / "bin" / "srun"
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    wrapper.chmod(0o755)
    version = re.search(r"(\d+)\.(\d+)", output("slurmctld", "-V"))
    if version and tuple(map(int, version.groups())) >= (24, 5):  # older ones do not know it, and do without
        (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
    return folder / "slurm.conf"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def munge_options(folder: Path) -> list[str]:
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
    return ["--force", *(f"--{option}={folder / name}" for option, name in files.items())]


def start(stack: ExitStack, *command: str) -> None:
    """Run a daemon in the foreground until the stack unwinds."""
    with Path(os.environ["SLURM_CONF"]).with_name(f"{command[0]}.out").open("a") as log:
        # a group of its own: Ctrl-C at a terminal is for this script alone
        daemon = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    stack.callback(end, daemon)


def end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def cancel_jobs() -> None:
    """End what still runs, so that no process of a job outlives its Slurm."""
    subprocess.run(["scancel", "--signal=KILL", "--full", "--user=root"], check=False)
    subprocess.run(["scancel", "--user=root"], check=False)
    deadline = time.monotonic() + 25
    while output("squeue", "--noheader") and time.monotonic() < deadline:
        time.sleep(0.2)


def nodes_are_idle() -> bool:
    return output("sinfo", "--noheader", "--partition=main", "--format=%T %D") == f"idle {len(NODES)}"


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def wait_for(ready, what: str, folder: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        if time.monotonic() > deadline:
            logs = sorted(folder.glob(f"{what}*.out")) + sorted(folder.glob(f"{what}*.log"))
            sys.exit("\n".join([f"{what} does not start:", *(path.read_text()[-2000:] for path in logs)]))
        time.sleep(0.1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if reason := missing():
        sys.exit(f"no Slurm here: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(Path(sys.argv[1]).resolve())
