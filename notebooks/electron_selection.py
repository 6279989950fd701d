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
# # An electron selection, on Geant4 and on the surrogate
#
# What an analysis wants of a fast simulation is the same result. Here a selection of electrons by their clusters runs
# twice: on showers that Geant4 made, and on showers that the surrogate makes for the same electrons. The result is its
# efficiency as a function of the momentum; how far the ratio of the two efficiencies is from 1 is the systematic
# uncertainty that the surrogate would bring.
#
# `CALOGAN_BUNDLE` names another surrogate than the one that is shipped.

# %%
import os
from pathlib import Path

import awkward as ak
import matplotlib.pyplot as plt
import numpy as np
import uproot
from scipy.stats import beta, chi2

import calogan
from calogan.data.split import SPLITS, assign_splits

sampler = calogan.load_sampler(os.environ.get("CALOGAN_BUNDLE", "ecal30-electron"))
layer = sampler.geometry.layers[0]
print(sampler)

# %% [markdown]
# ## Electrons
#
# The Geant4 showers that are shipped with calogan, in both layouts: cells that were hit, and all cells. They become
# images of 30 x 30 cells, and those below the read-out threshold are cut, as the sampler cuts them.


# %%
def read(path):
    """Event numbers, incident particles (px, py, pz [GeV], x, y [mm]), and energies of all cells [GeV]."""
    with uproot.open(path) as file:
        tree = file["showers" if "showers" in file else "hits"]
        columns = tree.arrays(["event", "px", "py", "pz", "x", "y"])
        incident = np.stack([columns[name].to_numpy() for name in ("px", "py", "pz", "x", "y")], axis=1)
        if "energy" in tree:
            energy = tree["energy"].array(library="np").astype(np.float32)
        else:
            hits = tree.arrays(["cell_ix", "cell_iy", "cell_energy"])
            shower = np.repeat(np.arange(len(hits)), ak.num(hits.cell_energy))
            energy = np.zeros((len(hits), layer.rows, layer.columns), dtype=np.float32)
            energy[shower, ak.flatten(hits.cell_ix), ak.flatten(hits.cell_iy)] = ak.flatten(hits.cell_energy)
    return columns.event.to_numpy(), incident, energy / 1000


folder = Path(calogan.__file__).parent / "resources" / "showers" / "ecal30_electron"
event, incident, geant4 = (np.concatenate(parts) for parts in zip(*map(read, sorted(folder.glob("*.root")))))
geant4[geant4 < sampler.threshold] = 0
split = assign_splits(event)
test, validation = (split == SPLITS.index(name) for name in ("test", "validation"))
print(f"{len(event)} electrons: {test.sum()} that the surrogate has never seen, {validation.sum()} for the calibration")

# %% [markdown]
# The same electrons from the surrogate. The noise of a shower is keyed by the seed and the event number.

# %%
surrogate = sampler.sample(*incident[test].T, seed=7, shower_id=event[test]).cell_energy
surrogate = surrogate.reshape(-1, layer.rows, layer.columns)

# %% [markdown]
# ## Clusters
#
# A cluster is 3 x 3 cells about the hottest one, the seed. Its energy is calibrated by one constant, the product of the
# sampling fraction and of the share of a shower that 3 x 3 cells hold. The constant comes from Geant4 showers other
# than those of the comparison, and is the same for both.


# %%
def cluster(image):
    """Energies of the seed, of 3 x 3 and of 5 x 5 cells about it [GeV], each of shape (showers,)."""
    seed = np.divmod(image.reshape(len(image), -1).argmax(axis=1), image.shape[2])
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    window = windows[np.arange(len(image)), *seed]
    return window[:, 2, 2], window[:, 1:4, 1:4].sum(axis=(1, 2)), window.sum(axis=(1, 2))


def momentum_of(particles):
    return np.linalg.norm(particles[:, :3], axis=1)


constant = np.median(cluster(geant4[validation])[1] / momentum_of(incident[validation]))
print(f"3 x 3 cells see {constant:.4f} of the momentum")

