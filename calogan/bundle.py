"""A trained surrogate as a folder of plain files: weights, graph and description; nothing in it is code."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from calogan.atomic import sync_folder, write_atomically, write_durably
from calogan.data.schema import Schema
from calogan.errors import BundleError, CaloganError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain

if TYPE_CHECKING:
    from calogan.models.generator import Generator

__all__ = ["Bundle", "BundleInfo", "write_bundle"]

FORMAT = 1
DESCRIPTION, WEIGHTS, GRAPH = "bundle.json", "weights.safetensors", "generator.onnx"
WEIGHER = "weigher.onnx"
TIME = "minutes"
"""Of the provenance; no part of the id: the same model may take longer."""


@dataclass(frozen=True)
class BundleInfo:
    """What a bundle says of itself.

    Attributes:
        id: First digits of a hash over weights and description.
        calogan_version: Version that trained it.
        condition: What the generator is told of the incident particle.
        geometry: Cells of its showers.
        domain: Incident particles that it is made for.
        threshold: Read-out threshold [GeV]; no cell is between 0 and it.
        schema: How the training files were laid out; generated files are, too.
        noise_size: Standard normals a shower.
        architecture: Sizes of the generator's network.
        provenance: Configuration and data hashes, seed, steps.
        files: SHA-256 of each file.
        validation: Verdicts and figures of the report on test showers, None before validation.
        weigher: What the weights of its showers were learnt from and what they are worth; None if it has none.
    """

    id: str
    calogan_version: str
    condition: tuple[str, ...]
    geometry: Geometry
    domain: Domain
    threshold: float
    schema: Schema
    noise_size: int
    architecture: dict[str, Any]
    provenance: dict[str, Any]
    files: dict[str, str]
    validation: dict[str, Any] | None = None
    weigher: dict[str, Any] | None = None

    @property
    def particles(self) -> tuple[int, ...]:
        """PDG ids of the types that it tells apart, in ascending order; none where the type is no condition."""
        return tuple(self.architecture.get("particles", ()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {
            "format": FORMAT,
            "id": self.id,
            "calogan_version": self.calogan_version,
            "condition": list(self.condition),
            "domain": self.domain.to_dict(),
            "threshold": self.threshold,
            "noise_size": self.noise_size,
            "architecture": self.architecture,
            "provenance": self.provenance,
            "validation": self.validation,
            "schema": self.schema.to_dict(),
            "geometry": self.geometry.to_dict(),
            "files": self.files,
        }
        return values if self.weigher is None else values | {"weigher": self.weigher}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Description from the plain values of `to_dict`."""
        if values["format"] != FORMAT:
            msg = f"is of format {values['format']}, this calogan reads format {FORMAT}; install a matching version"
            raise BundleError(msg)
        plain = {
            key: values[key]
            for key in (
                "id",
                "calogan_version",
                "threshold",
                "noise_size",
                "architecture",
                "provenance",
                "files",
                "validation",
            )
        }
        return cls(
            **plain,
            weigher=values.get("weigher"),
            condition=tuple(values["condition"]),
            geometry=Geometry.from_dict(values["geometry"]),
            domain=Domain.from_dict(values["domain"]),
            schema=Schema.from_dict(values["schema"]),
        )


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose files have been checked against their hashes."""

    path: Path
    info: BundleInfo

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a bundle.

        Args:
            path: The folder.

        Raises:
            BundleError: The folder, its description or a file is missing, damaged or of another format.
        """
        path = Path(path)
        description = path / DESCRIPTION
        if not description.is_file():
            msg = f"{path}: not a bundle: there is no {DESCRIPTION}"
            raise BundleError(msg)
        try:
            info = BundleInfo.from_dict(json.loads(description.read_text(encoding="utf-8")))
        except (BundleError, OSError) as error:
            msg = f"{description}: {error}"
            raise BundleError(msg) from error
        except (ValueError, KeyError, TypeError, CaloganError) as error:
            msg = f"{description}: damaged or not a bundle's description: {error!r}"
            raise BundleError(msg) from error
        _check_files(path, info.files)
        return cls(path, info)

    @property
    def weights_path(self) -> Path:
        """The generator's weights."""
        return self.path / WEIGHTS

    @property
    def onnx_path(self) -> Path | None:
        """The generator as an ONNX graph, or None where it was not exported."""
        return self.path / GRAPH if GRAPH in self.info.files else None

    @property
    def weigher_path(self) -> Path | None:
        """The graph that gives the showers' weights, or None where there is none."""
        return self.path / WEIGHER if WEIGHER in self.info.files else None

    def load_generator(self) -> Generator:
        """The generator in torch, on the CPU, ready to be evaluated.

        Raises:
            BundleError: The weights do not fit the description.
        """
        import torch

        from calogan.models.generator import Architecture, build_generator

        info = self.info
        try:
            architecture = Architecture.from_dict(info.architecture)
        except (KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__} {' '.join(str(error).split())}"
            msg = f"{self.path / DESCRIPTION}: the architecture is of another version of calogan: {what}"
            raise BundleError(msg) from error
        generator = build_generator(architecture, info.geometry, info.domain, info.condition, info.threshold)
        try:
            tensors = load(self.weights_path.read_bytes())
            generator.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
        except (SafetensorError, RuntimeError) as error:
            msg = f"{self.weights_path}: the weights do not fit the description: {' '.join(str(error).split())}"
            raise BundleError(msg) from error
        return generator.eval()

    def with_validation(self, summary: Mapping[str, Any]) -> Self:
        """The same bundle with a validation summary, written into its description."""
        info = replace(self.info, validation=dict(summary))
        write_atomically(self.path / DESCRIPTION, _to_json(info.to_dict()))
        return replace(self, info=info)

    def with_weigher(self, graph: bytes, description: Mapping[str, Any]) -> Self:
        """The same bundle, with the same id, and a graph that weighs its showers; one that is there is replaced.

        At any instant the folder is a bundle: with the former graph, without one, or with the new one.

        Args:
            graph: Serialised ONNX graph.
            description: What it was learnt from and what it is worth, as plain values.

        Raises:
            BundleError: The folder cannot be written.
        """
        files = {name: digest for name, digest in self.info.files.items() if name != WEIGHER}
        without = replace(self.info, files=files, weigher=None)
        info = replace(without, files=files | {WEIGHER: hashlib.sha256(graph).hexdigest()}, weigher=dict(description))
        try:
            if self.weigher_path is not None:
                write_atomically(self.path / DESCRIPTION, _to_json(without.to_dict()))
            write_atomically(self.path / WEIGHER, graph)
            write_atomically(self.path / DESCRIPTION, _to_json(info.to_dict()))
        except OSError as error:
            msg = f"{self.path}: cannot be written: {error.strerror or error}; copy the bundle and give the copy"
            raise BundleError(msg) from error
        return replace(self, info=info)


