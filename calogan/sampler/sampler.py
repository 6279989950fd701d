"""The sampler: incident particles in, showers out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

import calogan
from calogan.bundle import Bundle
from calogan.errors import BundleError, ConfigError, ShapeError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain
from calogan.physics.particles import list_types, network_input
from calogan.sampler.generated import GeneratedShowers
from calogan.sampler.network import Backend, Network, load_network
from calogan.sampler.placement import Edge, Placement, Placing, make_placement
from calogan.sampler.process import OncePerProcess
from calogan.sampler.request import (
    Arguments,
    Outside,
    Request,
    admit,
    at_least_one,
    check,
    choose_seed,
    read_arguments,
    split_momentum,
)
from calogan.sampler.weigher import OnnxWeigher, load_weigher

__all__ = ["ShowerSampler"]


class ShowerSampler:
    """A trained generator that is called as if it were the full simulation.

    It pickles as the path of its bundle, so that process pools and dask workers take it.

    Args:
        bundle: The trained model.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; ``"auto"`` is the CPU for the exported graph, and else a GPU
            where there is one.
        backend: ``"onnx"``, the exported graph in ONNX Runtime on the CPU; ``"torch"``; ``"auto"`` prefers the graph
            where the device allows it.
        threads: Threads of the network; none leaves the choice to the library.
        batch_size: Showers made at a time; the showers do not depend on it.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        backend: Backend = "auto",
        threads: int | None = None,
        batch_size: int = 1000,
    ) -> None:
        if backend not in get_args(Backend):
            msg = f"backend must be one of {', '.join(map(repr, get_args(Backend)))}, got {backend!r}"
            raise ConfigError(msg)
        threads = None if threads is None else at_least_one("threads", threads)
        batch_size = at_least_one("batch_size", batch_size)
        self.bundle = bundle
        self._device, self._backend, self._threads, self._batch_size = device, backend, threads, batch_size
        self._network = OncePerProcess(lambda: load_network(bundle, device, backend, threads))
        self._weigher = OncePerProcess(lambda: load_weigher(bundle, threads))

    @property
    def domain(self) -> Domain:
        """Incident particles that the surrogate was trained for."""
        return self.bundle.info.domain

    @property
    def geometry(self) -> Geometry:
        """Cells that `cell_energy` refers to."""
        return self.bundle.info.geometry

    @property
    def threshold(self) -> float:
        """Read-out threshold [GeV]: fainter cells hold exactly 0."""
        return self.bundle.info.threshold

    @property
    def condition(self) -> tuple[str, ...]:
        """What the generator is told of the particle; `x` and `y` belong to ``"entry_point"``."""
        return tuple(self.bundle.info.condition)

    @property
    def pdg(self) -> tuple[int, ...]:
        """PDG ids of the particles in the training data; none where they are not known.

        Where `condition` lists ``"particle"``, these are the types to choose from.
        """
        return self._told_apart or tuple(self.bundle.info.provenance.get("pdg", ()))

    @property
    def _told_apart(self) -> tuple[int, ...]:
        """PDG ids of the types that the networks are told; none where the type is no condition."""
        return self.bundle.info.particles

    @property
    def only_pdg(self) -> int:
        """The PDG id if all training data has the same, else 0."""
        return self.pdg[0] if len(self.pdg) == 1 else 0

    @property
    def version(self) -> str:
        """Identity of the trained model."""
        return self.bundle.info.id

    @property
    def validation(self) -> dict[str, Any] | None:
        """Figures of the validation against the full simulation; none if it was not validated."""
        return self.bundle.info.validation

    def sample(
        self,
        px: Any = None,
        py: Any = None,
        pz: Any = None,
        x: Any = None,
        y: Any = None,
        pdg: Any = None,
        *,
        momentum: Any = None,
        seed: int | None = None,
        shower_id: Any = None,
        outside: Outside = "raise",
        placement: Placing = "window",
        calorimeter: Geometry | None = None,
        edge: Edge = "cut",
        weights: bool = False,
    ) -> GeneratedShowers:
        """Make showers.

        Each shower's noise depends on the seed, its id and, where an event holds many particles, the particle's index
        alone: the shower is the same in any batch, order and process, up to float rounding. Two calls with one seed
        and the same ids, such as the default ones, share their noise.

        Args:
            px: Momentum along x [GeV]: a scalar, a list, a NumPy or an awkward array, a torch tensor. Two dimensions,
                ragged or not, are events of many particles. Or the whole momentum: anything with px, py and pz, such
                as an array of `vector`; then py and pz are left out.
            py: Momentum along y [GeV], likewise.
            pz: Momentum along z, into the calorimeter [GeV], likewise.
            x: Entry point at the front face [mm], likewise; only for a model whose `condition` has it.
            y: Entry point at the front face [mm], likewise.
            pdg: PDG ids, likewise; if given, they must be of the training data's (`pdg`). Where `condition` lists
                ``"particle"``, they choose what is made, and are needed if there are several.
            momentum: |p| of particles along the axis [GeV], instead of px, py and pz, for a model whose `condition` has
                no direction. An energy may be given for it where it is far above the mass.
            seed: From 0 to 2**64 - 1; by default fresh entropy, kept in the result.
            shower_id: 64-bit integers, one for each particle, or for each event where events hold many, such as event
                numbers; by default 0, 1, 2, ...
            outside: What to do with particles outside `domain`: ``"raise"``, ``"warn"`` and go on, or ``"clip"`` to
                its edge (the result's `incident` is what was used); those with pz <= 0 are refused always, those of
                another type unless ``"warn"``, and even then where `condition` lists ``"particle"``. Under
                ``"warn"``, of a shower far from the entry window what would leave the grid at one side comes in at
                the other: ``placement="cell"`` is for entry points elsewhere.
            placement: ``"window"``, or ``"cell"`` for entry points anywhere on a calorimeter of the same cells: each
                particle is moved into the trained window by whole cells, and its shower back (see `PlacedShowers` and
                `CellPlacement`). For `outside`, the calorimeter's front face then is the entry window.
            calorimeter: For ``"cell"``, the calorimeter: the layers of `geometry` with more cells, at the same
                positions or moved by whole cells; by default `geometry` itself.
            edge: For ``"cell"``, what to do where a shower reaches beyond the calorimeter: ``"cut"`` and keep the
                `lost_energy`, or ``"raise"``. What a real edge does to a shower is not known to the surrogate.
            weights: Whether each shower gets a weight, the density ratio of full simulation to surrogate as
                `calogan weigh` learnt it; of mean 1 over the particles that it was learnt from.

        Returns:
            The showers.

        Raises:
            DomainError: A particle outside the domain, or a NaN.
            ShapeError: Arguments that do not go together, an entry point that is missing or not expected, or particle
                types that are missing.
            ConfigError: A seed out of range, an unknown choice, or a model whose showers cannot be placed.
            GeometryError: A calorimeter whose cells are not those of `geometry`, or not moved by whole ones.
            BundleError: Weights of a bundle that cannot give any.
        """
        place = make_placement(placement, calorimeter, edge, self.bundle.info)
        weigher = self.weigher if weights else None
        request = self._arguments((px, py, pz, momentum), x, y, pdg, shower_id).request()
        check(request, place.domain, outside, self.pdg, told_apart=bool(self._told_apart))
        place.check(request)
        return self._make(admit(request, place.domain, outside), choose_seed(seed), place, weigher)

    def sample_iter(
        self,
        px: Any = None,
        py: Any = None,
        pz: Any = None,
        x: Any = None,
        y: Any = None,
        pdg: Any = None,
        *,
        momentum: Any = None,
        seed: int | None = None,
        shower_id: Any = None,
        outside: Outside = "raise",
        placement: Placing = "window",
        calorimeter: Geometry | None = None,
        edge: Edge = "cut",
        weights: bool = False,
        chunk: int = 10_000,
    ) -> Iterator[GeneratedShowers]:
        """Make showers in pieces, for more of them than memory holds; the arguments are checked as a whole first.

        Args:
            px: As `sample`; so are the others.
            py: As `sample`.
            pz: As `sample`.
            x: As `sample`.
            y: As `sample`.
            pdg: As `sample`.
            momentum: As `sample`.
            seed: As `sample`.
            shower_id: As `sample`.
            outside: As `sample`.
            placement: As `sample`.
            calorimeter: As `sample`.
            edge: As `sample`.
            weights: As `sample`.
            chunk: Showers in a piece, or events where they hold many.

        Returns:
            The same showers as from `sample`, one piece after the other.
        """
        chunk = at_least_one("chunk", chunk)
        place = make_placement(placement, calorimeter, edge, self.bundle.info)
        arguments = self._arguments((px, py, pz, momentum), x, y, pdg, shower_id)
        for request in arguments.chunks(chunk):
            check(request, place.domain, outside, self.pdg, told_apart=bool(self._told_apart))
            place.check(request)
        seed, weigher = choose_seed(seed), self.weigher if weights else None
        requests = (admit(request, place.domain, outside) for request in arguments.chunks(chunk))
        return (self._make(request, seed, place, weigher) for request in requests)

    def cell_energy(
        self,
        incident: NDArray[np.float32],
        seed: int,
        shower_id: NDArray[np.int64],
        particle: NDArray[np.int64] | None = None,
        pdg: NDArray[np.int32] | None = None,
    ) -> NDArray[np.float32]:
        """Cell energies alone, from arrays that need no checks: what `sample` is made of.

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``; inside the domain.
            seed: From 0 to 2**64 - 1.
            shower_id: Shape ``(showers,)``.
            particle: Index in the event, shape ``(showers,)``; none stands for 0.
            pdg: PDG ids, shape ``(showers,)``; for a model whose `condition` has the particle's type.

        Returns:
            Energies [GeV], each 0 or above the threshold, shape ``(showers, cells)``.

        Raises:
            DomainError: Particle types that such a model does not know, or is not told.
        """
        incident = self._network_input(incident, pdg)
        network, size = self.network, self.bundle.info.noise_size
        cells = np.empty((len(incident), self.geometry.n_cells), dtype=np.float32)
        step = min(self._batch_size, network.block or self._batch_size)
        for start in range(0, len(incident), step):
            batch = slice(start, start + step)
            noise = network.noise(seed, shower_id[batch], size, None if particle is None else particle[batch])
            cells[batch] = network(incident[batch], noise)
        return cells

    @property
    def network(self) -> Network:
        """The network of this process, started when it is first asked for."""
        return self._network.get()

    @property
    def weigher(self) -> OnnxWeigher:
        """What gives the showers' weights in this process, started when it is first asked for.

        Raises:
            BundleError: The bundle has none, or it is damaged or for other cells.
        """
        return self._weigher.get()

    def _arguments(self, momentum: tuple[Any, ...], x: Any, y: Any, pdg: Any, shower_id: Any) -> Arguments:
        components = split_momentum(*momentum, directed="direction" in self.condition)
        given = [name for name, value in (("x", x), ("y", y)) if value is not None]
        if "entry_point" not in self.condition and given:
            msg = f"{self.version} was trained without an entry point; leave out {' and '.join(given)}"
            raise ShapeError(msg)
        if "entry_point" in self.condition and len(given) < 2:
            missing = [name for name in ("x", "y") if name not in given]
            msg = f"{self.version} needs the entry point at the front face; give {' and '.join(missing)} [mm]"
            raise ShapeError(msg)
        if self._told_apart and pdg is None:
            if not self.only_pdg:
                msg = f"{self.version} makes showers of several particle types; give pdg, out of {list_types(self.pdg)}"
                raise ShapeError(msg)
            pdg = self.only_pdg
        return read_arguments(components, (x, y) if given else None, shower_id, self.domain.entry_centre, pdg)

    def _network_input(self, incident: NDArray[np.float32], pdg: NDArray[np.int32] | None) -> NDArray[np.float32]:
        types = np.full(len(incident), self.only_pdg) if pdg is None else pdg
        return network_input(incident, types, self._told_apart)

    def _make(self, request: Request, seed: int, place: Placement, weigher: OnnxWeigher | None) -> GeneratedShowers:
        asked = place.to_window(request.incident)
        cells = self.cell_energy(asked, seed, request.shower_id, request.particle, request.pdg)
        showers = GeneratedShowers(
            geometry=self.geometry,
            event=request.shower_id,
            incident=request.incident,
            cell_energy=cells,
            pdg=np.full(len(request), self.only_pdg, dtype=np.int32) if request.pdg is None else request.pdg,
            seed=seed,
            particle=request.particle,
            counts=request.counts,
            schema=self.bundle.info.schema,
            provenance={"bundle": self.version, "calogan": calogan.__version__},
            weight=None if weigher is None else weigher(self._network_input(asked, request.pdg), cells),
        )
        return place.place(showers)

    def __getstate__(self) -> dict[str, Any]:
        settings = {
            "device": self._device,
            "backend": self._backend,
            "threads": self._threads,
            "batch_size": self._batch_size,
        }
        return {"path": str(Path(self.bundle.path).resolve()), "id": self.version, "settings": settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        bundle = Bundle.load(Path(state["path"]))
        if bundle.info.id != state["id"]:
            msg = f"{bundle.path}: holds model {bundle.info.id}, but the sampler was made with {state['id']}"
            raise BundleError(msg)
        self.__init__(bundle, **state["settings"])  # type: ignore[misc]

    def __repr__(self) -> str:
        types = f"pdg {list_types(self._told_apart)}, " if self._told_apart else ""
        return f"ShowerSampler({self.version}: {self.geometry.n_cells} cells, {types}{self.domain.describe()})"