# %% [markdown]
# ## The selection
#
# - seed: more than 50 MeV in its scintillator;
# - shape: 3 x 3 cells hold more than 80% of 5 x 5 cells, which keeps narrow showers;
# - E/p: cluster energy over momentum from 0.85 to 1.15. The momentum is a tracker's, with a resolution of 1%. It is
#   that of the electron, so it is the same number in both samples.

# %%
momentum = momentum_of(incident[test])
measured = momentum * np.random.default_rng(1).normal(1, 0.01, len(momentum))


def select(image):
    """Quantities that are cut on, and whether each electron passes each cut."""
    seed, core, ring = cluster(image)
    shape = np.divide(core, ring, out=np.zeros_like(core), where=ring > 0)
    e_over_p = core / constant / measured
    cuts = {"seed": seed > 0.05, "shape": shape > 0.8, "E/p": np.abs(e_over_p - 1) < 0.15}
    return {"shape": shape, "E/p": e_over_p}, cuts


quantities, cuts = zip(select(geant4[test]), select(surrogate))

# %% [markdown]
# ## Efficiencies and their ratio
#
# An efficiency has binomial errors (Clopper and Pearson, 68%). The two are of the same electrons, so the error of their
# ratio is from a bootstrap that draws electrons, each with both its showers. What is drawn is how many electrons
# pass in both samples, in one, in the other and in none: a multinomial.


# %%
def efficiency(passed):
    """Efficiency with the ends of its interval of 68%."""
    number, total = passed.sum(), len(passed)
    low = beta.ppf(0.16, number, total - number + 1) if number else 0.0
    high = beta.ppf(0.84, number + 1, total - number) if number < total else 1.0
    return number / total, low, high


