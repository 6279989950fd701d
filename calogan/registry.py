"""The model registry of MLflow: versions of a study's bundle, of which one is the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calogan.config import Config
from calogan.errors import CaloganError, MissingDependencyError
from calogan.tracking import kept_run, load_mlflow, one_line, store_uri

__all__ = ["ALIAS", "Record", "Registration", "open_record", "register_bundle"]

ALIAS = "champion"
_BUNDLE = "calogan.bundle"  # tag of a version: id of its bundle


@dataclass(frozen=True)
class Record:
    """The MLflow run of a run folder.

    Attributes:
        client: MLflow's client of the store.
        run_id: The run.
        failures: What the client raises when the store fails.
    """

    client: Any
    run_id: str
    failures: tuple[type[Exception], ...]


@dataclass(frozen=True)
class Registration:
    """A bundle in the registry.

    Attributes:
        name: Registered model.
        version: Version that the bundle is.
        former: Version that had the alias before; None if none had.
    """

    name: str
    version: str
    former: str | None

    @property
    def uri(self) -> str:
        """Name by which MLflow finds the champion."""
        return f"models:/{self.name}@{ALIAS}"

    def __str__(self) -> str:
        """What became of the alias, in words."""
        before = f"; before it was version {self.former}" if self.former not in {None, self.version} else ""
        return f"{self.uri} is version {self.version}{before}"


def open_record(config: Config) -> Record:
    """Open the MLflow run that `config.run_dir` names, to work on what it holds; its status stays as it is.

    Raises:
        MissingDependencyError: MLflow is not installed.
        CaloganError: The store cannot be opened, or has no such run.
    """
    try:
        connect, failures = load_mlflow()
    except ImportError as error:
        msg = f"needs MLflow ({one_line(error)}): pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    uri = store_uri(config)
    try:
        client = connect(uri)
        run = kept_run(client, config, failures[0])
    except failures as error:
        msg = f"MLflow at {uri} cannot be used: {one_line(error)}"
        raise CaloganError(msg) from error
    if run is None:
        msg = f"MLflow at {uri} has no run of {config.run_dir}; `calogan validate` on that folder makes one"
        raise CaloganError(msg)
    return Record(client, str(run.info.run_id), failures)


def register_bundle(record: Record, folder: Path, bundle: str, name: str, tags: Mapping[str, str]) -> Registration:
    """Make a bundle a version of a registered model and give it the alias ``champion``.

    The files are copied to ``registered/<bundle>`` of the run, so that a version stays what it is when the study is
    trained on. A bundle that is a version already gets no second one. The alias moves last: whatever fails before,
    the champion stays.

    Args:
        record: Run that the bundle comes from.
        folder: Folder of the bundle.
        bundle: Its id.
        name: Registered model; made if missing.
        tags: What to remember of the version.

    Raises:
        CaloganError: The store fails or refuses the name.
    """
    client = record.client
    try:
        former = _model(record, name).aliases.get(ALIAS)
        version = _known_version(client, name, bundle)
        if version is None:
            place = f"registered/{bundle}"
            client.log_artifacts(record.run_id, str(folder), place)
            source = f"{client.get_run(record.run_id).info.artifact_uri}/{place}"
            every = {**tags, _BUNDLE: bundle}
            version = str(client.create_model_version(name, source, record.run_id, tags=every).version)
        client.set_registered_model_alias(name, ALIAS, version)
    except record.failures as error:
        msg = f"MLflow at {client.tracking_uri} did not register {name!r}: {one_line(error)}"
        raise CaloganError(msg) from error
    return Registration(name, version, None if former is None else str(former))


def _model(record: Record, name: str) -> Any:
    try:
        return record.client.get_registered_model(name)
    except record.failures[0] as error:
        if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
            raise
    return record.client.create_registered_model(name)


def _known_version(client: Any, name: str, bundle: str) -> str | None:
    found = [one for one in client.search_model_versions(f"name='{name}'") if one.tags.get(_BUNDLE) == bundle]
    return str(found[0].version) if found else None
