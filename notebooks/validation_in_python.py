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
# # Validation from Python
#
# Any two samples of showers with the same cells can be compared, whatever simulator made them: what the report does
# is a function of arrays. Here the full simulation is compared with itself, and with the same showers with a fault.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from calogan.config import ValidationConfig, load_config
from calogan.data.reading import read_showers
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.geometry import Geometry
from calogan.metrics.resampling import Resampling
from calogan.metrics.distances import wasserstein
from calogan.metrics.separation import separation_power
from calogan.physics.observables import compute_observables
from calogan.progress import SilentReporter
from calogan.validation.comparison import compare, make_samples
from calogan.validation.criteria import judge
from calogan.validation.defects import faint_redrawn
from calogan.validation.report import write_report
from calogan.validation.sections import report_sections

# %% [markdown]
# ## Two samples
#
# `Showers` holds arrays: event ids `(n,)`, incident particles px, py, pz [GeV], x, y [mm] `(n, 5)`, cell energies [GeV]
# `(n, cells)`, PDG ids `(n,)`. Here they come from ROOT files; any arrays will do.

# %%
config = load_config(Path("..") / "configs" / "demo.yaml")
geometry = Geometry.from_dict(config.geometry.to_dict())
read = read_showers(["calogan://ecal30_electron/hits_1001.root"], Schema.from_source(config.data.sources[0]), geometry)
showers = Showers(geometry, read.event, read.incident, read.cell_energy, read.pdg).above(config.threshold)
reference, other = showers[:1000], showers[1000:2000]
faulty = faint_redrawn(other, np.random.default_rng(1))

# %% [markdown]
# ## One metric
#
# Metrics take arrays and return a value with its error, and what samples of one distribution would give (the floor).

# %%
columns = [
    compute_observables(sample.cell_energy, sample.incident, geometry, ["isolated_cells"])["isolated_cells"]
    for sample in (reference, other, faulty)
]
edges = np.arange(-0.5, 60.0, 3.0)
resampling = Resampling(1000, 1000, paired=False, repeats=100, seed=1)
for name, generated in zip(("truth", "faulty"), columns[1:], strict=True):
    for metric in (separation_power(columns[0], generated, edges), wasserstein(columns[0], generated, resampling)):
        print(f"{name}: {metric.name} {metric.value:.4f} ± {metric.error:.4f}, floor {metric.floor:.4f}")

# %% [markdown]
# ## One study
#
# A study measures one thing in all its parts; `make_samples` cuts, pairs and computes what studies share.

# %%
from calogan.validation.studies.diversity import study_diversity

settings = ValidationConfig(bootstrap=50, classifiers=False)
samples = make_samples(reference, faulty, settings, config.threshold, SilentReporter())
for metric in study_diversity(samples, SilentReporter()).metrics[:5]:
    print(f"{metric.name}: {metric.value:+.3f} ± {metric.error:.3f}")

# %% [markdown]
# ## The whole report
#
# With `classifiers=True` (the default) a network and boosted trees try to tell the samples apart, too.

# %%
comparison = compare(reference, faulty, settings, config.threshold, SilentReporter())
verdicts = judge(comparison, settings.criteria)
for verdict in verdicts:
    if verdict.outcome.value == "fail":
        print(f"{verdict.criterion}: {verdict.difference:.3f} ± {verdict.error:.3f}, effect size {verdict.bound}")

# %%
folder = Path(tempfile.mkdtemp())
sections = report_sections(comparison)
written = write_report(
    comparison, verdicts, sections, folder, title="faint cells redrawn", inputs={}, reporter=SilentReporter()
)
print(sorted(path.name for path in folder.iterdir()), written.passed)

# %% [markdown]
# The same showers in another order, or generated for the same particles, are found to be pairs.

# %%
order = np.random.default_rng(2).permutation(1000)
again = replace(reference, cell_energy=reference.cell_energy * np.float32(1.01))[order]
print(make_samples(reference, again, settings, config.threshold, SilentReporter()).paired)
