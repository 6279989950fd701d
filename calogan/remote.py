"""Bundles that MLflow holds, as folders of this machine; nothing that comes with them is executed."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

import platformdirs

from calogan.bundle import DESCRIPTION, GRAPH, WEIGHER, WEIGHTS, Bundle
from calogan.errors import BundleError, CaloganError, near_miss
from calogan.registry import Registry, open_registry, run_place, version_place

__all__ = ["cache_folder", "fetch_bundle", "folder_name", "is_remote"]

_MODEL = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<number>[0-9]+|latest))")
_RUN = re.compile(r"runs:/(?P<run_id>[^/]+)(?:/(?P<path>.+?))?/?")
_OF_A_RUN = "bundle"  # where `calogan validate` and `calogan run` put it
_OF_A_MODEL = "artifacts/bundle"  # where an MLflow model has it


def is_remote(source: str | Path) -> bool:
    """Whether a source of bundles is in MLflow.

    Example:
        >>> is_remote("models:/calogan-ecal@champion"), is_remote("runs/ecal/bundle")
        (True, False)
    """
    return str(source).startswith(("models:", "runs:"))


def folder_name(source: str) -> str:
    """A name for what is written about a bundle of MLflow.

    Example:
        >>> folder_name("models:/calogan-ecal/3"), folder_name("models:/calogan-ecal@champion")
        ('calogan-ecal-3', 'calogan-ecal@champion')
    """
    return re.sub(r"[^\w.@]+", "-", source.partition(":")[2]).strip("-")


def cache_folder() -> Path:
    """Where downloaded bundles are kept: `CALOGAN_CACHE` where that is set, else the user's cache folder."""
    return Path(os.environ.get("CALOGAN_CACHE") or platformdirs.user_cache_path("calogan"))


def fetch_bundle(source: str) -> Bundle:
    """Download a bundle from MLflow, unless it is there already.

    Of what MLflow holds, the files of a bundle alone are taken, by their names; code beside them is neither copied nor
    run. They are kept in `cache_folder`, so that samplers pickle, in a folder named by the hash of the description,
    which has the hashes of all files: no bundle can take the place of another.

    Args:
        source: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``models:/NAME/latest``, ``runs:/RUN_ID`` or
            ``runs:/RUN_ID/PATH``; a run's path is by default that of its bundle.

    Raises:
        BundleError: There is no such model, version, alias or run, it holds no bundle, or the bundle is damaged.
        MissingDependencyError: MLflow is not installed.
        CaloganError: MLflow fails, or the cache cannot be written.
    """
    model, run = _MODEL.fullmatch(source), _RUN.fullmatch(source)
    if model is None and run is None:
        msg = (
            f"{source}: expected models:/NAME@ALIAS (such as models:/calogan-ecal@champion), models:/NAME/VERSION, "
            "runs:/RUN_ID or runs:/RUN_ID/PATH"
        )
        raise BundleError(msg)
    registry = open_registry()
    if model is not None:
        place = version_place(registry, model["name"], alias=model["alias"], number=model["number"])
    else:
        assert run is not None, "one of the two matches"
        path = run["path"] or _OF_A_RUN
        place = f"{_run_folder(registry, run['run_id'], path)}/{path}"
    return _fetched(registry, source, place)


def _run_folder(registry: Registry, run_id: str, path: str) -> str:
    """The artifacts of a run, of which the first folder of the path must be one."""
    root, first = run_place(registry, run_id), path.partition("/")[0]
    with registry.reporting(f"cannot list the artifacts of run {run_id}"):
        names = registry.names(root)
    if first not in names:
        msg = f"run {run_id} of MLflow at {registry.uri} has no artifact {first!r}; {near_miss(first, sorted(names))}"
        raise BundleError(msg)
    return root


def _fetched(registry: Registry, source: str, place: str) -> Bundle:
    with registry.reporting(f"cannot list {source}"):
        names = registry.names(place)
        if DESCRIPTION not in names and "MLmodel" in names:
            place = f"{place}/{_OF_A_MODEL}"
            names = registry.names(place)
    if DESCRIPTION not in names:
        held = ", ".join(sorted(names)) or "nothing"
        msg = f"{source}: not a calogan bundle: there is no {DESCRIPTION} in {place}, which holds {held}"
        raise BundleError(msg)
    bundles = _writable(cache_folder() / "bundles")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=bundles) as partial:
        folder = Path(partial) / "bundle"
        folder.mkdir()
        _download(registry, source, place, DESCRIPTION, folder)
        description = (folder / DESCRIPTION).read_bytes()
        kept = bundles / hashlib.sha256(description).hexdigest()[:32]
        if (bundle := _kept(kept, description)) is not None:
            return bundle
        for name in (WEIGHTS, GRAPH, WEIGHER):
            if name in names:
                _download(registry, source, place, name, folder)
        try:
            Bundle.load(folder)
        except BundleError as error:
            what = str(error).replace(str(folder), place)
            msg = f"{source}: what MLflow holds is not a whole bundle: {what}"
            raise BundleError(msg) from error
        _keep(folder, kept, description)
    return Bundle.load(kept)


def _download(registry: Registry, source: str, place: str, name: str, folder: Path) -> None:
    with registry.reporting(f"cannot download {name} of {source}"):
        registry.download(place, name, folder)
    file = folder / name
    if file.is_symlink() or not file.is_file():
        msg = f"{source}: {name} in {place} is not a file; register the bundle again"
        raise BundleError(msg)


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = (
            f"{folder}: bundles from MLflow cannot be kept there: {error.strerror or error}; "
            "set CALOGAN_CACHE to a folder that can be written"
        )
        raise CaloganError(msg) from error
    return folder


def _kept(folder: Path, description: bytes) -> Bundle | None:
    """The bundle that was kept, unless its files have changed since."""
    try:
        return Bundle.load(folder) if (folder / DESCRIPTION).read_bytes() == description else None
    except (BundleError, OSError):
        return None


def _keep(folder: Path, kept: Path, description: bytes) -> None:
    """Put a folder in its place as a whole; an equal one of another process stays, a damaged one gives way."""
    try:
        folder.replace(kept)
    except OSError:
        if _kept(kept, description) is None:
            kept.replace(folder.with_name("damaged"))
            folder.replace(kept)