def write_bundle(
    path: Path, info: BundleInfo, weights: Mapping[str, NDArray[np.float32]], graph: bytes | None
) -> Bundle:
    """Write a bundle as a whole: the folder appears with all its files, or not at all.

    Args:
        path: The folder; one that is there is replaced.
        info: Description; `id` and `files` are filled in here.
        weights: State of the generator by name.
        graph: Serialised ONNX graph, or None.

    Returns:
        The bundle that was written, opened again.

    Raises:
        BundleError: It cannot be written; what was there is still there.
    """
    contents = {WEIGHTS: save({name: np.ascontiguousarray(value) for name, value in weights.items()})}
    if graph is not None:
        contents[GRAPH] = graph
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    made = {name: value for name, value in info.provenance.items() if name != TIME}
    core = info.to_dict() | {"id": "", "files": {WEIGHTS: files[WEIGHTS]}, "validation": None, "provenance": made}
    identity = hashlib.sha256(_to_json(core)).hexdigest()[:12]
    contents[DESCRIPTION] = _to_json(replace(info, id=identity, files=files).to_dict())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)  # of a process that was killed here
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        folder.chmod(0o755)
        for name, content in contents.items():
            write_durably(folder / name, content)
        sync_folder(folder)
        if path.exists():
            path.replace(folder.with_name(f"{folder.name}.old"))
        folder.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        msg = f"{path}: the bundle cannot be written: {error.strerror or error}; make room there, and run it again"
        if path.exists():  # else the bundle that was there is one of them
            _remove_leftovers(path)
        raise BundleError(msg) from error
    _remove_leftovers(path)
    return Bundle.load(path)


def _remove_leftovers(path: Path) -> None:
    """Remove bundles in the making, and former ones, from beside a bundle."""
    for leftover in path.parent.glob(f".{path.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _check_files(path: Path, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        if name not in {WEIGHTS, GRAPH, WEIGHER}:
            msg = f"{path / DESCRIPTION}: names an unknown file {name!r}"
            raise BundleError(msg)
        file = path / name
        if not file.is_file():
            msg = f"{path}: {name} is missing; copy the bundle's folder as a whole"
            raise BundleError(msg)
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            msg = f"{file}: damaged or replaced: its SHA-256 is not the one in {DESCRIPTION}"
            raise BundleError(msg)
    if WEIGHTS not in files:
        msg = f"{path / DESCRIPTION}: lists no {WEIGHTS}"
        raise BundleError(msg)


def _to_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=False) + "\n").encode()
