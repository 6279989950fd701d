"""The networks of the low-level classifiers; torch is imported when it is used."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.errors import MissingDependencyError
from calogan.metrics.labelled import LabelledFeatures, balanced_weight, cross_entropy

if TYPE_CHECKING:
    import torch

__all__ = ["CALOCHALLENGE", "NetworkSettings", "TrainedNetwork", "fit_network", "training_operations"]

_SCORED_AT_ONCE = 4096
_LEAST_WIDTH = 0.1
_BATCHES = 50  # of an epoch, as far as the sizes of batches allow
_HIDDEN_TOGETHER = 32  # showers of a batch that the same features are hidden from
_WARM_UP = 0.1  # of all steps


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes and lengths of a network's training.

    Attributes:
        hidden: Widths of the hidden layers.
        slope: Slope of the leaky ReLU below 0.
        epochs: Passes over the training showers at most.
        least_steps: With few showers there are more passes, up to twice as many, for so many steps.
        patience: Passes without a better validation after which training ends.
        batch_sizes: Least and largest number of showers in a batch; a fiftieth of the training showers between them.
        learning_rate: Highest rate of AdamW.
        scheduled: Whether the rate rises in the first tenth of all steps and falls as a cosine; else it stays.
        weight_decay: Weight decay of AdamW.
        input_dropout: Fraction of the features that is hidden from some showers of a batch.
        dropout: Fraction of each hidden layer that is hidden.
        standardised: Whether features are shifted and scaled.
        best: What the kept weights are best in: the least cross entropy or the highest accuracy of the validation,
            both with labels that weigh the same.
    """

    hidden: tuple[int, ...] = (128, 128)
    slope: float = 0.1
    epochs: int = 12
    least_steps: int = 1000
    patience: int = 6
    batch_sizes: tuple[int, int] = (64, 256)
    learning_rate: float = 2e-3
    scheduled: bool = True
    weight_decay: float = 0.3
    input_dropout: float = 0.2
    dropout: float = 0.3
    standardised: bool = True
    best: Literal["loss", "accuracy"] = "loss"


CALOCHALLENGE = NetworkSettings(
    hidden=(2048, 2048, 2048),
    slope=0.01,
    epochs=50,
    least_steps=0,
    patience=50,
    batch_sizes=(1000, 1000),
    learning_rate=2e-4,
    scheduled=False,
    weight_decay=0.0,
    input_dropout=0.0,
    dropout=0.0,
    standardised=False,
    best="accuracy",
)
"""The CaloChallenge's classifier: an input layer and two inner ones of 2048, Adam, 50 epochs (arXiv:2410.21611).

Its code keeps the weights of the best accuracy on the test showers and calculates in double precision; here the
validation showers choose, so that the test stays a test, and precision is single.
"""


@dataclass(frozen=True)
class TrainedNetwork:
    """Function from features ``(showers, features)`` to log odds ``(showers,)`` of label 1.

    Attributes:
        layers: What follows on the standardised features; gives log odds of shape ``(showers, 1)``.
        mean: What features are shifted by, shape ``(features,)``, or 0.
        scale: What they are then multiplied by, shape ``(features,)``, or 1.
    """

    layers: torch.nn.Module
    mean: NDArray[np.float32] | float
    scale: NDArray[np.float32] | float

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Log odds of label 1, were both labels as frequent."""
        return _scores(self.layers, _Standardiser(self.mean, self.scale), features)


def fit_network(
    training: LabelledFeatures, validation: LabelledFeatures, seed: int, *, settings: NetworkSettings
) -> TrainedNetwork:
    """Train a network to tell label 1 from label 0; keep the weights that do best on the validation showers.

    Both labels weigh the same, in learning and in validation, however many showers they have; else a network that
    always says the more frequent label could be the most accurate. The same seed and number of threads give the same
    network; torch's own random state is left as it was.

    Args:
        training: Features, labels, and weights within a label. The features are standardised, but those of a width
            below 0.1 not widened by more than 10, so that they may be given less weight.
        validation: The same, of other groups.
        seed: Seed of the initial weights and the order of showers.
        settings: Sizes and lengths.

    Returns:
        Function from features to log odds of label 1.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        msg = "the low-level classifier needs torch: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    prepare = _Standardiser.of(training.features) if settings.standardised else _Standardiser()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _make_network(training.features.shape[1], settings)
        _keep_best(network, prepare, training, validation, np.random.default_rng(seed), settings)
    return TrainedNetwork(network, prepare.mean, prepare.scale)


