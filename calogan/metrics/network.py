"""The small network of the low-level classifier; torch is imported when it is used."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import MissingDependencyError
from calogan.metrics.labelled import LabelledFeatures, cross_entropy

if TYPE_CHECKING:
    import torch

__all__ = ["NetworkSettings", "fit_network"]

_SCORED_AT_ONCE = 4096
_LEAST_WIDTH = 0.1


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes and lengths of the network's training.

    Attributes:
        hidden: Widths of the hidden layers.
        epochs: Passes over the training showers at most.
        patience: Passes without a lower validation loss after which training ends.
        batch_size: Showers in a batch.
        learning_rate: Rate of AdamW.
        weight_decay: Weight decay of AdamW.
        input_dropout: Fraction of the features that is hidden from a training batch.
        dropout: The same of each hidden layer.
    """

    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 40
    patience: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.3
    input_dropout: float = 0.2
    dropout: float = 0.3


def fit_network(
    training: LabelledFeatures, validation: LabelledFeatures, seed: int, settings: NetworkSettings
) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Train a network to tell label 1 from label 0; keep the weights of the least validation loss.

    The same seed and number of threads give the same network; torch's own random state is left as it was.

    Args:
        training: Features, and labels. The features are standardised, but those of a width below 0.1 not widened by
            more than 10, so that they may be given less weight.
        validation: The same, of other events.
        seed: Seed of the initial weights and the order of showers.
        settings: Sizes and lengths.

    Returns:
        Function from features ``(showers, features)`` to scores ``(showers,)``, higher for label 1.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        msg = "the low-level classifier needs torch: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    mean = training.features.mean(axis=0)
    width = np.maximum(training.features.std(axis=0), _LEAST_WIDTH)
    training, validation = (replace(part, features=(part.features - mean) / width) for part in (training, validation))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _make_network(training.features.shape[1], settings)
        _keep_best(network, training, validation, np.random.default_rng(seed), settings)
    return lambda features: _scores(network, (features - mean) / width)


def _make_network(inputs: int, settings: NetworkSettings) -> torch.nn.Module:
    import torch

    layers: list[torch.nn.Module] = [torch.nn.Dropout(settings.input_dropout)]
    for width in settings.hidden:
        layers += [torch.nn.Linear(inputs, width), torch.nn.LeakyReLU(0.1), torch.nn.Dropout(settings.dropout)]
        inputs = width
    return torch.nn.Sequential(*layers, torch.nn.Linear(inputs, 1))


def _keep_best(
    network: torch.nn.Module,
    training: LabelledFeatures,
    validation: LabelledFeatures,
    rng: np.random.Generator,
    settings: NetworkSettings,
) -> None:
    """Train, and leave the weights of the least validation loss."""
    import torch

    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    best_loss, best_state, waited = math.inf, copy.deepcopy(network.state_dict()), 0
    for _ in range(settings.epochs):
        _train_epoch(network, optimiser, training, rng, settings.batch_size)
        loss = cross_entropy(_scores(network, validation.features), validation.label)
        waited += 1
        if loss < best_loss:
            best_loss, best_state, waited = loss, copy.deepcopy(network.state_dict()), 0
        if waited >= settings.patience:
            break
    network.load_state_dict(best_state)


def _train_epoch(
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    training: LabelledFeatures,
    rng: np.random.Generator,
    batch_size: int,
) -> None:
    import torch

    network.train()
    order = rng.permutation(len(training.label))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        features = torch.from_numpy(np.asarray(training.features[batch], dtype=np.float32))
        label = torch.from_numpy(training.label[batch].astype(np.float32))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(features)[:, 0], label)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _scores(network: torch.nn.Module, features: NDArray[Any]) -> NDArray[np.float64]:
    import torch

    network.eval()
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(np.asarray(features[start : start + _SCORED_AT_ONCE], dtype=np.float32)))[:, 0]
            for start in range(0, len(features), _SCORED_AT_ONCE)
        ]
        return torch.cat(parts).numpy().astype(np.float64)
