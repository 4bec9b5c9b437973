"""What proves a case: the very training that is timed, and mistakes in it that must be found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.contract import Session, SessionSpec, Unsupported
from backends.numpy.computed import Computed
from backends.numpy.session import NumpySession
from harness.conformance.judge import Open
from harness.proving import steps
from harness.proving.proof import judged
from harness.proving.steps import LARGE_STEPS, STEPS, Unprovable, steps_of
from results.record import Proof
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from specs.loading import load_architecture, load_recipe
from specs.optimizers import SGD, Adam
from specs.recipe import Recipe
from specs.schedule import Cosine
from tests.conformance.planting import building, computing, optimizing

NETWORK = Architecture(
    name="small",
    input=(1, 8, 8),
    classes=4,
    layers=(
        *(Conv2d(out_channels=4, kernel_size=3), BatchNorm2d(), ReLU(), MaxPool2d(kernel_size=2)),
        *(Flatten(), Dropout(p=0.25), Linear(out_features=4)),
    ),
)
RECIPE = replace(
    load_recipe("default"),
    batch_size=8,
    optimizer=SGD(learning_rate=0.05, momentum=0.9),
    learning_rate_schedule=Cosine(warmup_epochs=0.5),
)


def proof(open_session: Open, *precisions: str, network: Architecture = NETWORK, recipe: Recipe = RECIPE) -> Proof:
    return judged(steps_of(network, recipe), open_session, precisions or ("float32", "float64"))


def test_numpy_is_proved_in_both_precisions() -> None:
    found = proof(NumpySession)
    assert found.status == "proved"
    assert found.steps == STEPS
    assert found.error is not None and found.limit is not None and 0 < found.error <= found.limit
    assert found.float64_error is not None and found.float64_error < 1e-12


class Stale(NumpySession):
    """Evaluates with the weights of its first evaluation."""

    first: dict[str, Any] | None = None

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        now = self.parameters()
        self.first = self.first or now
        self.load_parameters(self.first)
        logits = super().predict(images)
        self.load_parameters(now)
        return logits


class Reusing(NumpySession):
    """Gives every evaluation in one array."""

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        logits = super().predict(images)
        self.logits = getattr(self, "logits", logits)
        self.logits[...] = logits
        return self.logits


def leaky(layer: ReLU, x: NDArray[Any], *_: Any, **__: Any) -> Computed:
    slope = np.where(x > 0, 1, 0.01)
    return Computed(output=slope * x, input_gradient=lambda gradient: slope * gradient)


MISTAKES: dict[str, Open] = {
    "no momentum": optimizing(lambda sgd: replace(sgd, momentum=0.0)),
    "weight decay added": optimizing(lambda sgd: replace(sgd, weight_decay=0.01)),
    "another epsilon of batch norm": building(BatchNorm2d, lambda layer: replace(layer, epsilon=1e-3)),
    "another momentum of running statistics": building(BatchNorm2d, lambda layer: replace(layer, momentum=0.2)),
    "leaky instead of rectified": computing(ReLU, leaky),
    "the weights of the first evaluation": Stale,
    "one array for all evaluations": Reusing,
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(name: str) -> None:
    found = proof(MISTAKES[name])
    assert found.status == "failed", found
    assert found.error is not None and found.limit is not None and found.error > found.limit
    assert "off, tolerance" in found.told


def test_the_first_layer_that_differs_is_named() -> None:
    found = proof(MISTAKES["another epsilon of batch norm"])
    assert "batch_norm2d_1" in found.layer


def test_what_a_backend_cannot_is_said_and_no_failure() -> None:
    def without(*precisions: str) -> Open:
        def open_session(spec: SessionSpec) -> Session:
            if spec.precision in precisions:
                raise Unsupported(f"{spec.precision} has no kernel for dropout")
            return NumpySession(spec)

        return open_session

    found = proof(without("float64"))
    assert (found.status, found.float64_error) == ("proved", None)
    found = proof(without("float32", "float64"))
    assert (found.status, found.reason) == ("unsupported", "float32 has no kernel for dropout")


def test_a_bias_that_rounding_moves_disproves_nobody() -> None:
    """A bias before batch norm has a gradient of rounding alone, which Adam turns into whole steps."""
    recipe = replace(RECIPE, optimizer=Adam(learning_rate=0.01))
    assert steps_of(NETWORK, recipe).case.rounding == {"conv2d_1.bias", "batch_norm2d_1.running_mean"}
    assert proof(NumpySession, recipe=recipe).status == "proved"
    wrong = optimizing(lambda adam: replace(adam, beta2=0.99))
    assert proof(wrong, recipe=recipe).status == "failed"


def test_a_large_network_is_proved_by_fewer_steps() -> None:
    alexnet = load_architecture("alexnet")
    assert len(steps_of(alexnet, load_recipe("alexnet")).case.batches) == LARGE_STEPS


@pytest.mark.parametrize("rate", [1e3, 1e6, 1e150])
def test_a_training_that_diverges_in_the_reference_accuses_nobody(rate: float) -> None:
    with pytest.raises(Unprovable):
        steps_of(NETWORK, replace(RECIPE, optimizer=SGD(learning_rate=rate)))


def test_what_the_reference_refuses_accuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A last batch of half the size may be a single value to batch norm."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RequestError("batch_norm2d_1: training needs more than one value per channel")

    monkeypatch.setattr(steps, "on_random_data", refuse)
    with pytest.raises(Unprovable, match="more than one value per channel"):
        steps_of(NETWORK, replace(RECIPE, label_smoothing=0.2))
