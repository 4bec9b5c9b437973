"""Level 7: the contract as a whole, in scripts of drawn calls that are carried out where the sessions are.

The levels before it ask a fresh session one thing. Here a session is asked many, in an order that nobody thought of,
beside another one of the same process; and what it handed out and was handed in is watched (``harness.worker.script``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from backends.contract import Arrays
from backends.numpy.session import NumpySession
from harness.conformance.case import Observation
from harness.conformance.judge import Candidate, Measurement, Tally, measure
from harness.conformance.norms import relative_errors
from harness.conformance.outcome import CheckOutcome
from harness.conformance.scripts import Choices, Script, Writer, drawn
from harness.conformance.tolerances import tolerance
from harness.worker.script import Played, play
from specs import layers as L
from specs.architecture import Architecture
from specs.optimizers import SGD, Adam

# Smooth throughout: float32 has no kink to fall to the other side of. No step of Adam's is rounding alone, for every
# gradient is far above its epsilon.
IMAGES = Architecture(
    name="images",
    input=(2, 8, 8),
    classes=5,
    layers=(
        L.Conv2d(out_channels=4, kernel_size=(3, 3), bias=False),
        L.BatchNorm2d(),
        L.GELU(),
        L.AvgPool2d(kernel_size=(2, 2)),
        L.Flatten(),
        L.Dropout(p=0.5),
        L.Linear(out_features=5),
    ),
)
FEATURES = Architecture(
    name="features",
    input=(1, 4, 4),
    classes=4,
    layers=(L.Flatten(), L.Linear(out_features=6), L.GELU(), L.Linear(out_features=4)),
)
TINY = Architecture(name="tiny", input=(1, 2, 2), classes=3, layers=(L.Flatten(), L.Linear(out_features=3)))

MANY = "many samples"
SAMPLES = 70_000
"""Of training: more than sixteen bits can count."""

LEAST_ROUNDING = 1e-4


@dataclass(frozen=True, kw_only=True)
class Scripts:
    """The scripts of a scope: so many of each network; ``writes`` are what their sessions write at the end.

    Batch sizes and numbers of images are what some frameworks compile anew for, which takes most of the time.
    """

    count: int
    writes: tuple[str, ...]
    images: Choices
    features: Choices


MANY_SCRIPTS = Scripts(
    count=4,
    writes=("save", "export"),
    images=Choices(samples=(40, 23), batches=(16, 6, 1), steps=(1, 2, 5), images=(1, 999, 1001, 300)),
    features=Choices(
        samples=(40, 40, 23), batches=(8, 3, 1, 64), steps=(1, 8, 3, 35), images=(7, 1, 999, 1000, 1001, 2500)
    ),
)
FEW_SCRIPTS = Scripts(
    count=1,
    writes=("save",),
    images=Choices(samples=(40,), batches=(16, 6), steps=(1, 2, 5), images=(1, 1001)),
    features=Choices(samples=(40, 40, 23), batches=(8, 3, 64), steps=(1, 8, 3, 35), images=(7, 1000, 2500)),
)


@cache
def on_images(scope: Scripts) -> tuple[Script, ...]:
    """A convolutional network with batch norm, and dropout under given masks, by SGD with momentum."""
    rule = SGD(learning_rate=0.05, momentum=0.9)
    return tuple(
        drawn(f"script {number} on images", IMAGES, rule, scope.images, calls=16, writes=scope.writes)
        for number in range(1, scope.count + 1)
    )


@cache
def on_features(scope: Scripts) -> tuple[Script, ...]:
    """Linear layers by Adam, whose state has a step count, in short calls and long ones."""
    rule = Adam(learning_rate=0.01, epsilon=1e-3)
    return tuple(
        drawn(f"script {number} on features", FEATURES, rule, scope.features, calls=20, writes=scope.writes)
        for number in range(1, scope.count + 1)
    )


@cache
def on_many_samples(scope: Scripts) -> tuple[Script, ...]:
    """Four steps on so many samples that most of their indices take more than sixteen bits."""
    writer = Writer(MANY, TINY, SGD(learning_rate=0.1))
    writer.open(SAMPLES)
    writer.train(0, batch=64, steps=4)
    writer.read(0, "parameters")
    return (writer.script(),)


@cache
def in_bfloat16() -> Script:
    """Logits before training and after."""
    writer = Writer("bfloat16", IMAGES, SGD(learning_rate=0.05))
    writer.open(16)
    writer.predict(0, 64)
    writer.train(0, batch=16, steps=2)
    writer.predict(0, 64)
    return writer.script()


SCRIPTS = {"images": on_images, "features": on_features, MANY: on_many_samples}
"""Check to what draws its scripts."""


def judge_scripts(candidate: Candidate, scripts: Scripts, check: str, precision: str) -> list[CheckOutcome]:
    """Quantities: losses, gradients, evaluation, parameters (with slots), step count, arrays of others."""
    tally = Tally()
    for script in SCRIPTS[check](scripts):
        judge_script(script, candidate, precision, tally)
    return tally.outcomes("contract", check, precision)


def judge_script(script: Script, candidate: Candidate, precision: str, tally: Tally) -> None:
    """Add what is found of one script, the quantities of ``judge_scripts``."""
    with tally.attempt(script.name):
        played = candidate.play(script.spec_in(precision), script.calls_in(precision))
        observed = observation(script, played, precision)
        for quantity, wanted in reference(script).items():
            tally.add(quantity, measure(script.name, quantity, observed[quantity], wanted, precision))
        where = played.changed[0] if played.changed else ""
        touched = Measurement(case=script.name, error=float(len(played.changed)), limit=0.0, where=where)
        tally.add("arrays of others", touched)


def judge_bfloat16(candidate: Candidate) -> list[CheckOutcome]:
    """Quantities: bfloat16, an upper bound of the error, and rounding to bfloat16, a lower one."""
    script, tally = in_bfloat16(), Tally()
    with tally.attempt(script.name):
        played = candidate.play(script.spec_in("bfloat16"), script.calls_in("bfloat16"))
        got, wanted = observation(script, played, "bfloat16")["evaluation"], reference(script)["evaluation"]
        for where, error in relative_errors(got, wanted).items():
            share = LEAST_ROUNDING / error if error else math.inf
            for quantity, value in (("bfloat16", error), ("rounding to bfloat16", share)):
                limit = tolerance(quantity, "bfloat16").limit
                tally.add(quantity, Measurement(case=script.name, error=value, limit=limit, where=where))
    return tally.outcomes("contract", "bfloat16", "bfloat16")


@cache
def reference(script: Script) -> Observation:
    """What the NumPy session gives in float64."""
    spec = script.spec_in("float64")
    return observation(script, play(NumpySession, spec, script.calls_in("float64")), "float64")


def observation(script: Script, played: Played, precision: str) -> Observation:
    """What every call gave, by quantity; names begin with the place of the call. Losses are float64 by contract."""
    observed: dict[str, Arrays] = {}
    for place, (call, arrays) in enumerate(zip(script.calls, played.results, strict=True), start=1):
        for name, array in arrays.items():
            quantity = _quantity(call.method, name)
            value = array.astype(script.spec_in(precision).dtype) if quantity == "losses" else array
            observed.setdefault(quantity, {})[f"call {place}, {name}"] = value
    return observed


def _quantity(method: str, name: str) -> str:
    match method:
        case "train_steps":
            return "losses"
        case "predict":
            return "evaluation"
        case "loss_and_gradients":
            return "losses" if name == "loss" else "gradients"
        case _:
            return "step count" if name == "step" else "parameters"
