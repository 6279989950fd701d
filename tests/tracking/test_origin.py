import sys
from importlib import metadata

import pytest

from calogan.tracking.origin import command_line, origin_tags, requirements, scheduler_job

SLURM = {
    "SLURM_JOB_ID": "41",
    "SLURM_ARRAY_JOB_ID": "40",
    "SLURM_ARRAY_TASK_ID": "1",
    "SLURM_RESTART_COUNT": "2",
    "SLURM_JOB_PARTITION": "gpu",
    "SLURM_NNODES": "2",
    "SLURM_JOB_NODELIST": "n[1-2]",
}


def test_a_job_of_slurm_says_its_ids():
    assert scheduler_job({**SLURM, "HOME": "/root"}) == {
        "slurm.job_id": "41",
        "slurm.array_job_id": "40",
        "slurm.array_task_id": "1",
        "slurm.restart_count": "2",
        "slurm.partition": "gpu",
        "slurm.nodes": "2",
        "slurm.node_list": "n[1-2]",
    }


def test_a_job_of_htcondor_says_what_its_file_says(tmp_path):
    path = tmp_path / ".job.ad"
    path.write_text('ClusterId = 12\nProcId = 3\nCmd = "/bin/calogan"\nRemoteHost = "slot1@n1"\nNumJobStarts = 1\n')
    assert scheduler_job({"_CONDOR_JOB_AD": str(path)}) == {
        "htcondor.cluster_id": "12",
        "htcondor.proc_id": "3",
        "htcondor.job_starts": "1",
        "htcondor.remote_host": "slot1@n1",
    }
    assert scheduler_job({"_CONDOR_JOB_AD": "none"}) == {"htcondor.job_ad": "none"}


def test_without_a_scheduler_there_is_no_job():
    assert scheduler_job({"HOME": "/root"}) == {}


@pytest.mark.parametrize("program", ["/usr/bin/calogan", "/lib/calogan/__main__.py"])
def test_the_command_is_as_a_shell_takes_it(monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [program, "train", "my study.yaml"])
    assert command_line() == "calogan train 'my study.yaml'"


def test_code_packages_and_processes_are_tags(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    tags = origin_tags()
    assert tags["calogan.world_size"] == "8"
    assert f"numpy {metadata.version('numpy')}" in tags["calogan.packages"]
    assert tags["calogan.cpus"] >= 1


def test_all_packages_are_listed_as_pip_takes_them():
    assert f"numpy=={metadata.version('numpy')}" in requirements().splitlines()
