"""Where samplers come from: a bundle's folder, one that is shipped with calogan, or one that MLflow holds."""

from __future__ import annotations

from pathlib import Path

from calogan.bundle import Bundle
from calogan.errors import BundleError, near_miss
from calogan.remote import fetch_bundle, is_remote
from calogan.sampler.network import Backend
from calogan.sampler.sampler import ShowerSampler

__all__ = ["builtin_bundles", "find_bundle", "load_sampler"]

_SHIPPED = Path(__file__).parents[1] / "resources" / "bundles"


def builtin_bundles() -> list[str]:
    """Names of the bundles that are shipped with calogan."""
    return sorted(path.parent.name for path in _SHIPPED.glob("*/bundle.json"))


def find_bundle(source: str | Path) -> Bundle:
    """Load a bundle.

    Args:
        source: A bundle's folder, the name of a shipped bundle, or one that MLflow holds, as for `fetch_bundle`.

    Raises:
        BundleError: There is none, or the bundle is damaged.
        MissingDependencyError: It is in MLflow, which is not installed.
        CaloganError: MLflow fails, or what it holds cannot be kept here.
    """
    if is_remote(source):
        return fetch_bundle(str(source))
    folder = Path(source)
    if str(source) in builtin_bundles() and not folder.is_dir():
        folder = _SHIPPED / str(source)
    if not folder.is_dir():
        msg = f"{source}: neither a bundle's folder nor a shipped bundle. {near_miss(str(source), builtin_bundles())}"
        raise BundleError(msg)
    return Bundle.load(folder)


def load_sampler(
    source: str | Path,
    *,
    device: str = "auto",
    backend: Backend = "auto",
    threads: int | None = None,
    batch_size: int = 1000,
) -> ShowerSampler:
    """Load a surrogate.

    Args:
        source: A bundle's folder, the name of a shipped bundle, ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``,
            ``runs:/RUN_ID`` or ``runs:/RUN_ID/PATH``. Those of MLflow are kept in a cache; nothing of them is executed.
        device: As `ShowerSampler`; so are the others.
        backend: As `ShowerSampler`.
        threads: As `ShowerSampler`.
        batch_size: As `ShowerSampler`.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
        ConfigError: A setting out of range.
        CaloganError: It is in MLflow, which is not installed or fails.
    """
    return ShowerSampler(find_bundle(source), device=device, backend=backend, threads=threads, batch_size=batch_size)
