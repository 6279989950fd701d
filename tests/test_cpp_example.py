"""Tests of the C++ example: built with CMake against the ONNX Runtime of Python, it makes Python's showers."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from calogan.export import describe
from calogan.geometry import Geometry, Layer
from calogan.noise import standard_normal
from calogan.sampler import load_sampler

EXAMPLE = Path(__file__).parents[1] / "examples" / "cpp"
COMPILER = shutil.which("c++")
LIBRARIES = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
PLACING = """
#include <cstdio>
#include <cstdlib>
#include <string>
#include "calogan.hpp"
int main(int count, char** given) try {
  const calogan::Sampler sampler(given[1]);
  const calogan::CellPlacement placement(sampler.model());
  for (int at = 2; at + 5 < count; at += 6) {
    const auto number = [&](int index) { return std::strtof(given[at + index], nullptr); };
    const auto id = static_cast<std::uint64_t>(std::atoll(given[at]));
    const calogan::Placed placed = placement({id, 0, number(1), number(2), number(3), number(4), number(5)});
    for (const calogan::Hit& hit : sampler.hits(sampler.sample(7, {placed.particle}).data()))
      std::printf("%s,0,%d,%lld,%lld,%.9g\\n", given[at], hit.layer, static_cast<long long>(hit.row + placed.rows),
                  static_cast<long long>(hit.column + placed.columns), static_cast<double>(hit.energy));
  }
} catch (const calogan::Error& error) {
  std::fprintf(stderr, "%s\\n", error.what());
  return 2;
}
"""
PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(placing LANGUAGES CXX)
add_subdirectory({example} calogan)
add_executable(placing placing.cpp)
target_compile_options(placing PRIVATE -Wall -Wextra -Wpedantic -Wconversion)
target_link_libraries(placing PRIVATE calogan)
"""
NOT_FOUND = ("ONNX Runtime's C++ headers or library were not found", "nlohmann_json was not found")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.multiprocess,
    pytest.mark.skipif(COMPILER is None, reason="the C++ example needs a compiler, c++"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The example, built within a project that uses its header, too."""
    if shutil.which("cmake") is None or not LIBRARIES:
        pytest.skip("the C++ example needs cmake and the shared library of onnxruntime's wheel")
    build, source = tmp_path_factory.mktemp("cpp"), tmp_path_factory.mktemp("placing")
    (source / "CMakeLists.txt").write_text(PROJECT.format(example=EXAMPLE))
    (source / "placing.cpp").write_text(PLACING)
    configure = ["cmake", "-S", source, "-B", build, f"-DONNXRUNTIME_LIBRARY={LIBRARIES[0]}"]
    done = subprocess.run(configure, capture_output=True, text=True)
    missing = [text for text in NOT_FOUND if text in " ".join(done.stderr.split())]
    if missing:
        pytest.skip(missing[0])
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["cmake", "--build", build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr
    return build / "calogan" / "calogan_showers"


@dataclass(frozen=True)
class Example:
    """The program, a graph and a folder for its tables."""

    program: Path
    graph: Path
    folder: Path

    def run(self, rows, columns="id,px,py,pz,x,y", *options):
        table = self.folder / "particles.csv"
        table.write_text("\n".join([columns, *(",".join(str(value) for value in row) for row in rows)]) + "\n")
        command = [self.program, self.graph, table, self.folder / "hits.csv", "7", *options]
        return subprocess.run(command, capture_output=True, text=True)

    def place(self, rows):
        """Hits, as of `hits`, of showers placed by cells: rows and columns count from the trained grid's first cell."""
        words = [str(value) for row in rows for value in row]
        done = subprocess.run(
            [self.program.parent.parent / "placing", self.graph, *words], capture_output=True, text=True
        )
        (self.folder / "hits.csv").write_text(f"id,particle,layer,row,column,energy\n{done.stdout}")
        return done

    def hits(self):
        """Columns of the hits: id, particle, layer, row, column, energy [GeV]."""
        table = np.loadtxt(self.folder / "hits.csv", delimiter=",", skiprows=1, ndmin=2)
        return (*table[:, :5].astype(np.int64).T, table[:, 5].astype(np.float32))


def with_metadata(path, graph, values):
    model = onnx.load(graph)
    onnx.helper.set_model_props(model, values)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def sampler():
    return load_sampler("ecal30-electron", threads=1)


@pytest.fixture
def example(program, sampler, tmp_path):
    """The program with the shipped surrogate."""
    graph = with_metadata(tmp_path / "graph.onnx", sampler.bundle.onnx_path, describe(sampler.bundle.info))
    return Example(program, graph, tmp_path)


def particles(domain, count):
    rng = np.random.default_rng(count)
    size, polar, azimuth = (
        np.geomspace(*domain.momentum, count),
        rng.uniform(0, domain.max_angle, count),
        rng.uniform(-np.pi, np.pi, count),
    )
    direction = [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]
    entry = [rng.uniform(*window, count) for window in (domain.entry_x, domain.entry_y)]
    return domain.clip(np.stack([*(size * part for part in direction), *entry], axis=1))


def rows_of(ids, incident):
    return [[number, *(f"{value:.9g}" for value in row)] for number, row in zip(ids, incident, strict=True)]


def cells_of(hits, ids, geometry):
    shower, _, layer, row, column, energy = hits
    cells = np.zeros((len(ids), geometry.n_cells), dtype=np.float32)
    cells[np.searchsorted(ids, shower), geometry.flat_index(layer, row, column)] = energy
    return cells


def assert_the_same(cells, expected, threshold, rtol=1e-5):
    assert ((cells > 0) != (expected > 0)).sum() <= 1e-5 * expected.size
    compared = (cells > 0) & (expected > (1 + 1e-4) * threshold)
    assert compared.sum() > 20 * len(expected)
    np.testing.assert_allclose(cells[compared], expected[compared], rtol=rtol)


def test_the_showers_are_those_of_the_sampler(example, sampler):
    incident = particles(sampler.domain, 600)
    ids = np.arange(600) * 7919 - 300_000  # negative ids, too
    done = example.run(rows_of(ids, incident))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "600 showers, 0 particles outside the domain"
    expected = sampler.cell_energy(incident, 7, ids)
    assert_the_same(cells_of(example.hits(), ids, sampler.geometry), expected, sampler.threshold)


def test_a_shower_does_not_depend_on_those_beside_it(example, sampler):
    incident = particles(sampler.domain, 200)
    assert example.run(rows_of(range(200), incident)).returncode == 0
    shower, *_, energy = example.hits()
    (example.folder / "hits.csv").unlink()
    assert example.run(rows_of([150], incident[150:151])).returncode == 0
    np.testing.assert_allclose(example.hits()[-1], energy[shower == 150], rtol=1e-5)


def test_particles_of_one_event_have_noise_of_their_own(example, sampler):
    incident = np.repeat(particles(sampler.domain, 5)[2:3], 3, axis=0)
    rows = [[*row, index] for index, row in enumerate(rows_of([9, 9, 9], incident))]
    assert example.run(rows, "id,px,py,pz,x,y,particle").returncode == 0
    shower, particle, layer, row, column, energy = example.hits()
    assert set(shower) == {9}
    cells = cells_of((particle, particle, layer, row, column, energy), np.arange(3), sampler.geometry)
    expected = sampler.cell_energy(incident, 7, np.full(3, 9), np.arange(3))
    assert_the_same(cells, expected, sampler.threshold)


def test_layers_and_a_model_without_entry_point(example, sampler):
    grids = [(10, 20), (20, 25), (4, 50)]
    edges = [(tuple(map(float, range(rows + 1))), tuple(map(float, range(columns + 1)))) for rows, columns in grids]
    geometry = Geometry(tuple(Layer(*pair, depth=10.0) for pair in edges))
    said = describe(sampler.bundle.info) | {
        "calogan.geometry": json.dumps(geometry.to_dict()),
        "calogan.condition": json.dumps(["momentum", "direction"]),
        "calogan.domain": json.dumps(sampler.domain.to_dict() | {"entry_x": [-1.0, 3.0], "entry_y": [5.0, 5.0]}),
    }
    with_metadata(example.graph, example.graph, said)
    incident = particles(sampler.domain, 40)
    done = example.run([row[:4] for row in rows_of(range(40), incident)], "id,px,py,pz")
    assert done.returncode == 0, done.stderr
    incident[:, 3:] = 1.0, 5.0
    expected = sampler.cell_energy(incident, 7, np.arange(40))
    assert_the_same(cells_of(example.hits(), np.arange(40), geometry), expected, sampler.threshold)


def test_particles_outside_the_domain_are_left_out_and_listed(example, sampler):
    low, high = sampler.domain.momentum
    far = sampler.domain.entry_x[1]
    rows = [
        [1, 0, 0, 10, 0, 0, 11],
        [2, 0, 0, 1.01 * high, 0, 0, 11],
        [3, 0, 0, 0.99 * low, 0, 0, 11],
        [4, 9, 0, 9, 0, far + 1, 11],
        [5, 0, 0, -10, 0, 0, 11],
        [6, "nan", 0, 10, 0, 0, 11],
        [9, 0, 0, "nan", 0, 0, 11],
        [10, 0, "nan", 10, 0, 0, 11],
        [11, 0, 0, 10, 0, "nan", 11],
        [7, 0, 0, 10, 0, 0, 22],
        [8, 0, 0, high, far, -far, 11],
    ]
    done = example.run(rows, "id,px,py,pz,x,y,pdg")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "2 showers, 9 particles outside the domain")
    assert done.stderr.startswith("warning: 9 particles are outside the domain and were left out; ")
    listed = (example.folder / "hits.csv.outside.csv").read_text().splitlines()
    found = {line.split('"')[1].split(",")[0]: line.split(",")[0] for line in listed[1:]}
    assert found == {
        "2": "momentum",
        "3": "momentum",
        "4": "angle; entry point",
        "5": "angle",
        "6": "not a number",
        "7": "particle type",
        "9": "not a number",
        "10": "not a number",
        "11": "not a number",
    }
    assert set(example.hits()[0]) == {1, 8}
    outside = sampler.domain.outside(np.array([row[1:6] for row in rows], dtype=np.float32))
    assert [row[0] for row, out in zip(rows, outside, strict=True) if out] == [2, 3, 4, 5, 6, 9, 10, 11]


