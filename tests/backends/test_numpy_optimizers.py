"""The reference's update rules: by hand over three steps, and beside torch.optim over fifty."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backends.numpy.optimizers import update
from specs.codec import to_plain
from specs.optimizers import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
)
from tests.backends.numerics import Array, relative_error


def trajectory(optimizer: Optimizer, start: Array, gradients: Array, rates: Array) -> tuple[Array, dict[str, Array]]:
    """The parameter after every step, and the state after the last."""
    w, state = start.copy(), {slot: np.zeros_like(start) for slot in optimizer.slots}
    after = []
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        update(
            optimizer,
            w,
            gradient,
            state,
            learning_rate=float(rate),
            weight_decay=optimizer.weight_decay,
            step=step,
        )
        after.append(w.copy())
    return np.array(after), state


BY_HAND = {
    # w = 1; g = 1, 2, -1; rates 0.1, 0.1, 0.01.
    "sgd": (SGD(), [1, 2, -1], [0.1, 0.1, 0.01], [0.9, 0.7, 0.71]),
    # v = 1, 0.9 + 2 = 2.9, 2.61 - 1 = 1.61
    "momentum": (SGD(momentum=0.9), [1, 2, -1], [0.1, 0.1, 0.01], [0.9, 0.61, 0.5939]),
    # g + 0.9 v = 1.9, 4.61, 0.449
    "nesterov": (SGD(momentum=0.9, nesterov=True), [1, 2, -1], [0.1, 0.1, 0.01], [0.81, 0.349, 0.34451]),
    # g + 0.5 w = 1.5, 2.425, -0.76375: v = 1.5, 3.775, 2.63375
    "momentum, decay": (
        SGD(momentum=0.9, weight_decay=0.5),
        [1, 2, -1],
        [0.1, 0.1, 0.01],
        [0.85, 0.4725, 0.4461625],
    ),
    # m = 1, 3, 3.5; m / (1 - 0.5^t) = 2, 4, 4; s = 1, 7, 37/4; s / (1 - 0.75^t) = 4, 16, 16: steps 2/3, 4/5, 4/5
    "adam": (Adam(beta1=0.5, beta2=0.75, epsilon=1), [2, 5, 4], [0.3, 0.1, 0.5], [0.8, 0.72, 0.32]),
    # The same steps after taking 0.5 * rate of w away.
    "adamw": (
        AdamW(beta1=0.5, beta2=0.75, epsilon=1, weight_decay=0.5),
        [2, 5, 4],
        [0.3, 0.1, 0.5],
        [0.85 - 0.2, 0.65 * 0.95 - 0.08, 0.5375 * 0.75 - 0.4],
    ),
    # s = 1, 4, 16: roots 1, 2, 4; steps 2/(1 + 1), sqrt(13)/(2 + 1), ...
    "rmsprop": (
        RMSprop(rho=0.75, epsilon=1),
        [2, 13**0.5, 52**0.5],
        [0.1, 0.1, 0.5],
        [0.9, 0.9 - 0.1 * 13**0.5 / 3, 0.9 - 0.1 * 13**0.5 / 3 - 0.5 * 52**0.5 / 5],
    ),
    # a = 9, 25, 169: roots 3, 5, 13; steps 3/4, 4/6, 12/14
    "adagrad": (
        Adagrad(epsilon=1),
        [3, 4, 12],
        [0.4, 0.3, 0.7],
        [0.7, 0.5, -0.1],
    ),
    # epsilon 4: a = 5, d = 2/3 * sqrt(10); u = 20/9, a = 12, d = sqrt(56/9)/4 * sqrt(19); ...
    "adadelta": (
        Adadelta(rho=0.5, epsilon=4),
        [10**0.5, 19**0.5, 0],
        [0.3, 0.6, 1.0],
        [
            1 - 0.2 * 10**0.5,
            1 - 0.2 * 10**0.5 - 0.15 * (56 / 9 * 19) ** 0.5,
            1 - 0.2 * 10**0.5 - 0.15 * (56 / 9 * 19) ** 0.5,
        ],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_three_steps_by_hand(case: str) -> None:
    optimizer, gradients, rates, expected = BY_HAND[case]
    ours, _ = trajectory(optimizer, np.ones(1), np.array(gradients, float)[:, None], np.array(rates))
    assert ours.ravel() == pytest.approx(expected, rel=1e-14)


def test_gradient_is_left_as_it_is() -> None:
    for optimizer in (rule(weight_decay=0.1) for rule in OPTIMIZERS.values()):
        gradient = np.array([1.0, -2.0])
        trajectory(optimizer, np.ones(2), gradient[None], np.ones(1))
        assert gradient.tolist() == [1, -2]


BESIDE_TORCH: dict[str, Optimizer] = {
    "sgd": SGD(),
    "sgd decay": SGD(weight_decay=0.1),
    "sgd momentum": SGD(momentum=0.9),
    "sgd momentum decay": SGD(momentum=0.5, weight_decay=0.1),
    "sgd nesterov": SGD(momentum=0.9, nesterov=True),
    "sgd nesterov decay": SGD(momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": Adam(),
    "adam decay": Adam(weight_decay=0.1),
    "adam large epsilon": Adam(learning_rate=0.1, epsilon=0.1),
    "adam other betas": Adam(learning_rate=0.1, beta1=0.5, beta2=0.9),
    "adam no averaging": Adam(learning_rate=0.1, beta1=0.0, beta2=0.0, epsilon=1e-3),
    "adamw": AdamW(),
    "adamw no decay": AdamW(weight_decay=0.0),
    "adamw decay, large epsilon": AdamW(learning_rate=0.1, weight_decay=0.3, epsilon=0.1),
    "adadelta": Adadelta(),
    "adadelta decay": Adadelta(weight_decay=0.1),
    "adadelta large epsilon": Adadelta(rho=0.95, epsilon=0.1),
    "rmsprop": RMSprop(),
    "rmsprop decay": RMSprop(weight_decay=0.1),
    "rmsprop large epsilon": RMSprop(learning_rate=0.1, rho=0.9, epsilon=0.1),
    "adagrad": Adagrad(),
    "adagrad decay": Adagrad(weight_decay=0.1),
    "adagrad large epsilon": Adagrad(learning_rate=0.1, epsilon=0.1),
}

STEPS = 50

# The same formulas in another order of operations; 6e-16 was seen. Fifty steps of roundings all one way: 50 * 1.1e-16.
TOLERANCE = 1e-14


@pytest.fixture(scope="module")
def problem() -> dict[str, Array]:
    """Gradients over twelve magnitudes, with exact zeros now and then and always; rates that change at every step."""
    generator = np.random.default_rng(0)
    size = 60
    magnitudes = np.logspace(-12, 0.5, size)
    gradients = generator.normal(size=(STEPS, size)) * magnitudes
    gradients[generator.random(gradients.shape) < 0.1] = 0
    gradients[:, ::10] = 0
    return {"start": generator.normal(size=size), "gradients": gradients, "rates": generator.uniform(0.05, 2, STEPS)}


@pytest.fixture(scope="module")
def torch_results(
    backend_python: Callable[[str], Path], problem: dict[str, Array], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Array]:
    folder = tmp_path_factory.mktemp("torch_optimizers")
    cases = json.dumps([to_plain(optimizer) for optimizer in BESIDE_TORCH.values()])
    np.savez(folder / "in.npz", cases=cases, **problem)
    script = Path(__file__).parent / "scripts" / "torch_optimizers.py"
    subprocess.run([backend_python("torch"), script, folder / "in.npz", folder / "out.npz"], check=True)
    return dict(np.load(folder / "out.npz"))


def test_every_optimizer_is_put_beside_torch() -> None:
    assert {optimizer.kind for optimizer in BESIDE_TORCH.values()} == set(OPTIMIZERS)


@pytest.mark.parametrize("case", BESIDE_TORCH)
def test_fifty_steps_beside_torch(case: str, problem: dict[str, Array], torch_results: dict[str, Array]) -> None:
    optimizer, index = BESIDE_TORCH[case], list(BESIDE_TORCH).index(case)
    rates = optimizer.learning_rate * problem["rates"]
    ours, state = trajectory(optimizer, problem["start"], problem["gradients"], rates)
    theirs = torch_results[f"trajectory_{index}"]
    assert len(theirs) == STEPS
    assert max(map(relative_error, ours, theirs)) < TOLERANCE
    for slot, value in state.items():
        assert relative_error(value, torch_results[f"state_{index}_{slot}"]) < TOLERANCE, slot
