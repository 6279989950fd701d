"""A trained surrogate as a folder of plain files: weights, graph and description; nothing in it is code."""

from __future__ import annotations

import hashlib
import json
import os
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

from calogan.data.schema import Schema
from calogan.errors import BundleError, CaloganError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain

if TYPE_CHECKING:
    from calogan.models.generator import Generator

__all__ = ["Bundle", "BundleInfo", "write_atomically", "write_bundle"]

FORMAT = 1
DESCRIPTION, WEIGHTS, GRAPH = "bundle.json", "weights.safetensors", "generator.onnx"


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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
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
    """
    contents = {WEIGHTS: save({name: np.ascontiguousarray(value) for name, value in weights.items()})}
    if graph is not None:
        contents[GRAPH] = graph
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    core = info.to_dict() | {"id": "", "files": {WEIGHTS: files[WEIGHTS]}, "validation": None}
    identity = hashlib.sha256(_to_json(core)).hexdigest()[:12]
    contents[DESCRIPTION] = _to_json(replace(info, id=identity, files=files).to_dict())
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}-*"):  # of a process that was killed here
        shutil.rmtree(leftover)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    folder.chmod(0o755)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    if path.exists():
        path.replace(folder.with_name(f"{folder.name}.old"))
    folder.replace(path)
    shutil.rmtree(folder.with_name(f"{folder.name}.old"), ignore_errors=True)
    return Bundle.load(path)


def _check_files(path: Path, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        if name not in {WEIGHTS, GRAPH}:
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


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that appears as a whole, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
