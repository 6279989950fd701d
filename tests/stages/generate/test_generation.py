"""Generating files: what is copied, what is generated, what is left out, and what is refused."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uproot
from safetensors.numpy import load_file

import calogan
from calogan.bundle import Bundle, write_bundle
from calogan.config import DenseSource, HitsSource, Units
from calogan.data.files import InputFile
from calogan.data.reading import iterate_showers, read_provenance
from calogan.data.schema import Schema
from calogan.errors import BundleError, ConfigError, DataError, DomainError, SchemaError
from calogan.geometry import Geometry, Layer
from calogan.physics.kinematics import Domain
from calogan.sampler import load_sampler
from calogan.stages.generate import generate

CELLS = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
GEOMETRY = Geometry((Layer(CELLS, CELLS, 40.0), Layer(CELLS[::2], CELLS[::3], 90.0)))
DOMAIN = Domain((1.0, 64.0), 0.35, (-5.0, 5.0), (-5.0, 5.0))
UNITS = Units(energy="keV", momentum="MeV", length="cm")
SOURCES = {
    "hits": HitsSource(layout="hits", files=["-"], tree="hits", cell_layer="cell_layer", pdg="pdg", units=UNITS),
    "dense": DenseSource(layout="dense", files=["-"], tree="hits", energy=["front", "back"], pdg="pdg"),
    "anonymous": HitsSource(layout="hits", files=["-"], tree="hits", cell_layer="cell_layer", event=None),
}


@pytest.fixture
def make_bundle(tmp_path, untrained_bundle):
    def make(source="dense", condition=("momentum", "direction", "entry_point")):
        schema = Schema.from_source(SOURCES[source])
        path = tmp_path / f"bundle-{source}"
        return untrained_bundle(path, GEOMETRY, DOMAIN, schema, condition=condition).path

    return make


def particles(count=40, first=1000):
    rng = np.random.default_rng(first)
    return {
        "event": np.arange(first, first + count)[::-1].astype(np.int64),
        "pdg": np.full(count, 11, dtype=np.int32),
        "px": rng.normal(0, 0.5, count).astype(np.float32),
        "py": rng.normal(0, 0.5, count).astype(np.float32),
        "pz": rng.uniform(5, 50, count).astype(np.float32),
        "x": rng.uniform(-5, 5, count).astype(np.float32),
        "y": rng.uniform(-5, 5, count).astype(np.float32),
        "sim_time_ms": rng.uniform(1, 100, count).astype(np.float32),
    }


def write_input(path, columns=None, tree="hits"):
    columns = particles() if columns is None else columns
    with uproot.recreate(path) as file:
        file.mktree(tree, {name: values.dtype for name, values in columns.items()}).extend(columns)
    return str(path)


def read(path, tree="hits"):
    with uproot.open(path) as file:
        return file[tree].arrays(library="np"), file[tree].typenames()


def cells_of(path, bundle, layout="dense"):
    sampler = load_sampler(bundle)
    schema = sampler.bundle.info.schema.as_layout(layout, GEOMETRY)
    return np.concatenate([showers.cell_energy for showers in iterate_showers(InputFile(str(path)), schema, GEOMETRY)])


def listed(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_copies_particles_and_generates_the_rest(tmp_path, make_bundle):
    bundle, inputs = make_bundle(), particles()
    result = generate(bundle, [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)
    assert (result.showers, result.outside, result.outside_list) == (40, 0, None)
    found, types = read(result.output)
    assert list(found) == ["event", "pdg", "px", "py", "pz", "x", "y", "front", "back"]
    assert types["front"] == "float[6][6]"
    assert types["event"] == "int64_t"
    for name in ("event", "pdg", "px", "py", "pz", "x", "y"):
        np.testing.assert_array_equal(found[name], inputs[name])
        assert found[name].dtype == inputs[name].dtype
    showers = load_sampler(bundle).sample(
        *(inputs[name] for name in ("px", "py", "pz", "x", "y")), seed=7, shower_id=inputs["event"]
    )
    generated = np.concatenate([found["front"].reshape(40, -1), found["back"].reshape(40, -1)], axis=1)
    np.testing.assert_allclose(generated, showers.cell_energy * 1000, rtol=1e-5)  # [MeV]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle-dense", "in.root", "out.root"]


@pytest.mark.parametrize("rntuple", [False, True])
def test_copies_types_and_values_exactly(tmp_path, make_bundle, rntuple):
    rng = np.random.default_rng(3)
    inputs = particles(2500)
    inputs |= {name: inputs[name] + rng.normal(0, 1e-9, 2500) for name in ("px", "py", "pz", "x", "y")}
    inputs |= {"event": inputs["event"].astype(np.int32), "pdg": inputs["pdg"].astype(np.int64)}
    inputs["pz"][7] = 100
    source = write_input(tmp_path / "in.root", inputs)
    generate(make_bundle(), [source], tmp_path / "out.root", seed=7, rntuple=rntuple, chunk_showers=700)
    with uproot.open(tmp_path / "out.root") as file:
        for name in ("event", "pdg", "px", "py", "pz", "x", "y"):
            found, expected = file["hits"][name].array(library="np"), np.delete(inputs[name], 7)
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes()


def test_copies_types_even_where_nothing_is_generated(tmp_path, make_bundle):
    inputs = particles(3)
    inputs["pz"] = np.full(3, 100.0)
    generate(make_bundle(), [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)
    assert read(tmp_path / "out.root")[1]["pz"] == "double"


def test_an_input_that_does_not_fit_the_types_of_the_first_is_refused(tmp_path, make_bundle):
    bundle = make_bundle()
    single = write_input(tmp_path / "single.root")
    inputs = particles(5, first=9000)
    inputs["pz"] = inputs["pz"].astype(np.float64)
    double = write_input(tmp_path / "double.root", inputs)
    with pytest.raises(
        SchemaError, match=r"double\.root:hits, branch 'pz': float64 does not fit float32 of the first input"
    ):
        generate(bundle, [single, double], tmp_path / "out.root", seed=7)
    assert not (tmp_path / "out.root").exists()
    generate(bundle, [double, single], tmp_path / "out.root", seed=7)
    np.testing.assert_array_equal(read(tmp_path / "out.root")[0]["pz"], [*inputs["pz"], *particles()["pz"]])


def test_ids_that_do_not_fit_are_refused(tmp_path, make_bundle):
    inputs = particles(3)
    inputs["event"] = np.array([1, 2, 2**63], dtype=np.uint64)
    with pytest.raises(DataError, match=r"branch 'event', entry 2: the event id 9223372036854775808 does not fit"):
        generate(make_bundle(), [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)


def test_types_that_do_not_fit_are_refused(tmp_path, make_bundle):
    inputs = particles(3) | {"pdg": np.array([11, 11, 2**40 + 11])}
    with pytest.raises(DataError, match=r"branch 'pdg', entry 2: the PDG id 1099511627787 does not fit 32 bits"):
        generate(make_bundle(), [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)


def test_one_input_needs_no_list(tmp_path, make_bundle):
    assert generate(make_bundle(), write_input(tmp_path / "in.root"), tmp_path / "out.root", seed=7).showers == 40


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize("chunk_showers", [1000, 9])
def test_batches_give_the_same_showers(tmp_path, make_bundle, batch_size, chunk_showers):
    bundle, source = make_bundle(), write_input(tmp_path / "in.root")
    generate(bundle, [source], tmp_path / "expected.root", seed=7, batch_size=40)
    generate(bundle, [source], tmp_path / "out.root", seed=7, batch_size=batch_size, chunk_showers=chunk_showers)
    expected = cells_of(tmp_path / "expected.root", bundle)
    np.testing.assert_allclose(cells_of(tmp_path / "out.root", bundle), expected, rtol=1e-5, atol=1e-5)  # [GeV]
    generate(bundle, [source], tmp_path / "other.root", seed=8)
    assert not np.allclose(cells_of(tmp_path / "other.root", bundle), expected)


def test_units_of_the_training_data(tmp_path, make_bundle):
    bundle = make_bundle("hits")
    inputs = particles()
    inputs |= {name: inputs[name] * np.float32(1000) for name in ("px", "py", "pz")}  # [MeV]
    inputs |= {name: inputs[name] / np.float32(10) for name in ("x", "y")}  # [cm]
    generate(bundle, [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)
    found, types = read(tmp_path / "out.root")
    assert {"cell_layer", "cell_ix", "cell_iy", "cell_energy"} <= set(types)
    np.testing.assert_allclose(found["pz"], inputs["pz"], rtol=1e-6)
    np.testing.assert_allclose(found["x"], inputs["x"], rtol=1e-6)
    plain = particles()
    showers = load_sampler(bundle).sample(
        *(plain[name] for name in ("px", "py", "pz", "x", "y")), seed=7, shower_id=plain["event"]
    )
    total = np.array([energies.sum() for energies in found["cell_energy"]])
    np.testing.assert_allclose(total, showers.total_energy * 1e6, rtol=1e-4)  # [keV]


def test_other_tree_and_layout(tmp_path, make_bundle):
    bundle = make_bundle()
    source = write_input(tmp_path / "in.root", tree="electrons")
    generate(bundle, [source], tmp_path / "out.root", seed=7, tree="electrons", layout="hits")
    _, types = read(tmp_path / "out.root", "electrons")
    assert types["cell_energy"] == "float[]"
    generate(bundle, [f"{source}:electrons"], tmp_path / "dense.root", seed=7)
    np.testing.assert_allclose(
        cells_of(f"{tmp_path / 'dense.root'}", bundle).sum(axis=1),
        [energies.sum() / 1000 for energies in read(tmp_path / "out.root", "electrons")[0]["cell_energy"]],
        rtol=1e-5,
    )


def test_rntuple(tmp_path, make_bundle):
    bundle, source = make_bundle(), write_input(tmp_path / "in.root")
    generate(bundle, [source], tmp_path / "out.root", seed=7)
    generate(bundle, [source], tmp_path / "rntuple.root", seed=7, rntuple=True)
    with uproot.open(tmp_path / "rntuple.root") as file:
        assert "RNTuple" in file.classname_of("hits")
    np.testing.assert_array_equal(cells_of(tmp_path / "rntuple.root", bundle), cells_of(tmp_path / "out.root", bundle))


def test_many_inputs_make_one_output(tmp_path, make_bundle):
    bundle = make_bundle()
    first = write_input(tmp_path / "in_1.root")
    second = write_input(tmp_path / "in_2.root", particles(5, first=9000))
    result = generate(bundle, [str(tmp_path / "in_*.root")], tmp_path / "out.root", seed=7)
    assert result.showers == 45
    generate(bundle, [second, first], tmp_path / "swapped.root", seed=7)
    expected = cells_of(tmp_path / "out.root", bundle)
    np.testing.assert_allclose(cells_of(tmp_path / "swapped.root", bundle), np.roll(expected, 5, axis=0), rtol=1e-5)


def test_names_of_the_inputs(tmp_path, make_bundle):
    bundle, inputs = make_bundle(), particles()
    generate(bundle, [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)
    renamed = {"mc_number": inputs["event"], "mc_pz": inputs["pz"].astype(np.float64)}
    renamed |= {name: inputs[name] for name in ("px", "py", "x", "y")}
    source = write_input(tmp_path / "renamed.root", renamed)
    names = {"event": "mc_number", "pz": "mc_pz", "pdg": None}
    generate(bundle, [source], tmp_path / "other.root", seed=7, input_branches=names)
    found, _ = read(tmp_path / "other.root")
    np.testing.assert_array_equal(found["event"], inputs["event"])
    np.testing.assert_array_equal(found["pz"], inputs["pz"])
    assert not found["pdg"].any()
    np.testing.assert_array_equal(found["front"], read(tmp_path / "out.root")[0]["front"])


def test_without_event_ids_the_entry_is_the_key(tmp_path, make_bundle):
    bundle, inputs = make_bundle("anonymous"), particles()
    files = [write_input(tmp_path / f"{name}.root", inputs) for name in ("a", "b")]
    generate(bundle, files, tmp_path / "out.root", seed=7, layout="dense")
    cells = cells_of(tmp_path / "out.root", bundle)
    showers = load_sampler(bundle).sample(
        *(np.tile(inputs[name], 2) for name in ("px", "py", "pz", "x", "y")), seed=7, shower_id=np.arange(80)
    )
    np.testing.assert_allclose(cells, showers.cell_energy, rtol=1e-5)
    assert not np.allclose(cells[:40], cells[40:])


def test_without_event_ids_the_list_counts_entries_over_files(tmp_path, make_bundle):
    files = [write_input(tmp_path / f"{name}.root", particles(6) | {"pz": np.full(6, 99.0)}) for name in ("a", "b")]
    result = generate(make_bundle("anonymous"), files, tmp_path / "out.root", seed=7)
    assert [int(row["event"]) for row in listed(result.outside_list)] == list(range(12))
    assert [int(row["entry"]) for row in listed(result.outside_list)] == [*range(6), *range(6)]


def test_repeated_event_ids(tmp_path, make_bundle):
    bundle = make_bundle()
    files = [write_input(tmp_path / f"{name}.root", particles(6)) for name in ("a", "b")]
    with pytest.raises(DataError, match=r"b\.root, branch 'event', entry 0: event 1005 is there twice"):
        generate(bundle, files, tmp_path / "out.root", seed=7)
    assert not (tmp_path / "out.root").exists()
    generate(bundle, files, tmp_path / "out.root", seed=7, key="entry")
    found, _ = read(tmp_path / "out.root")
    np.testing.assert_array_equal(found["event"], np.tile(particles(6)["event"], 2))
    assert not np.allclose(found["front"][:6], found["front"][6:])


def test_outside_is_left_out_and_listed(tmp_path, make_bundle):
    bundle, inputs = make_bundle(), particles()
    inputs["pz"][3], inputs["px"][5], inputs["x"][7], inputs["py"][9] = 80, 40, 6, np.nan
    inputs["px"][11], inputs["py"][11], inputs["pz"][11] = 0, 0, 0
    source = write_input(tmp_path / "in.root", inputs)
    result = generate(bundle, [source], tmp_path / "out.root", seed=7, chunk_showers=4)
    assert (result.showers, result.outside) == (35, 5)
    assert result.outside_list == tmp_path / "out.root.outside.csv"
    rows = listed(result.outside_list)
    assert [int(row["entry"]) for row in rows] == [3, 5, 7, 9, 11]
    assert [int(row["event"]) for row in rows] == list(inputs["event"][[3, 5, 7, 9, 11]])
    reasons = [row["reason"] for row in rows]
    assert reasons[0] == "momentum"
    assert "angle" in reasons[1]
    assert reasons[2:4] == ["entry point", "not a number"]
    assert "momentum" in reasons[4]
    assert {row["file"] for row in rows} == {f"{source}:hits"}
    assert float(rows[0]["pz [GeV]"]) == 80
    assert {row["pdg"] for row in rows} == {"11"}
    found, _ = read(result.output)
    kept = np.delete(np.arange(40), [3, 5, 7, 9, 11])
    np.testing.assert_array_equal(found["event"], inputs["event"][kept])
    generate(bundle, [write_input(tmp_path / "good.root")], tmp_path / "out.root", seed=7, overwrite=True)
    assert not result.outside_list.exists()
    np.testing.assert_allclose(cells_of(result.output, bundle)[kept], found_cells(found), rtol=1e-5)


def found_cells(found):
    return np.concatenate([found[name].reshape(len(found["event"]), -1) for name in ("front", "back")], axis=1) / 1000


def test_all_outside(tmp_path, make_bundle):
    inputs = particles(3)
    inputs["pz"][:] = 100
    result = generate(make_bundle(), [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)
    assert (result.showers, result.outside) == (0, 3)
    assert len(read(result.output)[0]["event"]) == 0
    assert len(listed(result.outside_list)) == 3


def test_outside_is_refused(tmp_path, make_bundle):
    inputs = particles()
    inputs["pz"][3] = 80
    source = write_input(tmp_path / "in.root", inputs)
    with pytest.raises(DomainError, match=r"in\.root:hits, entry 3: .*pz=80 GeV.*\|p\| 1 to 64 GeV"):
        generate(make_bundle(), [source], tmp_path / "out.root", seed=7, outside="raise")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle-dense", "in.root"]


def test_a_model_without_entry_point_ignores_it(tmp_path, make_bundle):
    bundle, inputs = make_bundle(condition=("momentum", "direction")), particles()
    inputs["x"][0] = 1000
    result = generate(bundle, [write_input(tmp_path / "in.root", inputs)], tmp_path / "out.root", seed=7)
    assert result.showers == 40
    np.testing.assert_array_equal(read(result.output)[0]["x"], inputs["x"])


def test_a_model_without_entry_point_takes_any_window(tmp_path, untrained_bundle):
    domain = replace(DOMAIN, entry_x=(10.0, 20.0))
    schema = Schema.from_source(SOURCES["dense"])
    bundle = untrained_bundle(tmp_path / "b", GEOMETRY, domain, schema, condition=("momentum", "direction"))
    result = generate(bundle.path, [write_input(tmp_path / "in.root")], tmp_path / "out.root", seed=7)
    assert (result.showers, result.outside) == (40, 0)


@pytest.fixture
def electron_bundle(tmp_path, make_bundle):
    bundle = Bundle.load(make_bundle())
    info = replace(bundle.info, provenance={"pdg": [11]}, files={})
    return write_bundle(tmp_path / "electrons", info, load_file(bundle.weights_path), None).path


def test_another_particle_type_is_outside(tmp_path, electron_bundle):
    inputs = particles()
    inputs["pdg"][[2, 4]], inputs["pz"][4] = 211, 80
    source = write_input(tmp_path / "in.root", inputs)
    result = generate(electron_bundle, [source], tmp_path / "out.root", seed=7)
    assert (result.showers, result.outside) == (38, 2)
    rows = listed(result.outside_list)
    assert [row["reason"] for row in rows] == ["particle type", "momentum; particle type"]
    assert set(read(result.output)[0]["pdg"]) == {11}
    with pytest.raises(DomainError, match=r"entry 2: pdg=211, .*mm, pdg 11( \(e-\))?\) in particle type; leave"):
        generate(electron_bundle, [source], tmp_path / "more.root", seed=7, outside="raise")


def test_without_a_type_the_particles_have_the_trained_one(tmp_path, electron_bundle):
    inputs = {name: values for name, values in particles().items() if name != "pdg"}
    source = write_input(tmp_path / "in.root", inputs)
    result = generate(electron_bundle, [source], tmp_path / "out.root", seed=7, input_branches={"pdg": None})
    assert read(result.output)[0]["pdg"].tolist() == [11] * 40


def test_the_showers_appear_last(tmp_path, make_bundle, monkeypatch):
    """So that an output never lacks its list, wherever a run is killed."""
    inputs = particles()
    inputs["pz"][3] = 80
    source, moved = write_input(tmp_path / "in.root", inputs), []
    replace_file = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, to: moved.append(to.name) or replace_file(path, to))
    generate(make_bundle(), [source], tmp_path / "new" / "out.root", seed=7)
    assert moved[-2:] == ["out.root.outside.csv", "out.root"]


def test_records_what_made_it(tmp_path, make_bundle):
    bundle, source = make_bundle(), write_input(tmp_path / "in.root")
    generate(bundle, [source], tmp_path / "out.root", seed=2**64 - 1)
    record = read_provenance(tmp_path / "out.root")
    assert record["bundle"] == load_sampler(bundle).version
    assert record["calogan"] == calogan.__version__
    assert record["seed"] == str(2**64 - 1)
    assert record["inputs"] == source
    assert record["key"] == "event"
    assert record["command"]


def test_existing_output_is_kept(tmp_path, make_bundle):
    bundle, source = make_bundle(), write_input(tmp_path / "in.root")
    (tmp_path / "out.root").write_text("precious")
    with pytest.raises(DataError, match="exists already"):
        generate(bundle, [source], tmp_path / "out.root", seed=7)
    assert (tmp_path / "out.root").read_text() == "precious"
    with pytest.raises(DataError, match="is a folder"):
        generate(bundle, [source], tmp_path, seed=7, overwrite=True)


def test_an_input_is_not_overwritten(tmp_path, make_bundle):
    source = write_input(tmp_path / "in.root")
    with pytest.raises(DataError, match="is an input, too"):
        generate(make_bundle(), [source], tmp_path / "bundle-dense" / ".." / "in.root", seed=7, overwrite=True)


def test_a_bad_second_input_leaves_nothing(tmp_path, make_bundle):
    source = write_input(tmp_path / "in.root")
    (tmp_path / "torn.root").write_bytes((tmp_path / "in.root").read_bytes()[:800])
    with pytest.raises(DataError, match="truncated"):
        generate(make_bundle(), [source, str(tmp_path / "torn.root")], tmp_path / "out.root", seed=7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle-dense", "in.root", "torn.root"]


def test_bad_inputs_are_named(tmp_path, make_bundle):
    bundle, columns = make_bundle(), particles()
    without = write_input(tmp_path / "a.root", {name: values for name, values in columns.items() if name != "pz"})
    with pytest.raises(SchemaError, match=r"a\.root:hits: no branch 'pz'"):
        generate(bundle, [without], tmp_path / "out.root", seed=7)
    with pytest.raises(SchemaError, match=r"no tree 'electrons'; .*'hits'; choose by tree, --tree or FILE\.root:TREE"):
        generate(bundle, [without], tmp_path / "out.root", seed=7, tree="electrons")
    floating = write_input(tmp_path / "b.root", columns | {"event": columns["event"].astype(np.float64)})
    with pytest.raises(SchemaError, match=r"branch 'event'.*whole number"):
        generate(bundle, [floating], tmp_path / "out.root", seed=7)
    anonymous = write_input(tmp_path / "d.root", {name: columns[name] for name in columns if name != "event"})
    with pytest.raises(SchemaError, match=r"no branch 'event'; .*; if there is none: --branch event= "):
        generate(bundle, [anonymous], tmp_path / "out.root", seed=7)
    with pytest.raises(DataError, match="no such file"):
        generate(bundle, [str(tmp_path / "c.root")], tmp_path / "out.root", seed=7)
    with pytest.raises(BundleError, match="neither a bundle's folder nor a shipped bundle"):
        generate(tmp_path / "none", [floating], tmp_path / "out.root", seed=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 7.9}, "seed must be a whole number"),
        ({"chunk_showers": 0}, "chunk_showers"),
        ({"part_showers": 0}, "part_showers"),
        ({"outside": "refuse"}, "outside='refuse': .*There are: 'list', 'raise'"),
        ({"key": "events"}, "key='events': did you mean 'event'"),
        ({"layout": "hit"}, "layout='hit': did you mean 'hits'"),
        ({"batch_size": 0}, "batch_size"),
        ({"input_branches": {"momentum": "p"}}, "input branch 'momentum'='p'.*There are: 'event', 'pdg', 'px'"),
        ({"input_branches": {"px": None}}, "input branch 'px'"),
    ],
    ids=str,
)
def test_options_are_checked(tmp_path, make_bundle, options, message):
    source = write_input(tmp_path / "in.root")
    with pytest.raises(ConfigError, match=message):
        generate(make_bundle(), [source], tmp_path / "out.root", **{"seed": 7, **options})
    assert not (tmp_path / "out.root").exists()