def ratio(reference, generated, draws=5000):
    """Ratio of the efficiencies, generated over reference, and its error."""
    total = len(reference)
    outcomes = np.bincount(2 * reference + generated, minlength=4)
    drawn = np.random.default_rng(2).multinomial(total, outcomes / total, size=draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (drawn[:, 1] + drawn[:, 3]) / (drawn[:, 2] + drawn[:, 3])
        return np.divide(generated.sum(), reference.sum()), np.std(ratios)


print(f"{'after':<8} {'Geant4':>8} {'surrogate':>10}   ratio")
passed = [np.ones(len(momentum), dtype=bool) for _ in cuts]
for name in cuts[0]:
    passed = [before & sample[name] for before, sample in zip(passed, cuts)]
    value, error = ratio(*passed)
    print(f"{name:<8} {passed[0].mean():8.4f} {passed[1].mean():10.4f}   {value:.4f} ± {error:.4f}")

# %%
edges = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
in_bins = [(momentum >= low) & (momentum < high) for low, high in zip(edges[:-1], edges[1:])]
efficiencies = np.array([[efficiency(sample[chosen]) for chosen in in_bins] for sample in passed])
ratios = np.array([ratio(*(sample[chosen] for sample in passed)) for chosen in in_bins])

for number, (low, high) in enumerate(zip(edges[:-1], edges[1:])):
    (reference, *_), (generated, *_) = efficiencies[:, number]
    value, error = ratios[number]
    print(
        f"{low:2.0f} to {high:2.0f} GeV: {in_bins[number].sum():4d} electrons, "
        f"{reference:.3f} | {generated:.3f}, ratio {value:.3f} ± {error:.3f}"
    )
pulls = (ratios[:, 0] - 1) / ratios[:, 1]
distance = np.sum(pulls**2)
print(f"ratio 1 in all bins: chi2 {distance:.1f} for {len(pulls)} bins, p = {chi2.sf(distance, len(pulls)):.2f}")

# %%
figure, (top, bottom) = plt.subplots(
    2, 1, figsize=(6.5, 5.5), sharex=True, height_ratios=(3, 1.3), layout="constrained"
)
middle = np.sqrt(edges[:-1] * edges[1:])
styles = {"Geant4": ("black", "o", 0.97), "surrogate": ("tab:blue", "s", 1.03)}
for (label, (color, marker, shift)), values in zip(styles.items(), efficiencies):
    value, low, high = values.T
    top.errorbar(middle * shift, value, (value - low, high - value), fmt=marker, color=color, label=label, ms=5)
top.set(ylabel="efficiency", xscale="log", title=f"{len(momentum)} electrons, each simulated twice")
top.margins(y=0.3)
top.legend(frameon=False, loc="lower right")
width = (middle - edges[:-1], edges[1:] - middle)
bottom.axhline(1, color="0.6", lw=1)
bottom.errorbar(middle, ratios[:, 0], ratios[:, 1], width, fmt="s", color="tab:blue", ms=5)
bottom.set(xlabel="|p| [GeV]", ylabel="surrogate / Geant4", xlim=(1, 64), ylim=(0.88, 1.12))
bottom.set_xticks(edges, [f"{edge:.0f}" for edge in edges])
bottom.minorticks_off()
plt.show()

# %% [markdown]
# ## What is cut on, before and after the selection
#
# Each quantity is shown for all electrons and for those that pass the other cuts; dashed lines are the cuts. Bins with
# fewer than 10 electrons are left out of the ratios.

# %%
figure, axes = plt.subplots(
    2, 2, figsize=(10, 5.5), sharex="col", sharey="row", height_ratios=(3, 1.3), layout="constrained"
)
views = {"E/p": (np.linspace(0.55, 1.35, 33), (0.85, 1.15)), "shape": (np.linspace(0.65, 1.0, 29), (0.8,))}
for (name, (bins, limits)), (top, bottom) in zip(views.items(), axes.T):
    others = [np.all([cut for other, cut in sample.items() if other != name], axis=0) for sample in cuts]
    counts = [np.histogram(sample[name], bins)[0] for sample in quantities]
    after = [np.histogram(sample[name][kept], bins)[0] for sample, kept in zip(quantities, others)]
    top.stairs(after[0], bins, fill=True, color="0.85", label="Geant4, other cuts passed")
    top.stairs(after[1], bins, color="tab:blue", lw=1.5, label="surrogate, other cuts passed")
    top.stairs(counts[0], bins, color="0.3", ls=":", lw=1.5, label="Geant4, all")
    top.stairs(counts[1], bins, color="tab:orange", ls=":", lw=1.5, label="surrogate, all")
    centres, seen = (bins[:-1] + bins[1:]) / 2, np.min(after, axis=0) >= 10
    value = after[1][seen] / after[0][seen]
    error = value * np.sqrt(1 / after[0][seen] + 1 / after[1][seen])
    bottom.axhline(1, color="0.6", lw=1)
    bottom.errorbar(centres[seen], value, error, fmt="s", color="tab:blue", ms=3, lw=1)
    for limit in limits:
        for panel in (top, bottom):
            panel.axvline(limit, color="tab:red", lw=1, ls="--")
axes[0, 0].set(ylabel="electrons", yscale="log", ylim=(0.7, None))
axes[1, 0].set(xlabel="E/p", ylabel="surrogate / Geant4", ylim=(0.4, 1.6))
axes[1, 1].set(xlabel="E(3 x 3) / E(5 x 5)")
figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=4)
plt.show()

# %% [markdown]
# ## Other showers of the same electrons
#
# Another seed gives each electron another shower. How much the ratio moves with it is what the surrogate's own
# fluctuations add to its error; the rest comes from the number of Geant4 showers and stays.

# %%
particles, key = incident[test], event[test]
values = []
for seed in range(8, 14):
    again = sampler.sample(*particles.T, seed=seed, shower_id=key).cell_energy.reshape(surrogate.shape)
    kept = np.all(list(select(again)[1].values()), axis=0)
    values.append(ratio(passed[0], kept)[0])
print("ratio with six other seeds:", ", ".join(f"{value:.4f}" for value in values))
print(f"mean {np.mean(values):.4f}, spread {np.std(values, ddof=1):.4f}")
