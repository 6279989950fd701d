import psutil
import pytest
import torch

from calogan.config import TrainingConfig
from calogan.training import memory
from calogan.training.memory import free_memory, keep_showers

CPU = torch.device("cpu")


@pytest.fixture
def free(monkeypatch):
    """Ten gigabytes are free."""
    monkeypatch.setattr(memory, "free_memory", lambda device, sharers: 10_000_000_000 // sharers)


@pytest.mark.parametrize(
    ("settings", "n_showers", "sharers", "streamed", "reason"),
    [
        ({}, 1_000_000, 1, False, "in memory: they take 4 GB, 7 GB are free for them on cpu"),
        ({}, 2_000_000, 1, True, "streamed from disk: in memory they take 8 GB, 7 GB are free for them on cpu"),
        ({}, 1_000_000, 2, True, "streamed from disk: in memory they take 4 GB, 3.5 GB are free for them on cpu"),
        (
            {"memory_gb": 20},
            2_000_000,
            1,
            False,
            "in memory: they take 8 GB, 20 GB are allowed by training.memory_gb on cpu",
        ),
        (
            {"memory_gb": 1},
            1_000_000,
            1,
            True,
            "streamed from disk: in memory they take 4 GB, 1 GB are allowed by training.memory_gb",
        ),
        (
            {"data": "stream"},
            1000,
            1,
            True,
            "streamed from disk: in memory they take 0.004 GB, training.data is stream",
        ),
        ({"data": "memory"}, 2_000_000, 1, False, "in memory: they take 8 GB, training.data is memory"),
    ],
)
def test_showers_are_in_memory_where_they_fit_or_must(free, settings, n_showers, sharers, streamed, reason):
    keeping = keep_showers(TrainingConfig(**settings), n_showers, 1000, CPU, sharers=sharers)
    assert (keeping.section is not None) is streamed
    assert keeping.reason.startswith(reason)


def test_sections_are_within_the_limit(free):
    sections = [keep_showers(TrainingConfig(data="stream", memory_gb=limit), 10**8, 1000, CPU) for limit in (1, 100)]
    assert [keeping.section for keeping in sections] == [62_500, memory.SECTION // 4000]
    tiny = keep_showers(TrainingConfig(data="stream", memory_gb=1e-9), 10**8, 1000, CPU)
    assert tiny.section == 1


def test_free_memory_is_that_of_the_machine_at_most():
    assert 0 < free_memory(CPU) <= psutil.virtual_memory().total
    assert free_memory(CPU, 4) <= psutil.virtual_memory().total // 4


@pytest.mark.parametrize(("kind", "line"), [("", "0::/job/step"), ("memory", "4:memory:/job/step")])
def test_the_limit_of_a_job_counts_and_files_in_its_cache_do_not(tmp_path, monkeypatch, kind, line):
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text(f"9:name=systemd:/\n{line}\n")
    limit, used, cache = memory._FILES[kind]
    for folder, most in (("job/step", "max"), ("job", "5000000")):
        (tmp_path / kind / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / kind / folder / limit).write_text(f"{most}\n")
        (tmp_path / kind / folder / used).write_text("4000000\n")
        (tmp_path / kind / folder / "memory.stat").write_text(f"anon 1\n{cache} 2500000\n")
    assert free_memory(CPU) == 3_500_000
    assert free_memory(CPU, 2) == 1_750_000
