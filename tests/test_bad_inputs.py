"""Bad inputs through the real program: one line with what, where and what to do, exit code 2, nothing half-written."""

import awkward as ak
import numpy as np
import pytest
import uproot
import yaml
from typer.testing import CliRunner

from calogan.cli import app

COUNT = 60
CELLS = {"cells": 6, "low": -60.0, "high": 60.0}
CONFIG = {
    "name": "bad",
    "geometry": {"layers": [{"x": CELLS, "y": CELLS, "depth": 50.0}]},
    "domain": {"momentum": [1.0, 64.0], "max_angle": 20.0, "entry_x": [-20.0, 20.0], "entry_y": [-20.0, 20.0]},
}


def columns():
    rng = np.random.default_rng(0)
    momentum = rng.uniform(5, 50, COUNT)
    return {
        "event": np.arange(COUNT) + 100,
        "px": np.zeros(COUNT),
        "py": np.zeros(COUNT),
        "pz": momentum,
        "x": np.zeros(COUNT),
        "y": np.zeros(COUNT),
        "energy": rng.uniform(0, 9.0, (COUNT, 6, 6)) * momentum[:, None, None],
    }


def hits():
    rng = np.random.default_rng(0)
    count = rng.integers(1, 9, COUNT)
    total = count.sum()
    made = columns()
    del made["energy"]
    for name, values in (
        ("cell_ix", rng.integers(0, 6, total)),
        ("cell_iy", rng.integers(0, 6, total)),
        ("cell_energy", rng.uniform(0, 90.0, total)),
    ):
        made[name] = ak.unflatten(values, count)
    return made


def write(path, content, tree="showers"):
    with uproot.recreate(path) as file:
        types = {
            name: ak.type(values[0:1]).content if isinstance(values, ak.Array) else (values.dtype, values.shape[1:])
            for name, values in content.items()
        }
        file.mktree(tree, types).extend(content)


def changed(name, entry, value, base=columns):
    content = base()
    content[name][entry] = value
    return content


def truncated(path):
    write(path, columns())
    path.write_bytes(path.read_bytes()[:-3000])


def jagged_disagree(path):
    content = hits()
    shorter = ak.to_list(content["cell_ix"])
    shorter[17] = [*shorter[17], 0]
    write(path, content | {"cell_ix": ak.Array(shorter)})


def renamed(path):
    content = columns()
    content["enrgy"] = content.pop("energy")
    write(path, content)


# what is written; layout; what the line must say
CASES = {
    "truncated file": (truncated, "dense", ["truncated", "copy it again"]),
    "not a ROOT file": (lambda path: path.write_text("px,py,pz\n" * 99), "dense", ["not a ROOT file"]),
    "missing tree": (lambda path: write(path, columns(), "shower"), "dense", ["'showers'", "did you mean 'shower'"]),
    "missing branch": (renamed, "dense", ["'energy'", "did you mean 'enrgy'"]),
    "wrong shape": (
        lambda path: write(path, columns() | {"energy": np.ones((COUNT, 6, 5))}),
        "dense",
        ["'energy'", "[6][5]", "[6][6]"],
    ),
    "NaN energy": (lambda path: write(path, changed("energy", (41, 2, 3), np.nan)), "dense", ["'energy'", "entry 41"]),
    "negative energy": (
        lambda path: write(path, changed("energy", (42, 2, 3), -0.5)),
        "dense",
        ["'energy'", "entry 42", "-0.5"],
    ),
    "jagged lengths disagree": (jagged_disagree, "hits", ["cell_ix", "entry 17"]),
    "momentum zero": (lambda path: write(path, changed("pz", 7, 0.0)), "dense", ["entry 7", "momentum"]),
    "momentum NaN": (lambda path: write(path, changed("py", 8, np.nan)), "dense", ["'py'", "entry 8"]),
    "duplicate event ids": (lambda path: write(path, changed("event", 9, 105)), "dense", ["entry 9", "event 105"]),
    "unknown config key": (
        lambda path: write(path, columns()),
        "dense",
        ["data.on_bad_fil", "did you mean 'on_bad_file'"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line(tmp_path, case):
    make, layout, wanted = CASES[case]
    path = tmp_path / "input.root"
    make(path)
    source = {"layout": layout, "files": [str(path)], "tree": "showers"}
    data = {"sources": [source]} | ({"on_bad_fil": "skip"} if case == "unknown config key" else {})
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG | {"run_dir": str(tmp_path / "run"), "data": data}))
    result = CliRunner().invoke(app, ["prepare", str(config), "--quiet"])
    lines = result.stderr.strip().splitlines()
    assert result.exit_code == 2, result.stderr
    assert len(lines) == 1, lines
    assert "Traceback" not in result.output
    for text in wanted:
        assert text in lines[0]
    assert str(path if case != "unknown config key" else config) in lines[0]
    left = [
        file for file in (tmp_path / "run").rglob("*") if file.is_file() and file.name not in {".lock", "config.yaml"}
    ]
    assert left == []
    print(f"{case}: {lines[0]}")


def test_unit_wrong_by_1000_is_prepared_with_a_warning(tmp_path):
    path, config = tmp_path / "input.root", tmp_path / "config.yaml"
    write(path, columns())
    source = {"layout": "dense", "files": [str(path)], "tree": "showers", "units": {"energy": "GeV"}}
    config.write_text(yaml.safe_dump(CONFIG | {"run_dir": str(tmp_path / "run"), "data": {"sources": [source]}}))
    result = CliRunner().invoke(app, ["prepare", str(config)])
    assert result.exit_code == 0, result.stderr
    assert "implausible response" in result.stderr
    assert "units.energy (GeV)" in result.stderr
    assert (tmp_path / "run" / "prepared" / "manifest.json").exists()
    print(next(line for line in result.stderr.splitlines() if "implausible" in line))
