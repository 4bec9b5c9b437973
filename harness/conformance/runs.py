"""Level 5: whole short trainings on the embedded digits, over several seeds, and the same one twice."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec
from backends.numpy.session import NumpySession
from harness.conformance.case import cast
from harness.conformance.judge import Candidate, Measurement, Open, Tally, measure
from harness.conformance.outcome import CheckOutcome
from harness.conformance.tolerances import tolerance
from harness.datasets import load_dataset
from harness.inputs.prepare import batch_order
from specs import layers as L
from specs.architecture import Architecture
from specs.initializers import initial_parameters
from specs.optimizers import Adam
from specs.recipe import Recipe
from specs.schedule import learning_rates

RECIPE = Recipe(name="digits", epochs=5, batch_size=64, dataset="digits", optimizer=Adam(learning_rate=5e-3))
STEPS = 22
"""Steps of an epoch, on 1,408 of the 1,442 digits: a partial batch takes some frameworks another compilation."""
SEEDS = 5
REPEATED_EPOCHS = 2
ALPHA = 0.05

# Without dropout a seed means the same to every backend.
CONVOLUTION = Architecture(
    name="small_cnn",
    input=(1, 28, 28),
    classes=10,
    layers=(
        L.AvgPool2d(kernel_size=(2, 2)),
        L.Conv2d(out_channels=8, kernel_size=(3, 3)),
        L.ReLU(),
        L.MaxPool2d(kernel_size=(2, 2)),
        L.Flatten(),
        L.Linear(out_features=10),
    ),
)

DROPOUT = Architecture(
    name="mlp_dropout",
    input=(1, 28, 28),
    classes=10,
    layers=(L.Flatten(), L.Linear(out_features=64), L.ReLU(), L.Dropout(p=0.5), L.Linear(out_features=10)),
)

Accuracies = NDArray[np.float64]
"""float64[SEEDS]: test accuracies in percent."""


class DigitRuns:
    """The data, the recipe and the reference's accuracies, shared by all backends. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._judged: dict[str, Accuracies] = {}

    @cached_property
    def _data(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        digits = load_dataset("digits")
        scale = RECIPE.preprocessing.apply
        train = slice(STEPS * RECIPE.batch_size)
        return (
            scale(digits.train_images[train]),
            digits.train_labels[train],
            scale(digits.test_images),
            digits.test_labels,
        )

    def accuracies(self, open_session: Open, precision: str) -> Accuracies:
        """Train CONVOLUTION with every seed and evaluate it on the test set."""
        spec = self._spec(CONVOLUTION, precision, seed=0)
        _, _, test_images, test_labels = self._data
        accuracies = np.empty(SEEDS)
        with closing(open_session(spec)) as session:
            untouched = session.optimizer_state()
            for seed in range(SEEDS):
                session.load_optimizer_state(untouched)
                self._train(session, spec, seed, RECIPE.epochs)
                predicted = session.predict(test_images.astype(spec.dtype)).argmax(axis=1)
                accuracies[seed] = 100 * np.mean(predicted == test_labels)
        return accuracies

    def equivalence(self, candidate: Candidate) -> list[CheckOutcome]:
        """Whether a backend's accuracies are equivalent to the reference's and to those of every backend before it."""
        tally = Tally()
        with tally.attempt(CONVOLUTION.name):
            accuracies = self.accuracies(candidate.open, "float32")
            with self._lock:
                if not self._judged:
                    self._judged["numpy in float64"] = self.accuracies(NumpySession, "float64")
                for other, theirs in self._judged.items():
                    tally.add("accuracy", equivalent(accuracies, theirs, other))
                self._judged[candidate.name] = accuracies
        return tally.outcomes("runs", "digits", "float32")

    def repeatability(self, candidate: Candidate) -> list[CheckOutcome]:
        """Whether the same seed gives the same weights in another session, and another dropout seed others."""
        tally = Tally()
        for network in (CONVOLUTION, DROPOUT):
            with tally.attempt(network.name):
                first, second = (self._weights(network, candidate.open, dropout_seed=0) for _ in range(2))
                tally.add("same seed", measure(network.name, "same seed", first, second, "float32"))
        with tally.attempt(f"{DROPOUT.name}, another seed"):
            other = self._weights(DROPOUT, candidate.open, dropout_seed=1)
            equal = all(np.array_equal(first[name], other[name]) for name in other)
            limit = tolerance("other seed", "float32").limit
            tally.add("other seed", Measurement(case=DROPOUT.name, error=float(equal), limit=limit))
        return tally.outcomes("runs", "repeated", "float32")

    def _weights(self, network: Architecture, open_session: Open, *, dropout_seed: int) -> Arrays:
        spec = self._spec(network, "float32", seed=dropout_seed)
        with closing(open_session(spec)) as session:
            self._train(session, spec, 0, REPEATED_EPOCHS)
            return session.parameters()

    def _spec(self, network: Architecture, precision: str, *, seed: int) -> SessionSpec:
        return SessionSpec(architecture=network, optimizer=RECIPE.optimizer, precision=precision, seed=seed)

    def _train(self, session: Session, spec: SessionSpec, seed: int, epochs: int) -> None:
        """Some epochs from the initial weights of ``seed``, each in one call."""
        images, labels, _, _ = self._data
        session.set_training_data(images.astype(spec.dtype), labels)
        initial = initial_parameters(spec.architecture, RECIPE.initializer, seed)
        session.load_parameters(cast(initial, spec.dtype))
        batch = RECIPE.batch_size
        rates = learning_rates(
            RECIPE.learning_rate_schedule,
            base=RECIPE.optimizer.learning_rate,
            epochs=RECIPE.epochs,
            steps_per_epoch=STEPS,
        )
        session.compile(batch, STEPS)
        for epoch, order in enumerate(batch_order(epochs, len(images), seed).astype(np.int64)):
            session.train_steps(order.reshape(STEPS, batch), rates[epoch * STEPS : (epoch + 1) * STEPS])


def equivalent(accuracies: Accuracies, other: Accuracies, title: str) -> Measurement:
    """Two one-sided t-tests on the paired differences (Schuirmann 1987), as a confidence interval.

    Both tests reject at level ALPHA exactly when the (1 - 2 * ALPHA) interval of the mean difference lies within the
    margin: the error is the interval's farther end, in points.
    """
    differences = accuracies - other
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    reach = float(scipy.stats.t.ppf(1 - ALPHA, len(differences) - 1)) * spread / math.sqrt(len(differences))
    return Measurement(
        case=f"{CONVOLUTION.name} against {title}",
        error=abs(mean) + reach,
        limit=tolerance("accuracy", "float32").limit,
        where=f"{_listed(accuracies)} against {_listed(other)} %",
    )


def _listed(accuracies: Sequence[float] | Accuracies) -> str:
    return " ".join(f"{accuracy:.1f}" for accuracy in accuracies)
