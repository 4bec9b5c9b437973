"""Level 7: the contract as a whole, in scripts of drawn calls that are carried out where the sessions are.

The levels before it ask a fresh session one thing. Here a session is asked many, in an order that nobody thought of,
beside another one of the same process; and what it handed out and was handed in is watched (``harness.worker.script``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import median

import numpy as np

from backends.contract import Arrays
from backends.numpy.session import NumpySession
from harness.conformance.case import Observation
from harness.conformance.judge import Candidate, Measurement, Tally, measure
from harness.conformance.norms import relative_errors
from harness.conformance.outcome import CheckOutcome
from harness.conformance.scripts import DrawnSizes, Script, Writer, drawn
from harness.conformance.tolerances import tolerance
from harness.worker.script import Played, play
from specs import layers as L
from specs.architecture import Architecture
from specs.optimizers import SGD, Adam, Optimizer
from specs.shapes import parameter_shapes

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
# More classes than eight bits can count.
TINY = Architecture(name="tiny", input=(1, 2, 2), classes=300, layers=(L.Flatten(), L.Linear(out_features=300)))

MANY, BFLOAT16, ORDERS = "many samples", "bfloat16", "fixed orders"
SAMPLES = 70_000
"""Of training: more than sixteen bits can count."""

ROUNDED = ("evaluation", "losses", "gradients")
"""Quantities that rounding to bfloat16 has to show in. Parameters are float32, and move little in a short script."""

LEAST_ROUNDING = 1e-4


@dataclass(frozen=True, kw_only=True)
class Scripts:
    """The scripts of a scope: so many of each network; ``writes`` are what their sessions write at the end.

    Batch sizes and numbers of images are what some frameworks compile anew for, which takes most of the time.
    ``precisions`` and ``threads`` are those in which all of them are carried out.
    """

    count: int
    writes: tuple[str, ...]
    images: DrawnSizes
    features: DrawnSizes
    precisions: tuple[str, ...]
    threads: tuple[int, ...]


MANY_SCRIPTS = Scripts(
    count=4,
    writes=("save", "export"),
    images=DrawnSizes(samples=(40, 23), batches=(16, 6, 1), steps=(1, 2, 5), images=(1, 999, 1001, 300)),
    features=DrawnSizes(
        samples=(40, 40, 23), batches=(8, 3, 1, 64), steps=(1, 8, 3, 35, 64), images=(7, 1, 999, 1000, 1001, 2500)
    ),
    precisions=("float32", "float64", "bfloat16"),
    threads=(1, 2),
)
FEW_SCRIPTS = Scripts(
    count=1,
    writes=("save",),
    images=DrawnSizes(samples=(40,), batches=(16, 6), steps=(1, 2, 5), images=(1, 1001)),
    features=DrawnSizes(samples=(40, 40, 23), batches=(8, 3, 64), steps=(1, 8, 3, 35), images=(7, 1000, 2500)),
    precisions=("float32",),
    threads=(1,),
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
def in_bfloat16(scope: Scripts) -> tuple[Script, ...]:
    """Every kind of result once, and a call of many steps: of the few checks in bfloat16 the only of a quick scope."""
    writer = Writer(BFLOAT16, IMAGES, SGD(learning_rate=0.02, momentum=0.9))
    writer.open(64)
    writer.predict(0, 64)
    writer.gradients(0, batch=64)
    writer.read(0, "parameters")
    writer.train(0, batch=64, steps=16)
    writer.read(0, "parameters")
    writer.predict(0, 64)
    return (writer.script(),)


@cache
def in_fixed_orders(scope: Scripts) -> tuple[Script, ...]:
    """What drawn scripts rarely meet: each begins with one thing that must leave nothing behind in another."""
    return (
        *(_taken_back(rule) for rule in (Adam(learning_rate=0.01, epsilon=1e-3), SGD(learning_rate=0.05))),
        _loaded_in_between(),
        _clipped_and_decayed(),
        _wrongly_loaded(),
    )


def _taken_back(rule: Optimizer) -> Script:
    """Steps that are taken back to the very first state, as a warm-up is: the count of steps too."""
    writer = Writer(f"{rule.kind} taken back to its first step", FEATURES, rule)
    writer.open(40)
    writer.read(0, "optimizer_state")
    writer.train(0, batch=8, steps=5)
    writer.load_again(0, "optimizer_state", 0)
    writer.read(0, "optimizer_state")
    writer.train(0, batch=8, steps=3)
    writer.read(0, "parameters")
    writer.read(0, "optimizer_state")
    return writer.script()


def _loaded_in_between() -> Script:
    """Parameters loaded behind an evaluation and gradients: what those computed with is gone, momentum is not."""
    writer = Writer("parameters loaded in between", IMAGES, SGD(learning_rate=0.05, momentum=0.9))
    writer.open(40)
    writer.read(0, "parameters")
    for _ in range(2):
        writer.predict(0, 64)
        writer.gradients(0, batch=16)
        writer.train(0, batch=16, steps=3)
        writer.gradients(0, batch=16)
        writer.predict(0, 64)
        writer.load_again(0, "parameters", 0)
        writer.read(0, "optimizer_state")
    writer.predict(0, 64)
    return writer.script()


def _clipped_and_decayed() -> Script:
    """Gradients come as they are, steps clip and decay them: weights and biases alike."""
    rule = SGD(learning_rate=0.05, momentum=0.8, weight_decay=0.05, clip_norm=0.1)
    writer = Writer("gradients clipped and all parameters decayed", FEATURES, rule)
    writer.open(40)
    for batch in (8, 3):
        writer.gradients(0, batch=batch)
        writer.train(0, batch=batch, steps=3)
    writer.read(0, "parameters")
    return writer.script()


def _wrongly_loaded() -> Script:
    """What lacks a name, has one too many or is of another shape is refused, and leaves everything as it was."""
    rule = Adam(learning_rate=0.01, epsilon=1e-3)
    writer = Writer("wrong names and shapes refused", FEATURES, rule)
    writer.open(40)
    writer.train(0, batch=8, steps=3)
    parameters: Arrays = {name: np.zeros(shape, np.float32) for name, shape in parameter_shapes(FEATURES).items()}
    slots = {f"{name}.{slot}": array for name, array in parameters.items() for slot in rule.slots}
    state: Arrays = {"step": np.array(0, np.int64), **slots}
    wrongly: dict[str, Arrays] = {"parameters": parameters, "state": state}
    for (argument, right), method in zip(wrongly.items(), ("load_parameters", "load_optimizer_state"), strict=True):
        *others, last = right
        lacking = {name: right[name] for name in others}
        for wrong in (lacking, {**right, "linear_9.bias": right[last]}, {**right, last: right[last][:-1]}):
            writer.refused(0, method, **{argument: wrong})
    writer.read(0, "parameters")
    writer.read(0, "optimizer_state")
    return writer.script()


SCRIPTS = {
    "images": on_images,
    "features": on_features,
    MANY: on_many_samples,
    ORDERS: in_fixed_orders,
    BFLOAT16: in_bfloat16,
}
"""What draws scripts, by name."""


def checks(scope: Scripts) -> Iterator[tuple[str, str, int]]:
    """Scripts, precision and number of threads of every check; those of one number of threads in a row."""
    for threads in scope.threads:
        for name in ("images", "features"):
            yield from ((name, precision, threads) for precision in scope.precisions)
    yield MANY, "float32", 1
    yield ORDERS, "float32", 1
    yield BFLOAT16, "bfloat16", 1


def judge_scripts(
    candidate: Candidate, scripts: Scripts, name: str, precision: str, threads: int
) -> list[CheckOutcome]:
    """Quantities: those of ``judge_script``. With several threads the first script of the network has to do.

    Threads that wait for one another while others work on their processors take long.
    """
    tally = Tally()
    for script in SCRIPTS[name](scripts)[: 1 if threads > 1 else None]:
        judge_script(script, candidate, precision, tally, threads=threads)
    return tally.outcomes("contract", title(name, threads), precision)


def title(name: str, threads: int) -> str:
    """What the check of these scripts is called."""
    return name if threads == 1 else f"{name}, {threads} threads"


def judge_script(script: Script, candidate: Candidate, precision: str, tally: Tally, *, threads: int = 1) -> None:
    """Quantities: losses, gradients, evaluation, parameters (with slots), step count, refusals, arrays of others.

    And two of bfloat16: "rounding to bfloat16" asks that what was computed in it does not agree too well, "movement"
    that steps much smaller than the parameters are not rounded like them.
    """
    with tally.attempt(script.name):
        spec = replace(script.spec_in(precision), threads=threads)
        played = candidate.play(spec, script.calls_in(precision))
        observed = observation(script, played, precision)
        for quantity, wanted in reference(script).items():
            tally.add(quantity, measure(script.name, quantity, observed[quantity], wanted, precision))
            if precision == BFLOAT16 and quantity in ROUNDED:
                tally.add("rounding to bfloat16", _rounding(script.name, quantity, observed[quantity], wanted))
        if precision == BFLOAT16:
            got, wanted = (_movement(script, results) for results in (played.results, _exact(script).results))
            tally.add("movement", measure(script.name, "movement", got, wanted, precision))
        where = played.changed[0] if played.changed else ""
        touched = Measurement(case=script.name, error=float(len(played.changed)), limit=0.0, where=where)
        tally.add("arrays of others", touched)


def _rounding(case: str, quantity: str, got: Arrays, wanted: Arrays) -> Measurement:
    """The least that rounding makes over what is seen, of the middle one of all results: a single one may be near."""
    error = median(relative_errors(got, wanted).values())
    share = LEAST_ROUNDING / error if error else math.inf
    limit = tolerance("rounding to bfloat16", BFLOAT16).limit
    return Measurement(case=case, error=share, limit=limit, where=quantity)


@cache
def reference(script: Script) -> Observation:
    """What the NumPy session gives in float64."""
    return observation(script, _exact(script), "float64")


@cache
def _exact(script: Script) -> Played:
    return play(NumpySession, script.spec_in("float64"), script.calls_in("float64"))


def _movement(script: Script, results: Sequence[Arrays]) -> Arrays:
    """What lies between the first and the last reading of the parameters."""
    first, *_, last = (
        result for call, result in zip(script.calls, results, strict=True) if call.method == "parameters"
    )
    return {name: last[name] - first[name] for name in parameter_shapes(script.spec.architecture)}


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
            return {"step": "step count", "refused": "refusals"}.get(name, "parameters")