@pytest.mark.parametrize(
    ("columns", "row", "text"),
    [
        ("id,px,py,pz,x", [1, 0, 0, 10, 0], "particles.csv:1: the first line names no column 'y'"),
        ("id,px,py,pz,x,y,energy", [], "particles.csv:1: unknown column 'energy'; this model needs id, px, py"),
        ("id,px,py,pz,x,y", [1, 0, 0, 10, 0], "particles.csv:2: has 5 values, the first line names 6"),
        ("id,px,py,pz,x,y", [1, 0, 0, "ten", 0, 0], "particles.csv:2: pz is 'ten', which is not a number"),
        ("id,px,py,pz,x,y", [1, 0, 0, "1e60", 0, 0], "particles.csv:2: pz is '1e60', which is not a number of its"),
        ("id,px,py,pz,x,y", [1, 0, 0, "+-9", 0, 0], "particles.csv:2: pz is '+-9', which is not a number of its"),
        ("id,px,py,pz,x,y", [1.5, 0, 0, 10, 0, 0], "particles.csv:2: id is '1.5', which is not a number of its kind"),
    ],
)
def test_a_wrong_table_is_one_line_and_leaves_nothing(example, columns, row, text):
    done = example.run([row], columns)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name for path in example.folder.iterdir()} == {"graph.onnx", "particles.csv"}


