# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Production: files of particles in, files of showers out
#
# Three ways to put the surrogate where Geant4 was:
#
# 1. in your own code, for events on a calorimeter that is larger than the one of the training;
# 2. `calogan generate`, which makes a file of showers of a file of particles;
# 3. `calogan generate --overlay`, which sums the showers of each event.
#
# In all of them a particle that the surrogate was not trained for is not dropped: it is listed for the full simulation.
#
# `CALOGAN_BUNDLE` names another surrogate than the one that is shipped.

# %%
import csv
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import awkward as ak
import matplotlib.pyplot as plt
import numpy as np
import uproot

import calogan
from calogan.data.reading import read_provenance
from calogan.geometry import Geometry, Layer
from calogan.physics.front_face import FrontFace, enter
from calogan.stages.generate import generate

bundle = os.environ.get("CALOGAN_BUNDLE", "ecal30-electron")
sampler = calogan.load_sampler(bundle)
folder = Path(tempfile.mkdtemp())
print(sampler)

# %% [markdown]
# ## 1. Events from their vertices to a large calorimeter
#
# A toy stands for the event generator: particles of several types from a vertex near the origin, in a ROOT file with
# one entry an event.

# %%
rng = np.random.default_rng(4)


def lists(values, counts):
    return ak.unflatten(values, counts)


n_events = 200
counts = 1 + rng.poisson(7, n_events)
total = counts.sum()
momentum = np.exp(rng.uniform(np.log(0.8), np.log(80), total))
angle, azimuth = np.abs(rng.normal(0, 0.08, total)), rng.uniform(-np.pi, np.pi, total)
angle = np.where(rng.random(total) < 0.05, np.pi - angle, angle)  # some fly away from the calorimeter
vertex = np.repeat(rng.normal(0, (0.1, 0.1, 50), (n_events, 3)), counts, axis=0)
columns = {
    "pdg": rng.choice(np.array([11, 22, 211], dtype=np.int32), total, p=[0.8, 0.1, 0.1]),
    "px": momentum * np.sin(angle) * np.cos(azimuth),
    "py": momentum * np.sin(angle) * np.sin(azimuth),
    "pz": momentum * np.cos(angle),
} | dict(zip(("vx", "vy", "vz"), vertex.T))
with uproot.recreate(folder / "events.root") as file:
    particles = ak.zip({name: lists(values, counts) for name, values in columns.items()})
    file.mktree("events", {"event": "int64", "particle": particles.type.content})
    file["events"].extend({"event": 1000 + np.arange(n_events), "particle": particles})
    file["events"].show()

# %% [markdown]
# The calorimeter has 200 x 200 cells like those of the training, 12.6 m from the origin. `enter` follows straight lines
# to its front face.

# %%
layer = sampler.geometry.layers[0]
edges = [
    tuple(low + size * np.arange(-85, 116))
    for low, size in zip((layer.x_edges[0], layer.y_edges[0]), sampler.geometry.pitch[0])
]
calorimeter = Geometry((Layer(*edges, layer.depth),))
face = FrontFace(origin=(0.0, 0.0, 12_620.0))

events = uproot.open(folder / "events.root")["events"].arrays()
counts = ak.to_numpy(ak.num(events.particle_px))
flat = {name: ak.to_numpy(ak.flatten(events[f"particle_{name}"])) for name in particles.fields}
entry = enter(
    np.stack([flat[name] for name in ("vx", "vy", "vz")], axis=1),
    np.stack([flat[name] for name in ("px", "py", "pz")], axis=1),
    face,
)

# %% [markdown]
# The surrogate takes electrons of its domain that meet the calorimeter; all others are for Geant4.

# %%
domain = replace(sampler.domain, entry_x=(edges[0][0], edges[0][-1]), entry_y=(edges[1][0], edges[1][-1]))
known = np.isin(flat["pdg"], sampler.pdg)
taken = entry.reaches & known & ~domain.outside(entry.incident)
print(f"{len(taken)} particles: {taken.sum()} for the surrogate, {(~taken).sum()} for the full simulation")
print(f"of these {(~known).sum()} of other types, {(known & ~entry.reaches).sum()} electrons that fly away")

