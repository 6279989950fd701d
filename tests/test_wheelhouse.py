"""The wheelhouse of docs/cluster.md: made where there is internet, installed where there is none."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = """
from calogan import load_sampler
showers = load_sampler("ecal30-electron").sample(0.2, -0.5, [20.0] * 20, 3.0, 4.0, seed=7)
print((showers.total_energy > 0).sum(), "showers")
"""


def _documented(word):
    """The command of docs/cluster.md that contains a word, without the extra that brings torch."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if word in line and line.startswith(("    python", "    env/bin"))]
    return shlex.split(re.sub(r"\[train\]", "", line))


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_wheelhouse_installs_without_a_network(tmp_path):
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(arguments, cwd, **environment):
        done = subprocess.run(
            arguments, cwd=cwd, capture_output=True, text=True, env=outside | environment, timeout=600
        )
        if done.returncode and "connection" in done.stderr.lower():
            pytest.skip("no package index can be reached, so no wheelhouse can be made")
        assert done.returncode == 0, done.stderr
        return done.stdout

    wheelhouse = str(tmp_path / "wheelhouse")
    made = [word.replace("wheelhouse", wheelhouse) for word in _documented("pip wheel")]
    run([sys.executable, *made[1:]], ROOT)
    assert [wheel.name for wheel in Path(wheelhouse).glob("calogan-*.whl")]
    run([sys.executable, *_documented("-m venv")[1:]], tmp_path)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_NO_CACHE_DIR": "1"}
    run(_documented("--no-index"), tmp_path, **nowhere)
    assert "20 showers" in run(["env/bin/python", "-c", SAMPLE], tmp_path)
    assert run(["env/bin/calogan", "--version"], tmp_path).startswith("calogan ")