def test_signs_and_tiny_numbers_are_numbers(example, sampler):
    done = example.run([["+1", "+0", "1e-60", "+1e1", "-0", "-1e-300"]])
    assert (done.returncode, done.stderr) == (0, "")
    expected = sampler.cell_energy(np.array([[0, 0, 10, 0, 0]], dtype=np.float32), 7, np.array([1]))
    assert_the_same(cells_of(example.hits(), np.array([1]), sampler.geometry), expected, sampler.threshold)


@pytest.mark.parametrize("threads", ["0", "-2"])
def test_no_threads_are_refused(example, threads):
    done = example.run([[1, 0, 0, 10, 0, 0]], "id,px,py,pz,x,y", threads)
    assert (done.returncode, done.stderr) == (2, f"error: THREADS is '{threads}', expected 1 or more\n")


def test_showers_are_placed_by_cells_as_by_the_sampler(example, sampler):
    grid = sampler.geometry.layers[0]
    pitch = sampler.geometry.pitch[0]
    edges = [tuple(pitch[axis] * np.arange(-first, 40)) for axis, first in ((0, 25), (1, 30))]
    calorimeter = Geometry((Layer(*edges, depth=grid.depth, z_range=grid.z_range),))
    incident = particles(sampler.domain, 60)
    rng = np.random.default_rng(1)
    incident[:, 3:] = np.stack([rng.uniform(pair[0], pair[-1], 60) for pair in edges], axis=1)
    ids = np.arange(60)
    expected = sampler.sample(*incident.T, seed=7, shower_id=ids, placement="cell", calorimeter=calorimeter)
    assert np.ptp(expected.first[:, 0], axis=0).min() > 50
    done = example.place(rows_of(ids, incident))
    assert (done.returncode, done.stderr) == (0, "")
    shower, _, layer, row, column, energy = example.hits()
    row, column = np.array([row, column]) + sampler.geometry.cells_from(calorimeter).T
    seen = (row >= 0) & (row < len(edges[0]) - 1) & (column >= 0) & (column < len(edges[1]) - 1)
    hits = (shower[seen], None, layer[seen], row[seen], column[seen], energy[seen])
    wanted = np.zeros((60, calorimeter.n_cells), dtype=np.float32)
    found = expected.hits()
    wanted[found.shower, found.cell] = found.energy
    assert_the_same(cells_of(hits, ids, calorimeter), wanted, sampler.threshold)


