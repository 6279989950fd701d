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
# # The sampler in an analysis
#
# A trained surrogate is called as if it were the full simulation: incident particles in, showers out.
# Here it makes the same electrons that Geant4 simulated, which it has not seen in training, and both are compared.
#
# `CALOGAN_BUNDLE` names another surrogate than the one that is shipped.

# %%
import os
import tempfile
from pathlib import Path

import awkward as ak
import matplotlib.pyplot as plt
import numpy as np
import uproot

import calogan
from calogan.data.split import SPLITS, assign_splits

sampler = calogan.load_sampler(os.environ.get("CALOGAN_BUNDLE", "ecal30-electron"))
print(sampler)
print("condition:", ", ".join(sampler.condition))

# %% [markdown]
# ## Geant4 showers
#
# The showers that are shipped with calogan, read as any analysis reads them. Those of the test split were used neither
# for training nor for choosing the model. Cells below the read-out threshold are cut, as the sampler cuts them.

# %%
shipped = Path(calogan.__file__).parent / "resources" / "showers" / "ecal30_electron"
columns = ["event", "px", "py", "pz", "x", "y", "cell_ix", "cell_iy", "cell_energy"]
electrons = uproot.concatenate([f"{path}:hits" for path in sorted(shipped.glob("hits_*.root"))], columns)
held_out = assign_splits(ak.to_numpy(electrons.event)) == SPLITS.index("test")
electrons = electrons[held_out]

hit_energy = electrons.cell_energy / 1000  # [GeV]
lit = hit_energy >= sampler.threshold
reference = {
    "energy": ak.to_numpy(ak.sum(hit_energy[lit], axis=1)),
    "cells": ak.to_numpy(ak.sum(lit, axis=1)),
}
momentum = np.sqrt(ak.to_numpy(electrons.px**2 + electrons.py**2 + electrons.pz**2))
print(len(electrons), "held-out electrons of", f"{momentum.min():.1f} to {momentum.max():.1f} GeV")

# %% [markdown]
# ## The same electrons from the surrogate
#
# The noise of a shower is keyed by the seed and the event number: this call gives these showers in any batch, order
# and process.

# %%
showers = sampler.sample(
    electrons.px, electrons.py, electrons.pz, electrons.x, electrons.y, seed=7, shower_id=electrons.event
)
generated = {"energy": showers.total_energy, "cells": (showers.cell_energy > 0).sum(axis=1)}

# %% [markdown]
# ## Response, resolution and lit cells in bins of the momentum

# %%
edges = np.array([1.0, 4.0, 10.0, 25.0, 64.0])
print(f"{'|p| [GeV]':>10} {'showers':>8}   {'response':^17}   {'resolution':^17}   {'lit cells':^15}")
for low, high in zip(edges[:-1], edges[1:]):
    chosen = (momentum >= low) & (momentum < high)
    rows = []
    for sample in (reference, generated):
        response = sample["energy"][chosen] / momentum[chosen]
        rows.append((response.mean(), response.std() / response.mean(), sample["cells"][chosen].mean()))
    (r0, s0, n0), (r1, s1, n1) = rows
    print(
        f"{low:4.0f} to {high:2.0f} {chosen.sum():8d}   {r0:7.4f} | {r1:7.4f}   {s0:7.4f} | {s1:7.4f}   {n0:6.1f} | {n1:6.1f}"
    )
print("each: Geant4 | surrogate")

# %% [markdown]
# ## Transverse profile about the projected track

# %%
layer = sampler.geometry.layers[0]
centres = (np.array(layer.x_edges[:-1]) + np.array(layer.x_edges[1:])) / 2
bins = np.linspace(-200, 200, 41)


def profile(position, energy):
    density, _ = np.histogram(position, bins, weights=energy)
    return density / density.sum()


def distance_to_track(shower, row):
    x, slope = ak.to_numpy(electrons.x), ak.to_numpy(electrons.px / electrons.pz)
    return centres[row] - (x + layer.depth * slope)[shower]


reference_shower = np.repeat(np.arange(len(electrons)), ak.to_numpy(ak.num(hit_energy[lit])))
reference_row = ak.to_numpy(ak.flatten(electrons.cell_ix[lit]))
geant4 = profile(distance_to_track(reference_shower, reference_row), ak.to_numpy(ak.flatten(hit_energy[lit])))

shower, cell = np.nonzero(showers.cell_energy)
surrogate = profile(distance_to_track(shower, cell // layer.columns), showers.cell_energy[shower, cell])

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.stairs(geant4, bins, fill=True, color="0.8", label="Geant4")
axes.stairs(surrogate, bins, color="tab:blue", label="surrogate")
axes.set(xlabel="x of the cell minus x of the track [mm]", ylabel="share of the energy", yscale="log")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Events with many particles
#
# Ragged arrays go in, and come out in the same structure. The event number and the particle's place in the event key
# the noise.

# %%
pairs = ak.unflatten(electrons[["px", "py", "pz", "x", "y"]][:8], [2, 0, 3, 1, 2])
records = sampler.sample(pairs.px, pairs.py, pairs.pz, pairs.x, pairs.y, seed=7).to_awkward()
print(records.type.content)
print("energy of each event [GeV]:", ak.sum(records.total_energy, axis=1).tolist())
print("hottest cell of each particle [GeV]:", ak.max(records.hits.energy, axis=-1).tolist())

# %% [markdown]
# ## A ROOT file that downstream code reads like one of the full simulation

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "surrogate.root"
    showers[:100].to_root(path, layout="hits", tree="hits")
    with uproot.open(path) as file:
        print(file.keys())
        file["hits"].show()
        written = file["hits"].arrays(["event", "cell_energy"])
assert ak.all(written.event == showers.shower_id[:100])
print("energy of the first showers [MeV]:", ak.sum(written.cell_energy[:3], axis=1).tolist())