# %% [markdown]
# One call makes all showers. Ragged arrays go in; the event number and a particle's place among those of its event that
# are asked for key its noise. `placement="cell"` moves each particle by whole cells into the window of the training,
# and its shower back.

# %%
event_of_particle = np.repeat(np.arange(n_events), counts)
taken_counts = np.bincount(event_of_particle[taken], minlength=n_events)
px, py, pz, x, y = (lists(column, taken_counts) for column in entry.incident[taken].T)
showers = sampler.sample(
    px, py, pz, x, y, seed=7, shower_id=events.event, placement="cell", calorimeter=calorimeter
)
hits = showers.hits().summed(event_of_particle[taken], n_events)
print(f"{len(showers)} showers, {len(hits.cell)} cells lit in {n_events} events")
print(f"{showers.lost_energy.sum():.2f} GeV of {showers.total_energy.sum():.1f} GeV beyond the edge of the calorimeter")

# %% [markdown]
# The events go to a file, and the particles that are left to another tree of it, with what made them.

# %%
cells = ak.zip({"ix": hits.row.astype(np.int16), "iy": hits.column.astype(np.int16), "energy": hits.energy * 1000})
left = {name: values[~taken] for name, values in flat.items()}
with uproot.recreate(folder / "calorimeter.root") as file:
    cells = lists(cells, hits.counts)
    file.mktree("events", {"event": "int64", "cell": cells.type.content})
    file["events"].extend({"event": events.event, "cell": cells})
    left["event"] = ak.to_numpy(events.event)[event_of_particle[~taken]]
    file.mktree("left", {name: values.dtype for name, values in left.items()}).extend(left)
    file["provenance"] = json.dumps(showers.provenance | {"seed": showers.seed})

with uproot.open(folder / "calorimeter.root") as file:
    print({name: tree.num_entries for name, tree in file.items(filter_classname="TTree")}, file["provenance"])
    one = file["events"].arrays(entry_start=7, entry_stop=8)[0]

# %%
image = np.zeros((200, 200))
image[one.cell_ix, one.cell_iy] = one.cell_energy
here = event_of_particle == 7
figure, axes = plt.subplots(figsize=(6.8, 5.6), layout="constrained")
mesh = axes.pcolormesh(*edges, np.ma.masked_equal(image, 0).T, norm="log", cmap="viridis")
for label, chosen, marker, size in (("surrogate", taken, "o", 22), ("left to Geant4", ~taken & entry.reaches, "x", 10)):
    axes.plot(*entry.incident[here & chosen, 3:].T, marker, mfc="none", color="tab:red", ms=size, mew=1.5, label=label)
corner, sides = (edges[0][0], edges[1][0]), (edges[0][-1] - edges[0][0], edges[1][-1] - edges[1][0])
axes.add_patch(plt.Rectangle(corner, *sides, fill=False, ec="0.5"))
ticks = range(-2000, 2001, 1000)
axes.set(xlabel="x [mm]", ylabel="y [mm]", aspect="equal", title=f"event {one.event}", xticks=ticks, yticks=ticks)
axes.set(xlim=(edges[0][0] - 100, edges[0][-1] + 100), ylim=(edges[1][0] - 100, edges[1][-1] + 100))
axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False, markerscale=0.5)
figure.colorbar(mesh, label="energy of a cell [MeV]")
plt.show()

# %% [markdown]
# ## 2. File to file
#
# `calogan generate` reads a file with one particle an entry, at the front face and inside the window of the training,
# and writes the file that the full simulation would have written: its trees, branches and units, and the identifiers
# and particles of the input.
#
#     calogan generate --bundle ecal30-electron --input particles.root --output showers.root --seed 7 --layout hits
#
# The same from Python:

# %%
count = 3000
momentum = np.exp(rng.uniform(np.log(1), np.log(66), count))
direction = np.stack([rng.normal(0, 0.05, count), rng.normal(0, 0.05, count), np.ones(count)])
px, py, pz = momentum * direction / np.linalg.norm(direction, axis=0)
branches = {
    "event": np.arange(10_000, 10_000 + count),
    "pdg": rng.choice(np.array([11, 22], dtype=np.int32), count, p=[0.98, 0.02]),
} | {
    name: values.astype(np.float32)
    for name, values in zip(("px", "py", "pz", "x", "y"), (px, py, pz, *rng.uniform(-20, 20, (2, count))))
}
with uproot.recreate(folder / "particles.root") as file:
    file.mktree("showers", {name: values.dtype for name, values in branches.items()}).extend(branches)

