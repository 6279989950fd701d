"""The model registry of MLflow: versions of a study's bundle, of which one is the champion."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from calogan.config import Config
from calogan.errors import BundleError, CaloganError, MissingDependencyError, near_miss
from calogan.redaction import redact
from calogan.tracking import kept_run, load_mlflow, missing_as_none, one_line, store_uri

__all__ = [
    "ALIAS",
    "Record",
    "Registration",
    "Registry",
    "Version",
    "list_versions",
    "open_record",
    "open_registry",
    "register_bundle",
    "run_place",
    "version_place",
]

ALIAS = "champion"
_BUNDLE = "calogan.bundle"  # tag of a version: id of its bundle
_CONTENTS = "calogan.contents"  # tag of a version: hash of what was registered


@dataclass(frozen=True)
class Registry:
    """MLflow's store of runs and registered models.

    Attributes:
        client: MLflow's client of the store.
        failures: What the client raises when the store fails, MLflow's own exception first.
    """

    client: Any
    failures: tuple[type[Exception], ...]

    @property
    def uri(self) -> str:
        """Where the store is, without the user name and password that it may be opened with."""
        return redact(self.client.tracking_uri)

    @contextmanager
    def reporting(self, what: str) -> Iterator[None]:
        """Turn a failure of the store into one line that says `what` it did not do.

        Raises:
            CaloganError: The store fails.
        """
        try:
            yield
        except self.failures as error:
            msg = f"MLflow at {self.uri} {what}: {one_line(error)}"
            raise CaloganError(msg) from error

    def found(self, call: Callable[[str], Any], name: str) -> Any:
        """What a call finds by a name; None if there is no such thing."""
        return missing_as_none(call, name, self.failures)

    def models(self) -> list[Any]:
        """All registered models, by name."""
        page = self.client.search_registered_models()
        models = list(page)
        while page.token:
            page = self.client.search_registered_models(page_token=page.token)
            models += page
        return sorted(models, key=lambda model: str(model.name))

    def versions(self, name: str) -> list[Any]:
        """Versions of a registered model, the newest first."""
        page = self.client.search_model_versions(f"name='{name}'")
        versions = list(page)
        while page.token:
            page = self.client.search_model_versions(f"name='{name}'", page_token=page.token)
            versions += page
        return sorted(versions, key=lambda version: -int(version.version))

    def names(self, place: str) -> set[str]:
        """Names of the artifacts in a folder of the store; none if there is no such folder."""
        from mlflow.artifacts import list_artifacts

        listed = list_artifacts(artifact_uri=place, tracking_uri=self.client.tracking_uri)
        return {PurePosixPath(item.path).name for item in listed}

    def download(self, place: str, name: str, folder: Path) -> None:
        """Copy one artifact of a folder of the store into `folder`."""
        from mlflow.artifacts import download_artifacts

        download_artifacts(artifact_uri=f"{place}/{name}", dst_path=str(folder), tracking_uri=self.client.tracking_uri)


@dataclass(frozen=True)
class Record(Registry):
    """The MLflow run of a run folder.

    Attributes:
        run_id: The run.
    """

    run_id: str


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


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Attributes:
        name: Registered model.
        number: Version, counted from 1.
        aliases: Names that stand for it.
        tags: What is remembered of it.
        created: When it was registered, UTC.
    """

    name: str
    number: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    created: datetime

    @property
    def bundle(self) -> str | None:
        """Id of the bundle; None for a model that is not one of calogan's."""
        return self.tags.get(_BUNDLE)


def open_registry() -> Registry:
    """Open the store to read from it: `MLFLOW_TRACKING_URI` where that is set, else the default of a study.

    Raises:
        MissingDependencyError: MLflow is not installed.
        CaloganError: The store cannot be opened, or is a database that is not there.
    """
    uri = store_uri()
    path = uri.removeprefix("sqlite:///")
    if path != uri and "?" not in path and not Path(path).exists():
        msg = f"MLflow at {redact(uri)}: there is no such database; set MLFLOW_TRACKING_URI to the store of your runs"
        raise CaloganError(msg)
    return _opened(uri)


def open_record(config: Config) -> Record:
    """Open the MLflow run that `config.run_dir` names, to work on what it holds; its status stays as it is.

    Raises:
        MissingDependencyError: MLflow is not installed.
        CaloganError: The store cannot be opened, or has no such run.
    """
    uri = store_uri(config)
    registry = _opened(uri)
    with registry.reporting("cannot be used"):
        run = kept_run(registry.client, config.run_dir, registry.failures)
    if run is None:
        msg = f"MLflow at {registry.uri} has no run of {config.run_dir}; `calogan runs sync {config.run_dir}` makes one"
        raise CaloganError(msg)
    return Record(registry.client, registry.failures, str(run.info.run_id))