def training_operations(features: int, showers: int, settings: NetworkSettings) -> float:
    """Floating-point operations of one training of all epochs: 6 a weight and shower."""
    widths = (features, *settings.hidden, 1)
    weights = sum(first * second for first, second in pairwise(widths))
    return 6.0 * weights * showers * settings.epochs


@dataclass(frozen=True)
class _Standardiser:
    """Features as a tensor, shifted and scaled."""

    mean: NDArray[np.float32] | float = 0.0
    scale: NDArray[np.float32] | float = 1.0

    @classmethod
    def of(cls, features: NDArray[Any]) -> _Standardiser:
        width = np.maximum(features.std(axis=0), _LEAST_WIDTH)
        return cls(features.mean(axis=0).astype(np.float32), (1 / width).astype(np.float32))

    def __call__(self, features: NDArray[Any]) -> torch.Tensor:
        import torch

        shifted = np.subtract(features, self.mean, dtype=np.float32)
        shifted *= self.scale
        return torch.from_numpy(shifted)


def _make_network(inputs: int, settings: NetworkSettings) -> torch.nn.Module:
    import torch

    layers: list[torch.nn.Module] = []
    for width in settings.hidden:
        layers += [torch.nn.Linear(inputs, width), torch.nn.LeakyReLU(settings.slope)]
        layers.append(torch.nn.Dropout(settings.dropout))
        inputs = width
    return torch.nn.Sequential(*layers, torch.nn.Linear(inputs, 1))


def _keep_best(
    network: torch.nn.Module,
    prepare: _Standardiser,
    training: LabelledFeatures,
    validation: LabelledFeatures,
    rng: np.random.Generator,
    settings: NetworkSettings,
) -> None:
    """Train, and leave the best weights."""
    import torch

    low, high = settings.batch_sizes
    batch_size = min(max(len(training.label) // _BATCHES, low), high)
    batches = math.ceil(len(training.label) / batch_size)
    epochs = min(max(settings.epochs, math.ceil(settings.least_steps / batches)), 2 * settings.epochs)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, epochs * batches) if settings.scheduled else 1
    )
    weight, kept_out_weight = (balanced_weight(one.label, one.weight) for one in (training, validation))
    best_loss, best_state, waited = math.inf, copy.deepcopy(network.state_dict()), 0
    for _ in range(epochs):
        network.train()
        order = rng.permutation(len(training.label))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            features = _hide(prepare(training.features[batch]), settings.input_dropout)
            _step(network, optimiser, features, training.label[batch], weight[batch])
            schedule.step()
        scores = _scores(network, prepare, validation.features)
        loss = _loss(scores, validation.label, kept_out_weight, settings.best)
        waited += 1
        if loss < best_loss:
            best_loss, best_state, waited = loss, copy.deepcopy(network.state_dict()), 0
        if waited >= settings.patience:
            break
    network.load_state_dict(best_state)


def _step(
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    features: torch.Tensor,
    label: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> None:
    import torch

    wanted, weights = (torch.from_numpy(one.astype(np.float32)) for one in (label, weight))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(network(features)[:, 0], wanted, weights)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _hide(features: torch.Tensor, fraction: float) -> torch.Tensor:
    """Set the same random fraction of the features to 0 in each 32 showers: one mask a shower takes longer to draw."""
    import torch

    if fraction > 0:
        for block in torch.split(features, _HIDDEN_TOGETHER):
            block *= (torch.rand(features.shape[1]) >= fraction) / (1 - fraction)  # noqa: PLW2901
    return features


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / (_WARM_UP * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _loss(
    scores: NDArray[np.float64],
    label: NDArray[np.int64],
    weight: NDArray[np.float64],
    kind: Literal["loss", "accuracy"],
) -> float:
    if kind == "loss":
        return cross_entropy(scores, label, weight)
    return float(np.average((scores > 0) != label, weights=weight))


def _scores(network: torch.nn.Module, prepare: _Standardiser, features: NDArray[Any]) -> NDArray[np.float64]:
    import torch

    network.eval()
    with torch.no_grad():
        parts = [
            network(prepare(features[start : start + _SCORED_AT_ONCE]))[:, 0]
            for start in range(0, len(features), _SCORED_AT_ONCE)
        ]
        return torch.cat(parts).numpy().astype(np.float64)
