"""Kill a training again and again, damage its checkpoints, and compare what comes out with an undisturbed training.

    python benchmarks/preemption.py [--kills 20] [--damages 10] [--seed 1] [--processes 1] [--folder runs/preemption]

A small study of shipped showers is trained once. Then the same command is started, killed at a random moment of its
life by SIGKILL, SIGUSR1 and SIGTERM in turn, and started again, until it is done; trainings follow each other until all
kills are spent. At last a checkpoint is damaged, each time in another way, which has to be noticed. Weights, id of the
bundle and record (all but times) are those of the undisturbed training, to the bit, or the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from operator import itemgetter
from pathlib import Path

from calogan.config import Config, load_config
from calogan.progress import SilentReporter
from calogan.training.checkpoint import Checkpoint

ROOT = Path(__file__).parent.parent
KILLS = (signal.SIGKILL, signal.SIGUSR1, signal.SIGTERM)
SETTINGS = {
    "training": {
        "batch_size": 32,
        "warmup_steps": 500,
        "steps": 250,
        "critic_steps": 2,
        "critic_head_start": 10,
        "log_every": 10,
        "evaluate_every": 50,
        "evaluate_showers": 200,
        "checkpoint_every": 15,
        "device": "cpu",
        "threads": 1,
    },
    "model": {"latent_size": 8, "generator_hidden": [64], "critic_hidden": [64]},
    "tracking": {"enabled": False},
    "beside": None,
}
PATIENCE = 600
"""Seconds after which a process that ignores a signal, or does not end, is a failure."""


@dataclass(frozen=True)
class Outcome:
    """What a training leaves: equal outcomes are the same training."""

    weights: bytes
    bundle: str
    records: tuple[str, ...]

    @classmethod
    def of(cls, run: Path) -> Outcome:
        """What is in a run folder."""
        lines = [json.loads(line) for line in (run / "train" / "metrics.jsonl").read_text().splitlines()]
        timeless = [{key: line[key] for key in line if not key.startswith(("time/", "memory/"))} for line in lines]
        return cls(
            (run / "bundle" / "weights.safetensors").read_bytes(),
            json.loads((run / "bundle" / "bundle.json").read_text())["id"],
            tuple(json.dumps(line) for line in timeless),
        )


@dataclass(frozen=True)
class Life:
    """One process from its start to its end.

    Attributes:
        seconds: How long it lived.
        code: Exit code, negative for the signal that ended it.
        said: What it printed.
        step: Last step of the record.
        killed: Whether it was there to be killed.
    """

    seconds: float
    code: int
    said: str
    step: int
    killed: bool

    def phase(self, warmup_steps: int) -> str:
        """What it did at its end, and the last step that it told of."""
        if re.search(r"^bundle \w+: ", self.said, re.MULTILINE):
            return "its end"
        if "selected step" in self.said:
            return "export"
        if "training on" not in self.said:
            return "start-up"
        return f"{'warm start' if self.step < warmup_steps else 'adversarial'}, {self.step}"

    @property
    def resumed(self) -> str:
        """Step that it went on from."""
        return (re.findall(r"going on from step (\d+)", self.said) or ["0"])[-1]


class Study:
    """A configuration, its prepared showers, and the command that trains on them."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.folder, self._processes = folder, processes
        values = load_config(ROOT / "configs" / "demo.yaml").model_dump(mode="json") | SETTINGS
        values["data"]["sources"] = values["data"]["sources"][:1]
        values["data"]["sources"][0]["files"] = ["calogan://ecal30_electron/hits_1001.root"]
        self.config = Config.model_validate(values | {"run_dir": str(folder / "prepared")})
        self._file = folder / "study.yaml"
        self._file.write_text(self.config.to_yaml())
        subprocess.run(
            [sys.executable, "-m", "calogan", "prepare", str(self._file), "--quiet"],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def new(self, name: str) -> Path:
        """A run folder with nothing but the prepared showers."""
        return shutil.copytree(self.folder / "prepared", self.folder / name)

    def train(self, run: Path, moment: float | None = None, number: signal.Signals = signal.SIGKILL) -> Life:
        """Start the command and, at a moment, send it a signal [s]; wait for its end."""
        launch = ["launch", "--nproc-per-node", str(self._processes), "--"] if self._processes > 1 else []
        command = [sys.executable, "-m", "calogan", *launch, "train", str(self._file), "--set", f"run_dir={run}"]
        with tempfile.TemporaryFile("w+") as output:
            start = time.monotonic()
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
            try:
                process.wait(moment or PATIENCE)
                killed = False
            except subprocess.TimeoutExpired:
                killed = moment is not None
                _send(process, number)
                process.wait(PATIENCE)
            seconds = time.monotonic() - start
            output.seek(0)
            return Life(seconds, process.returncode, output.read(), _last_step(run), killed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--damages", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1, help="processes of one training, by calogan launch")
    parser.add_argument("--folder", type=Path, help="where to work; emptied first [a temporary one]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="preemption-") as temporary:
        folder = options.folder or Path(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        study, rng = Study(folder, options.processes), random.Random(options.seed)
        whole = study.new("undisturbed")
        life = study.train(whole)
        if life.code != 0:
            raise SystemExit(life.said)
        expected = Outcome.of(whole)
        steps = study.config.training.warmup_steps + study.config.training.steps
        print(
            f"undisturbed: {life.seconds:.1f} s, {steps} steps, bundle {expected.bundle}, {options.processes} process"
        )
        good = kill(study, expected, life.seconds, options.kills, rng)
        good &= damage(study, expected, whole, options.damages, rng)
    raise SystemExit(0 if good else 1)


def kill(study: Study, expected: Outcome, seconds: float, kills: int, rng: random.Random) -> bool:
    """Trainings that are killed until all kills are spent; whether all of them came out as expected."""
    print(f"\n{'kill':>4} {'signal':<8} {'after':>7} {'in':<16} {'exit code':>9} {'from step':>9}")
    spent, outcomes = 0, []
    for trial in count():
        if spent == kills:
            break
        run, life, before = study.new(f"killed{trial}"), None, spent
        while life is None or life.code != 0:
            number = KILLS[spent % len(KILLS)]
            life = study.train(run, rng.uniform(0, seconds) if spent < kills else None, number)
            if life.killed:
                spent += 1
                phase = life.phase(study.config.training.warmup_steps)
                row = f"{spent:4d} {number.name:<8} {life.seconds:5.1f} s {phase:<16} {life.code:9d} {life.resumed:>9}"
                print(row, flush=True)
            elif life.code != 0:
                raise SystemExit(life.said)
        if spent == before:  # it ended first: this machine has become faster
            seconds = life.seconds
            continue
        outcomes.append(Outcome.of(run) == expected)
        print(f"     done, {'the same' if outcomes[-1] else 'ANOTHER'} weights, bundle and record", flush=True)
    print(f"{spent} kills, {sum(outcomes)} of {len(outcomes)} killed trainings came out the same")
    return all(outcomes)


def damage(study: Study, expected: Outcome, whole: Path, damages: int, rng: random.Random) -> bool:
    """Checkpoints that are damaged; whether each was noticed, and a training that goes on from the last came out."""
    print(f"\n{'damage':>6} {'what':<24} {'noticed':>7} {'goes on from':>12}")
    run = shutil.copytree(whole, study.folder / "damaged")
    shutil.rmtree(run / "bundle")
    path = run / "train" / "checkpoint.pt"
    content, noticed = path.read_bytes(), 0
    for index, (what, spoil) in zip(range(damages), _damages(rng, whole), strict=False):
        path.write_bytes(spoil(content))
        warnings = _Warnings()
        checkpoint = Checkpoint(path, "", warnings)
        told = checkpoint.find() == checkpoint.previous and len(warnings.lines) == 1
        noticed += told
        step = re.findall(r"of step (\d+)", " ".join(warnings.lines))
        print(f"{index + 1:6d} {what:<24} {'yes' if told else 'NO':>7} {step[-1] if step else '':>12}")
    life = study.train(run)
    same = life.code == 0 and life.said.count("warning: ") == 1 and Outcome.of(run) == expected
    print(f"{noticed} of {damages} noticed; the training after the last came out {'the same' if same else 'DIFFERENT'}")
    return noticed == damages and same


class _Warnings(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str) -> None:
        self.lines.append(text)


def _damages(rng: random.Random, whole: Path) -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    """Ways to spoil a checkpoint, without end."""
    size = (whole / "train" / "checkpoint.pt").stat().st_size
    other = (whole / "bundle" / "weights.safetensors").read_bytes()
    while True:
        for place in rng.sample(range(size), 4):
            yield f"a bit of byte {place}", partial(_overwrite, place=place, mask=1 << rng.randrange(8))
        for length in rng.sample(range(size), 2):
            yield f"cut to {length} bytes", itemgetter(slice(length))
        yield "zeros", lambda content: bytes(len(content))
        yield "a byte more", lambda content: content + b"\0"
        yield "empty", itemgetter(slice(0))
        yield "another file", lambda _: other


def _overwrite(content: bytes, place: int, mask: int) -> bytes:
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """SIGKILL ends all processes of a launch, as the loss of a node does; what asks to stop asks the first."""
    if number == signal.SIGKILL:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)


def _last_step(run: Path) -> int:
    """Last step of the record that is whole."""
    path = run / "train" / "metrics.jsonl"
    steps = re.findall(r'^\{"step": (\d+),.*\}$', path.read_text() if path.exists() else "", re.MULTILINE)
    return int(steps[-1]) if steps else 0


if __name__ == "__main__":
    main()