@pytest.mark.parametrize(
    ("change", "x", "text"),
    [
        ({"calogan.condition": '["momentum"]'}, "0", "the model knows no entry point"),
        ({}, "nan", "the entry point nan mm is nowhere near the calorimeter"),
        ({}, "1e9", "mm is nowhere near the calorimeter"),
        ({"entry_x": [-1.0, 1.0]}, "0", "the entry window of the model is smaller than a cell"),
        ({"x_edges": 1.0}, "0", "the cells of all layers are of one size only"),
    ],
)
def test_what_cannot_be_placed_is_refused(example, sampler, change, x, text):
    said = describe(sampler.bundle.info)
    if "entry_x" in change:
        change = {"calogan.domain": json.dumps(sampler.domain.to_dict() | change)}
    elif "x_edges" in change:
        geometry = sampler.geometry.to_dict()
        edges = geometry["layers"][0]["x_edges"]
        geometry["layers"][0]["x_edges"] = [*edges[:-1], edges[-1] + change["x_edges"]]
        change = {"calogan.geometry": json.dumps(geometry)}
    with_metadata(example.graph, example.graph, said | change)
    done = example.place([[1, 0, 0, 10, x, 0]])
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr


def test_showers_of_several_particle_types(program, untrained_bundle, sampler, tmp_path):
    """Photons have a domain of their own; other types than the two are outside."""
    domain = replace(sampler.domain, particles={22: replace(sampler.domain, momentum=(5.0, 64.0))})
    condition = (*sampler.condition, "particle")
    info = sampler.bundle.info
    bundle = untrained_bundle(
        tmp_path / "typed", info.geometry, domain, info.schema, condition=condition, particles=(-11, 22), export=True
    )
    typed, pdg = load_sampler(bundle.path, threads=1), np.resize([22, -11, 22], 60)
    incident = domain.clip(particles(sampler.domain, 60), pdg)
    rows = [[*row, one] for row, one in zip(rows_of(range(60), incident), pdg, strict=True)]
    rows += [[60, 0, 0, 10, 0, 0, 11], [61, 0, 0, 2, 0, 0, 22], [62, 0, 0, 2, 0, 0, -11]]
    example = Example(program, bundle.onnx_path, tmp_path)
    done = example.run(rows, "id,px,py,pz,x,y,pdg")
    assert done.stdout.splitlines()[0] == "61 showers, 2 particles outside the domain", done.stderr
    listed = (tmp_path / "hits.csv.outside.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in listed] == ["particle type", "momentum"]
    ids, incident = np.append(np.arange(60), 62), np.concatenate([incident, np.float32([[0, 0, 2, 0, 0]])])
    expected = typed.cell_energy(incident, 7, ids, pdg=np.append(pdg, -11))
    found = cells_of(example.hits(), ids, typed.geometry)
    assert_the_same(found, expected, typed.threshold, rtol=1e-3)  # untrained, faint cells are scaled by much
    other = typed.cell_energy(incident, 7, ids, pdg=np.full(61, 22))
    assert not np.allclose(other, expected)
    (tmp_path / "hits.csv").unlink()
    assert "names no column 'pdg'" in example.run(rows_of([1], incident[:1])).stderr


def test_two_particles_with_the_same_key_are_refused(example):
    done = example.run([[1, 0, 0, 10, 0, 0], [1, 0, 0, 20, 0, 0]])
    assert done.returncode == 2
    assert "particles.csv:3: id 1 and its particle are there twice; the showers would share noise" in done.stderr


def test_a_table_of_hits_that_is_there_stays(example):
    (example.folder / "hits.csv").write_text("mine")
    done = example.run([[1, 0, 0, 10, 0, 0]])
    assert done.returncode == 2
    assert "hits.csv: exists already; give another name" in done.stderr
    assert (example.folder / "hits.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"calogan.format": "99"}, "its format is 99, expected 1"),
        ({"calogan.domain": "{"}, "its metadata are damaged"),
        ({"calogan.cells": "899"}, "its geometry has 900 cells, its showers 899"),
        (
            {"calogan.geometry": '{"layers": [{"r_edges": [0, 1], "sectors": 1, "depth": 0}]}'},
            "its calorimeter has rings",
        ),
    ],
)
def test_a_graph_that_does_not_say_what_it_is_is_refused(example, sampler, change, text):
    with_metadata(example.graph, example.graph, describe(sampler.bundle.info) | change)
    done = example.run([[1, 0, 0, 10, 0, 0]])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{example.graph}: {text}" in done.stderr


