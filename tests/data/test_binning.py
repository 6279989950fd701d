"""Binning files of the CaloChallenge, of the official forms."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from calogan.config import load_calorimeter
from calogan.data.binning import read_binning
from calogan.errors import ConfigError, GeometryError
from calogan.geometry import Geometry

EMPTY = ("0", 1)
PHOTONS = {
    0: ("0,5,10,30,50,100,200,400,600", 1),
    1: ("0,2,4,6,8,10,12,15,20,30,40,50,70,90,120,150,200", 10),
    2: ("0,2,5,10,15,20,25,30,40,50,60,80,100,130,160,200,250,300,350,400", 10),
    3: ("0,50,100,200,400,600", 1),
    4: EMPTY,
    12: ("0,100,200,400,1000,2000", 1),
    13: EMPTY,
}
PIONS = {
    0: ("0,5,10,30,50,100,200,400,600", 1),
    1: ("0,1,4,7,10,15,30,50,90,150,200", 10),
    2: ("0,5,10,20,30,50,80,130,200,300,400", 10),
    3: ("0,50,100,200,400,600", 1),
    4: EMPTY,
    12: ("0,10,20,30,50,80,100,130,160,200,250,300,350,400,1000,2000", 10),
    13: ("0,10,20,30,50,80,100,130,160,200,250,300,350,400,600,1000,2000", 10),
    14: ("0,50,100,150,200,250,300,400,600,1000,2000", 1),
}


def even(rings, width, sectors):
    return dict.fromkeys(range(45), (",".join(f"{width * ring:g}" for ring in range(rings + 1)), sectors))


def element(layers, **names):
    lines = [
        f'<Layer id="{number}" r_edges="{edges}" n_bin_alpha="{sectors}" />'
        for number, (edges, sectors) in layers.items()
    ]
    attributes = " ".join(f'{name}="{value}"' for name, value in names.items())
    return "\n".join([f"<Bin {attributes}>", *lines, "</Bin>"])


@pytest.fixture
def write(tmp_path):
    def written(*elements, before=""):
        path = tmp_path / "binning.xml"
        path.write_text("\n".join([before, "<Bins>", *elements, "</Bins>"]).strip() + "\n")
        return path

    return written


@pytest.mark.parametrize(
    ("layers", "names", "cells", "layer_cells"),
    [
        (PHOTONS, {"pid": 22, "etaMin": 0, "etaMax": 130, "name": "photon"}, 368, [8, 160, 190, 5, 5]),
        (PIONS, {"pid": 211, "name": "pion"}, 533, [8, 100, 100, 5, 150, 160, 10]),
        (even(9, 4.65, 16), {"pid": 11, "name": "electron"}, 6480, [144] * 45),
        (even(18, 2.325, 50), {"pid": 11, "name": "electron"}, 40500, [900] * 45),
    ],
    ids=["ds1 photons", "ds1 pions", "ds2", "ds3"],
)
def test_the_official_forms(write, layers, names, cells, layer_cells):
    geometry = read_binning(write(element(layers, **names)))
    assert geometry.n_cells == cells
    assert np.diff(geometry.offsets).tolist() == layer_cells
    assert [layer.depth for layer in geometry.layers] == list(range(len(layer_cells)))


def test_cells_are_where_the_challenge_has_them(write):
    """Sectors are the slow index and begin at -pi; in each come the rings, with the middles of their edges as radii."""
    geometry = read_binning(write(element(PHOTONS, name="photon")))
    second = slice(8, 168)
    edges = np.array(geometry.layers[1].r_edges)
    radius = np.tile((edges[1:] + edges[:-1]) / 2, 10)
    alpha = np.repeat(-np.pi + (np.arange(10) + 0.5) * np.pi / 5, 16)
    np.testing.assert_allclose(geometry.cell_x[second], radius * np.cos(alpha), atol=1e-12)
    np.testing.assert_allclose(geometry.cell_y[second], radius * np.sin(alpha), atol=1e-12)


@pytest.mark.parametrize("wanted", ["pion", "211"])
def test_one_of_several_particles_is_chosen(write, wanted):
    path = write(element(PHOTONS, pid=22, name="photon"), element(PIONS, pid=211, name="pion"))
    assert read_binning(path, wanted).n_cells == 533


def test_depths_are_those_of_the_layers_with_cells(write):
    depths = [2.0, 40.0, 200.0, 380.0, 600.0]
    assert [layer.depth for layer in read_binning(write(element(PHOTONS)), layer_depths=depths).layers] == depths


def test_a_configuration_keeps_the_layers_and_not_the_file(write, tmp_path):
    path = write(element(PHOTONS, name="photon"))
    config = tmp_path / "calorimeter.yaml"
    config.write_text(yaml.safe_dump({"xml": str(path), "particle": "photon", "layer_depths": [1, 2, 3, 4, 5]}))
    written = yaml.safe_dump(load_calorimeter(config).model_dump(mode="json"))
    path.unlink()
    config.write_text(written)
    geometry = Geometry.from_dict(load_calorimeter(config).to_dict())
    assert (geometry.n_cells, [layer.depth for layer in geometry.layers]) == (368, [1, 2, 3, 4, 5])


def test_a_binning_file_is_a_calorimeter(write):
    path = write(element(PHOTONS, name="photon"))
    assert Geometry.from_dict(load_calorimeter(path).to_dict()) == read_binning(path)


ONE = '<Layer id="0" r_edges="0,5" n_bin_alpha="2"/>'


def one(before, after):
    """A file of one layer, with a change."""
    return f"<Bins><Bin>{ONE.replace(before, after)}</Bin></Bins>"


@pytest.mark.parametrize(
    ("content", "particle", "depths", "text"),
    [
        ("<Bins><Bin>", None, None, "not valid XML: no element found"),
        ("<Bins></Bins>", None, None, "has no element <Bin> with layers"),
        ("<html><p/></html>", None, None, "element <html> is not expected"),
        ('<Bins><Bin name="pion"/></Bins>', "pino", None, "has no particle 'pino'; did you mean 'pion'?"),
        (
            '<Bins><Bin name="a"/><Bin pid="7"/></Bins>',
            None,
            None,
            "has several particles; set particle to one of a, 7",
        ),
        (f"<Bins><Bin>{ONE}{ONE}</Bin></Bins>", None, None, "layer 0 stands behind layer 0; ids must ascend"),
        (
            one("id=", "no="),
            None,
            None,
            "layer 1 of the file: has no attribute id",
        ),
        (one("0,5", "0,x"), None, None, "layer 0: r_edges must be numbers"),
        (one("0,5", "0,nan"), None, None, "ascend from 0 or above, got '0,nan'"),
        (one("0,5", "0,5,4"), None, None, "ascend from 0 or above, got '0,5,4'"),
        (one('"2"', '"2.5"'), None, None, "n_bin_alpha must be an integer"),
        (one('"2"', '"0"'), None, None, "layer 0: n_bin_alpha must be 1 or more"),
        (one('"2"', '"999999999"'), None, None, "cells; expected 1 to"),
        (one("0,5", "0"), None, None, "describes 0 cells; expected 1 to"),
        (one("", ""), None, [1.0, 2.0], "has 1 layers with cells, but layer_depths lists 2"),
        (
            f'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><Bins><Bin name="&c;">{ONE}</Bin></Bins>',
            None,
            None,
            "declares a document type, which a binning file does not need",
        ),
    ],
)
def test_malformed_files_are_refused_in_one_line(tmp_path, content, particle, depths, text):
    path = tmp_path / "binning.xml"
    path.write_text(content)
    with pytest.raises(GeometryError) as error:
        read_binning(path, particle, depths)
    assert str(error.value).startswith(f"{path}: ")
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_configuration_says_what_is_wrong_with_its_file(tmp_path):
    config = tmp_path / "calorimeter.yaml"
    layer = {"r": [0, 5], "alpha": 2, "depth": 1}
    for values, text in (
        ({"xml": str(tmp_path / "no.xml")}, "cannot read the binning file: No such file or directory"),
        ({"xml": "no.xml", "layers": [layer]}, "give layers or xml, not both"),
        ({"particle": "pion", "layers": [layer]}, "particle and layer_depths go with xml"),
        ({"layers": []}, "list at least one layer, or name a binning file"),
        ({"layers": [layer | {"alfa": 3}]}, "layers.0.alfa: unknown key; did you mean 'alpha'?"),
    ):
        config.write_text(yaml.safe_dump(values))
        with pytest.raises(ConfigError) as error:
            load_calorimeter(config)
        assert text in str(error.value)
