from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import yaml

from calogan.config import GeometryConfig, load_calorimeter
from calogan.errors import ConfigError
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.stages.geometry import list_layers, write_geometry

CONFIGS = Path(__file__).parents[2] / "configs"
MIXED = Geometry(
    (
        PolarLayer((0.0, 5.0, 10.0, 30.0), 1, depth=5.0),
        PolarLayer((0.0, 4.0, 8.0), 10, depth=15.0, z_range=(10.0, 20.0)),
        Layer((-10.0, 0.0, 2.5, 10.0), tuple(np.linspace(-4, 4, 9)), depth=25.0),
    )
)


def read_geometry(path, particle=None):
    return Geometry.from_dict(load_calorimeter(path, particle).to_dict())


BINNING = """<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="4"/></Bin>
<Bin pid="211" name="pion"><Layer id="0" r_edges="0,5" n_bin_alpha="2"/></Bin></Bins>"""


@pytest.mark.parametrize("geometry", [MIXED, read_geometry(CONFIGS / "calogan3.yaml")])
def test_a_written_section_is_read_as_the_same_cells(tmp_path, geometry):
    path = tmp_path / "geometry.yaml"
    write_geometry(geometry, path, ["one", "two"])
    assert path.read_text().startswith("# one\n# two\ngeometry:\n")
    assert read_geometry(path) == geometry
    # in a configuration, too
    section = yaml.safe_load(path.read_text())["geometry"]
    assert Geometry.from_dict(GeometryConfig.model_validate(section).to_dict()) == geometry


def test_a_particle_of_a_binning_file(tmp_path):
    path = tmp_path / "binning.xml"
    path.write_text(BINNING)
    assert read_geometry(path, "photon").layers == (PolarLayer((0.0, 5.0, 10.0), 4, depth=0.0),)
    with pytest.raises(ConfigError, match=r"photon, 22, pion, 211"):
        read_geometry(path)
    with pytest.raises(ConfigError, match="chosen from a binning file"):
        read_geometry(CONFIGS / "demo.yaml", "photon")


def test_layers_are_listed():
    table = list_layers(MIXED)
    assert len(table.rows[0]) == len(table.header)
    assert table.rows == (
        ("0", "5", "", "3", "1 sector x 3 rings", "0 to 30", "", "5-20"),
        ("1", "15", "10 to 20", "20", "10 sectors x 2 rings", "0 to 8", "", "4"),
        ("2", "25", "", "24", "3 x 8", "-10 to 10", "-4 to 4", "2.5-10 x 1"),
    )


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_cells_are_drawn(tmp_path, ending):
    path = tmp_path / f"cells{ending}"
    write_geometry(MIXED, path)
    assert list(tmp_path.iterdir()) == [path]
    if ending == ".png":
        assert matplotlib.image.imread(path)[..., :3].std() > 0.01
    with pytest.raises(ConfigError, match=r"cells.txt: choose the ending \.yaml"):
        write_geometry(MIXED, tmp_path / "cells.txt")