def test_noise_is_that_of_python_word_by_word(tmp_path):
    (tmp_path / "noise.cpp").write_text(
        """
        #include <cstdio>
        #include <vector>
        #include "calogan_noise.hpp"
        int main() {
          const std::uint64_t keys[][3] = {{7, 5, 0}, {~0ull, ~0ull, 3}, {0, 1ull << 63, 1ull << 40}};
          for (const auto& key : keys) {
            calogan::Stream stream(key[0], key[1], key[2]);
            for (int word = 0; word < 51; ++word) std::printf("%u ", stream.next());
            std::vector<float> numbers(51);
            calogan::standard_normal(key[0], key[1], key[2], numbers.data(), numbers.size());
            for (const float number : numbers) std::printf("%.9g ", number);
            std::printf("\\n");
          }
        }
        """
    )
    command = [COMPILER, "-std=c++17", "-O1", f"-I{EXAMPLE}", tmp_path / "noise.cpp", "-o", tmp_path / "noise"]
    subprocess.run(command, check=True, capture_output=True)
    printed = subprocess.run([tmp_path / "noise"], check=True, capture_output=True, text=True).stdout.splitlines()
    keys = [(7, 5, 0), (2**64 - 1, 2**64 - 1, 3), (0, 2**63, 2**40)]
    for line, (seed, shower, particle) in zip(printed, keys, strict=True):
        words, numbers = line.split()[:51], line.split()[51:]
        counter = [0, 0, particle, 0]
        stream = np.random.Philox(key=[seed, shower], counter=counter).random_raw(26).astype("<u8").view("<u4")
        assert [int(word) for word in words] == stream[:51].tolist()
        expected = standard_normal(seed, np.array([shower], dtype=np.uint64), 51, np.array([particle]))[0]
        np.testing.assert_allclose(np.array(numbers, dtype=np.float32), expected, atol=1e-6, rtol=1e-6)
