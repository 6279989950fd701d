"""The surrogate as an MLflow model: a table of incident particles in, a table of showers out."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array
from numpy.typing import NDArray

import calogan
from calogan.bundle import DESCRIPTION, Bundle
from calogan.errors import CaloganError
from calogan.sampler import GeneratedShowers, load_sampler

with warnings.catch_warnings():  # MLflow warns of its own type hints
    warnings.simplefilter("ignore", UserWarning)
    from mlflow.pyfunc import PythonModel
    from mlflow.pyfunc import save_model as save_pyfunc

__all__ = ["ShowerModel", "save_model"]

_COLUMNS = ("px", "py", "pz", "x", "y")
_CODE = '''"""What MLflow runs to load this model."""

from mlflow.models import set_model

from calogan.serving import ShowerModel

set_model(ShowerModel())
'''


class ShowerModel(PythonModel):  # type: ignore[misc]
    """A sampler behind MLflow's interface, in Python and over HTTP.

    A shower is one row of the answer, with its hits in lists: a table is what MLflow's signatures, its server and
    Spark know, it needs no geometry to be read, and the cells that stay dark, most of them, are not sent.
    """

    def load_context(self, context: Any) -> None:
        """Load the bundle and start its network, so that the first answer does not wait for it.

        Args:
            context: MLflow's; its `model_config` may name `device` and `threads`, as for `load_sampler`.
        """
        wanted = context.model_config or {}
        self._sampler = load_sampler(
            context.artifacts["bundle"], device=wanted.get("device") or "auto", threads=wanted.get("threads")
        )
        _ = self._sampler.network

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Make a shower for each row.

        Args:
            model_input: px, py, pz [GeV], or momentum [GeV] for a model whose `condition` has no direction, and x, y
                [mm] for one whose `condition` has the entry point; optionally
                shower_id, by default 0, 1, 2, ..., and pdg, which must be one that the model knows unless `outside` is
                "warn"; a model whose `condition` has the particle's type needs pdg.
            params: `seed`, by default fresh entropy, and `outside`, as for `ShowerSampler.sample`.

        Returns:
            A row a shower: shower_id, seed (the one that was used), in_domain (false for particles outside the domain,
            or of an unknown type, that `outside` lets in), total_energy [GeV], and lists of its hits: layer, row,
            column, energy [GeV].

        Raises:
            MlflowException: What `ShowerSampler.sample` refuses; HTTP status 400 with its text.
        """
        chosen = params or {}
        columns = {name: model_input[name].to_numpy() for name in _needed(self._sampler.bundle)}
        asked = {name: model_input[name].to_numpy() for name in ("shower_id", "pdg") if name in model_input}
        try:
            showers = self._sampler.sample(
                **columns, **asked, seed=chosen.get("seed"), outside=chosen.get("outside") or "raise"
            )
        except CaloganError as error:
            raise MlflowException.invalid_parameter_value(" ".join(str(error).split())) from error
        incident = np.zeros((len(model_input), 5), dtype=np.float32)
        incident[:, 3:] = self._sampler.domain.entry_centre
        for name, values in columns.items():
            incident[:, _COLUMNS.index("pz" if name == "momentum" else name)] = values
        in_domain = ~self._sampler.domain.outside(incident, showers.pdg)
        if self._sampler.pdg:
            in_domain &= np.isin(showers.pdg, self._sampler.pdg)
        return _table(showers, in_domain)


def save_model(bundle: Bundle, folder: Path, report: Path | None = None) -> None:
    """Write a bundle as an MLflow model: models from code, so that nothing in it is pickled.

    The code that MLflow runs to load it is three lines that import this module; the bundle is in ``artifacts/bundle``.

    Args:
        bundle: The bundle.
        folder: Where the model goes; it must not exist.
        report: Folder of a validation report, of which page, numbers and summary go to ``validation`` in the model.

    Raises:
        MlflowException: MLflow cannot write it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        code, files = Path(temporary) / "model.py", Path(temporary) / "bundle"
        code.write_text(_CODE, encoding="utf-8")
        files.mkdir()
        for name in (DESCRIPTION, *bundle.info.files):
            shutil.copy(bundle.path / name, files)
        with warnings.catch_warnings():  # MLflow's use of pandas is deprecated
            warnings.simplefilter("ignore")
            save_pyfunc(
                path=str(folder),
                python_model=str(code),
                artifacts={"bundle": str(files)},
                signature=_signature(bundle),
                input_example=(_example(bundle), {"seed": 7}),
                pip_requirements=[_requirement(bundle)],
                model_config={"device": "auto", "threads": None},
                metadata={"calogan.bundle": bundle.info.id, "calogan.domain": bundle.info.domain.describe()},
            )
    if report is not None:
        (folder / "validation").mkdir()
        for path in sorted(report.glob("report.*")):
            shutil.copy(path, folder / "validation")


def _needed(bundle: Bundle) -> list[str]:
    """Columns that the model's condition asks for."""
    momentum = _COLUMNS[:3] if "direction" in bundle.info.condition else ("momentum",)
    return [*momentum, *(_COLUMNS[3:] if "entry_point" in bundle.info.condition else ())]


def _signature(bundle: Bundle) -> ModelSignature:
    inputs = [
        *(ColSpec(DataType.double, name) for name in _needed(bundle)),
        ColSpec(DataType.long, "shower_id", required=False),
        ColSpec(DataType.long, "pdg", required=bool(bundle.info.particles)),
    ]
    outputs = [
        *(ColSpec(DataType.long, name) for name in ("shower_id", "seed")),
        ColSpec(DataType.boolean, "in_domain"),
        ColSpec(DataType.double, "total_energy"),
        *(ColSpec(Array(DataType.long), name) for name in ("layer", "row", "column")),
        ColSpec(Array(DataType.double), "energy"),
    ]
    params = [ParamSpec("seed", DataType.long, None), ParamSpec("outside", DataType.string, "raise")]
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema(params))


def _example(bundle: Bundle) -> pd.DataFrame:
    """Two particles of different momenta, straight into the middle of the front face."""
    types = bundle.info.particles
    domain = bundle.info.domain.of(types[0]) if types else bundle.info.domain
    low, high = domain.momentum
    sizes = [float(np.sqrt(low * high)), (low + high) / 2]
    columns = {"px": [0.0, 0.0], "py": [0.0, 0.0], "pz": sizes, "momentum": sizes}
    columns |= {name: [float(value)] * 2 for name, value in zip(_COLUMNS[3:], domain.entry_centre, strict=True)}
    chosen: dict[str, list[Any]] = {name: columns[name] for name in _needed(bundle)}
    return pd.DataFrame(chosen | ({"pdg": [types[0]] * 2} if types else {}))


def _requirement(bundle: Bundle) -> str:
    """This very calogan, whose formats and noise the showers depend on; torch where there is no exported graph."""
    return f"calogan{'' if bundle.onnx_path is not None else '[train]'}=={calogan.__version__}"


def _table(showers: GeneratedShowers, in_domain: NDArray[np.bool_]) -> pd.DataFrame:
    hits = showers.hits()
    ends = np.cumsum(hits.counts)[:-1]
    lists = {
        name: [part.tolist() for part in np.split(getattr(hits, name), ends)][: len(showers)]
        for name in ("layer", "row", "column", "energy")
    }
    return pd.DataFrame(
        {
            "shower_id": showers.shower_id,
            "seed": np.full(len(showers), showers.seed, dtype=np.int64),
            "in_domain": in_domain,
            "total_energy": showers.total_energy.astype(np.float64),
            **lists,
        }
    )