done = generate(bundle, [str(folder / "particles.root")], folder / "showers.root", seed=7, layout="hits")
print(f"{done.showers} showers; {done.outside} particles left, listed in {done.outside_list.name}")

# %% [markdown]
# The list says why the surrogate was not asked:

# %%
with done.outside_list.open() as stream:
    outside = list(csv.DictReader(stream))
for line in outside[:4]:
    print({name: line[name] for name in ("entry", "event", "pz [GeV]", "reason")})

# %% [markdown]
# The file tells what made it:

# %%
provenance = read_provenance(done.output)
for name in ("bundle", "calogan", "seed", "key"):
    print(f"{name:8} {provenance[name]}")
assert provenance["bundle"] == sampler.version

# %% [markdown]
# The key is the event id. So any shower can be made again by itself, on any machine:

# %%
with uproot.open(done.output) as file:
    written = file["showers"].arrays()
number = 1234
one = written[number]
again = sampler.sample(one.px, one.py, one.pz, one.x, one.y, seed=7, shower_id=one.event)
print(f"event {one.event}: {ak.sum(one.cell_energy):.3f} MeV in the file, {again.total_energy[0] * 1000:.3f} MeV again")
assert np.isclose(ak.sum(one.cell_energy), again.total_energy[0] * 1000, rtol=1e-5)

# %% [markdown]
# Large files are made in parts (`--part-showers`), by several processes (`--workers`), in `showers.root.parts`. A run
# that is killed goes on from its finished parts when the same command is given again. The showers depend on neither.
#
# ## 3. Events, file to file
#
# With `--overlay` an entry is an event, and the showers of its particles are summed: here a beam that sends a few
# particles at a time into the window of the training.
#
#     calogan generate --bundle ecal30-electron --input beam.root --output sums.root --seed 7 --layout hits --overlay

# %%
counts = 1 + rng.poisson(1.5, 500)
total = counts.sum()
beam = {"pdg": rng.choice(np.array([11, 211], dtype=np.int32), total, p=[0.9, 0.1])}
beam["pz"] = rng.uniform(2, 60, total).astype(np.float32)
beam |= {name: rng.normal(0, 0.02, total).astype(np.float32) * beam["pz"] for name in ("px", "py")}
beam |= {name: rng.uniform(-20, 20, total).astype(np.float32) for name in ("x", "y")}
with uproot.recreate(folder / "beam.root") as file:
    types = {name: f"var * {values.dtype}" for name, values in beam.items()}
    tree = file.mktree("showers", {"event": "int64"} | types, counter_name=lambda _: "nparticle")
    tree.extend({"event": np.arange(len(counts))} | {name: lists(values, counts) for name, values in beam.items()})

done = generate(
    bundle, [str(folder / "beam.root")], folder / "sums.root", seed=7, layout="hits", overlay=True, part_showers=200
)
print(f"{done.events} events of {done.showers} showers; {done.outside} particles left")

# %% [markdown]
# A second tree has the particles of each event that are left, and the provenance says what the reasons mean. Here they
# are pions; Geant4's energies of those would be added.

# %%
with uproot.open(done.output) as file:
    energy = file["showers"]["cell_energy"].array()
    left = file["showers_left"].arrays()
print(left[ak.num(left.pdg) > 0][["event", "pdg", "particle_index", "reason"]][:3].to_list())
print(read_provenance(done.output)["reason"])

# %%
size = np.sqrt(beam["px"] ** 2 + beam["py"] ** 2 + beam["pz"] ** 2)
sums = ak.to_numpy(ak.sum(lists(size * (beam["pdg"] == 11), counts), axis=1))
seen = ak.to_numpy(ak.sum(energy, axis=1)) / 1000
some = sums > 0
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.hist(seen[some] / sums[some], 40, histtype="stepfilled", color="tab:blue", alpha=0.7)
axes.set(xlabel="energy of the event / sum of the momenta of its electrons", ylabel="events")
plt.show()
print(f"visible fraction {np.sum(seen) / np.sum(sums):.4f}")