def register_bundle(
    record: Record, save: Callable[[Path], object], bundle: str, contents: str, name: str, tags: Mapping[str, str]
) -> Registration:
    """Make a bundle a version of a registered model and give it the alias ``champion``.

    The files are copied to ``models/<bundle>-<contents>`` of the run, so that a version stays what it is when the
    study goes on. What is a version already gets no second one; a bundle with other contents, such as new weights of
    its showers, does. The alias moves last: whatever fails before, the champion stays.

    Args:
        record: Run that the bundle comes from.
        save: Writes the bundle as an MLflow model into a folder that it makes.
        bundle: Its id.
        contents: Hash of all that is registered, in hexadecimal digits.
        name: Registered model; made if missing.
        tags: What to remember of the version.

    Raises:
        CaloganError: The store fails or refuses the name.
    """
    client, place = record.client, f"models/{bundle}-{contents[:12]}"
    with record.reporting(f"did not register {name!r}"):
        model = record.found(client.get_registered_model, name) or client.create_registered_model(name)
        former = model.aliases.get(ALIAS)
        version = _known_version(record, name, contents)
        if version is None:
            with tempfile.TemporaryDirectory() as folder:
                save(Path(folder) / "model")
                client.log_artifacts(record.run_id, str(Path(folder) / "model"), place)
            source = f"{client.get_run(record.run_id).info.artifact_uri}/{place}"
            every = {**tags, _BUNDLE: bundle, _CONTENTS: contents}
            version = str(client.create_model_version(name, source, record.run_id, tags=every).version)
        client.set_registered_model_alias(name, ALIAS, version)
    return Registration(name, version, None if former is None else str(former))


def list_versions(registry: Registry, name: str | None = None) -> list[Version]:
    """Versions of a registered model, or of all, the newest of each model first.

    Raises:
        BundleError: There is no such model.
        CaloganError: The store fails.
    """
    with registry.reporting("cannot list its models"):
        models = registry.models()
        chosen = [model for model in models if name in {None, model.name}]
        if name is not None and not chosen:
            raise BundleError(_no_model(registry, name, models))
        return [
            Version(
                name=str(model.name),
                number=int(one.version),
                aliases=tuple(sorted(alias for alias, of in model.aliases.items() if int(of) == int(one.version))),
                tags=dict(one.tags),
                created=datetime.fromtimestamp(one.creation_timestamp / 1000, UTC),
            )
            for model in chosen
            for one in registry.versions(model.name)
        ]


def version_place(registry: Registry, name: str, *, alias: str | None = None, number: str | None = None) -> str:
    """Where the artifacts of a version are.

    Args:
        registry: The store.
        name: Registered model.
        alias: Name that stands for a version, such as ``champion``.
        number: The version, if there is no alias; ``latest`` is the newest.

    Raises:
        BundleError: There is no such model, alias or version.
        CaloganError: The store fails.
    """
    with registry.reporting(f"cannot find model {name!r}"):
        model = registry.found(registry.client.get_registered_model, name)
        if model is None:
            raise BundleError(_no_model(registry, name, registry.models()))
        if alias is not None and alias not in model.aliases:
            msg = (
                f"model {name!r} of MLflow at {registry.uri} has no alias {alias!r}; {near_miss(alias, model.aliases)}"
            )
            raise BundleError(msg)
        wanted = str(number if alias is None else model.aliases[alias])
        there = [str(version.version) for version in registry.versions(name)]
        if wanted == "latest" and there:
            wanted = there[0]
        if wanted not in there:
            msg = f"model {name!r} of MLflow at {registry.uri} has no version {wanted}; {near_miss(wanted, there)}"
            raise BundleError(msg)
        return str(registry.client.get_model_version_download_uri(name, wanted))


def run_place(registry: Registry, run_id: str) -> str:
    """Where the artifacts of a run are.

    Raises:
        BundleError: There is no such run.
        CaloganError: The store fails.
    """
    with registry.reporting(f"cannot find run {run_id!r}"):
        run = registry.found(registry.client.get_run, run_id)
        if run is None:
            msg = f"MLflow at {registry.uri} has no run {run_id!r}; give the run's id, not its name"
            raise BundleError(msg)
        return str(run.info.artifact_uri)


def _opened(uri: str) -> Registry:
    try:
        connect, failures = load_mlflow()
    except ImportError as error:
        msg = f"needs MLflow ({one_line(error)}): pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    try:
        return Registry(connect(uri), failures)
    except failures as error:
        msg = f"MLflow at {redact(uri)} cannot be used: {one_line(error)}"
        raise CaloganError(msg) from error


def _no_model(registry: Registry, name: str, models: list[Any]) -> str:
    return f"MLflow at {registry.uri} has no registered model {name!r}; {near_miss(name, [one.name for one in models])}"


def _known_version(registry: Registry, name: str, contents: str) -> str | None:
    """The version that has these contents; those of an older calogan do not say what they have, and do not count."""
    for one in registry.versions(name):
        if one.tags.get(_CONTENTS) == contents:
            return str(one.version)
    return None
