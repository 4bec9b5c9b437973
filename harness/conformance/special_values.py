"""Level 8: NaN, infinities, huge and denormal numbers through every layer, forward and backward.

Where a NaN or an infinity comes out is compared, in the logits and in the gradients of parameters. (That of the images
is left out: a derivative of 0 times NaN is 0 or NaN by how it is written.) What is finite is compared as on other
levels, unless NumPy's own precision fails on the way, for squares overflow. What a framework is known to do otherwise
is a table here, which hunts use too; docs/semantics.md shows it. It excuses the quantities that it touches alone, and
denormals that are 0 have still to be finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Session
from backends.numpy.session import NumpySession
from harness.conformance import join_cases, layer_cases
from harness.conformance.case import NetworkCase, Observation, cast, seeded
from harness.conformance.judge import Candidate, Measurement, Tally, measure
from harness.conformance.norms import classes
from harness.conformance.outcome import CheckOutcome
from specs.layers import MaxPool2d
from specs.nodes import INPUT
from specs.shapes import infer
from specs.versioned import Versioned

VALUES = ("nan", "infinite", "huge", "denormal")
HUGE, DENORMAL = 1e30, 1e-39


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What some backends do otherwise with some values, in networks that have a layer of these kinds (none: any).

    A kind may also be two layers in a row: "conv2d, relu". ``backends`` are named alone, or with the one manner that
    does it: "torch, expert". ``least_classes``: of networks with so many classes or more alone. ``quantities``: of a
    trial with steps of training these alone (none: any). ``forward``: whether the forward pass shows it, so that logits
    before any training differ too. ``severity``: errors of so many times the tolerance at most.
    """

    name: str
    reason: str
    backends: tuple[str, ...]
    values: tuple[str, ...]
    precisions: tuple[str, ...] = ("float32", "float64")
    kinds: tuple[str, ...] = ()
    least_classes: int = 0
    quantities: tuple[str, ...] = ()
    forward: bool = True
    severity: float = math.inf


DIFFERENCES = (
    Difference(
        name="softmax hides NaN",
        reason="of eight or more float32 logits (docs/upstream/paddle_softmax_hides_nan.py)",
        backends=("paddle",),
        values=("nan", "infinite"),
        precisions=("float32",),
        least_classes=8,
        forward=False,
    ),
    Difference(
        name="softmax is never 0",
        reason="log-probabilities are cut at -64 (docs/upstream/paddle_loss_cut_at_64.py): a gradient of 0 becomes "
        "1e-28 times the value, which rules that divide by the size of a gradient make steps of, and 0 times infinity "
        "infinity",
        backends=("paddle",),
        values=("huge", "infinite"),
        quantities=("gradients", "losses", "parameters"),
        forward=False,
    ),
    Difference(
        name="attention's weights are never 0",
        reason="softmax is at least exp(-64), as above: an infinite value has a weight of 1e-28 in place of 0, and "
        "gives infinity in place of NaN",
        backends=("paddle",),
        values=("infinite",),
        kinds=("multi_head_attention",),
    ),
    Difference(
        name="denormals are 0",
        reason="the framework's threads flush float32 denormals to 0, which is a setting of the processor",
        backends=("keras", "mindspore", "jax"),
        values=("denormal",),
        precisions=("float32",),
    ),
    Difference(
        name="relu hides NaN",
        reason="relu of NaN is 0 (docs/upstream/paddle_relu_hides_nan.py, mindspore_relu_hides_nan.py), as in oneDNN",
        backends=("paddle", "mindspore", "torch, expert"),
        values=("nan", "infinite"),
        kinds=("relu", "relu6"),
    ),
    Difference(
        name="relu hides NaN",
        reason="where a graph joins it with the layer before it (docs/upstream/tensorflow_relu_fused_hides_nan.py)",
        backends=("keras",),
        values=("nan", "infinite"),
        precisions=("float32",),
        kinds=("conv2d, relu", "conv2d, relu6", "linear, relu", "linear, relu6"),
    ),
    Difference(
        name="max pooling hides NaN",
        reason="the largest of the others of a window (docs/upstream/tensorflow_max_pool_hides_nan.py and others)",
        backends=("keras", "paddle", "mindspore", "torch, expert"),
        values=("nan", "infinite"),
        kinds=("max_pool2d",),
    ),
    Difference(
        name="gelu of infinity is NaN",
        reason="as erf of infinity is in float64 (docs/upstream/tensorflow_erf_of_infinity.py)",
        backends=("keras",),
        values=("infinite",),
        precisions=("float64",),
        kinds=("gelu",),
    ),
    Difference(
        name="gelu of infinity is NaN",
        reason="of several float32 elements at once (docs/upstream/torch_gelu_of_infinity.py)",
        backends=("torch",),
        values=("infinite",),
        precisions=("float32",),
        kinds=("gelu",),
    ),
    Difference(
        name="a GRU's gradients are NaN",
        reason="where a reset gate is 0 (docs/upstream/paddle_gru_of_a_closed_reset_gate.py)",
        backends=("paddle",),
        values=("infinite", "huge"),
        kinds=("gru",),
        forward=False,
    ),
    Difference(
        name="gradients of saturated attention are rounding",
        reason="those of q and k are a difference that is 0; fused attention has its two sides by different sums",
        backends=("torch",),
        values=("huge",),
        kinds=("multi_head_attention",),
        forward=False,
    ),
    Difference(
        name="gradients of saturated attention are rounding",
        reason="softmax is at least exp(-64), as above: 1e-28 times a value of 1e30",
        backends=("paddle",),
        values=("huge",),
        precisions=("float64",),
        kinds=("multi_head_attention",),
        forward=False,
    ),
    Difference(
        name="gradients of norms vanish",
        reason="JAX derives those of 1 / sqrt(variance): its power of -3/2 is 0 in float32 from a variance of 1e30 on",
        backends=("jax",),
        values=("huge",),
        precisions=("float32",),
        kinds=("batch_norm1d", "batch_norm2d", "layer_norm", "group_norm"),
        quantities=("gradients", "losses", "parameters"),
        forward=False,
    ),
    Difference(
        name="batch norm adds in float32",
        reason="one value after another in channels_last (docs/upstream/torch_batch_norm_sums_channels_last.py), where "
        "contiguous memory has sums in float64: as many roundings as a channel has values",
        backends=("torch, recommended", "torch, expert"),
        values=("normal", "constant", "huge"),
        precisions=("float32",),
        kinds=("batch_norm2d",),
        severity=10.0,
    ),
)


def known_difference(
    subject: str,
    values: str,
    precision: str,
    kinds: set[str],
    class_count: int,
    quantity: str = "",
    *,
    forward: bool = False,
    severity: float = 0.0,
) -> Difference | None:
    """The known difference that applies to a quantity of a network of these kinds of layers, if one does.

    ``subject`` is a backend, perhaps with its version and manner: "torch", "torch@2.9.0, expert". ``forward``: of those
    alone that the forward pass shows. ``severity``: how many times its tolerance the error is.
    """
    backend, _, manner = subject.partition(", ")
    name = Versioned.parse(backend).name
    return next(
        (
            one
            for one in DIFFERENCES
            if not {name, f"{name}, {manner}"}.isdisjoint(one.backends)
            and values in one.values
            and precision in one.precisions
            and class_count >= one.least_classes
            and (not one.kinds or not kinds.isdisjoint(one.kinds))
            and (not one.quantities or quantity in one.quantities)
            and (one.forward or not forward)
            and severity <= one.severity
        ),
        None,
    )


def judge_special_values(kind: str, candidate: Candidate, precision: str) -> list[CheckOutcome]:
    """A layer with its images made special in each way. Quantities: places of NaN and infinity; logits, gradients."""
    tally, case = Tally(), _layers()[kind]
    with tally.attempt(case.name), closing(candidate.open(case.spec(precision))) as session:
        for quantity, measurement in _measured(case, session, candidate.name, precision):
            tally.add(quantity, measurement)
    return tally.outcomes("special", kind, precision)


@cache
def _layers() -> dict[str, NetworkCase]:
    return {kind: cases[0] for kind, cases in (layer_cases.fixed_cases() | join_cases.fixed_cases()).items()}


def _measured(case: NetworkCase, session: Session, subject: str, precision: str) -> Iterator[tuple[str, Measurement]]:
    kinds, class_count = {node.layer.kind for node in infer(case.architecture)}, case.architecture.classes
    with np.errstate(all="ignore"):
        for values in VALUES:
            special = replace(case, name=f"{case.name}, {values}", images=_special(case, values))
            observed = _observe(special, session, precision)
            want, single = (
                _observe(special, NumpySession(special.spec(used)), used) for used in ("float64", precision)
            )
            for quantity, expected in want.items():
                forward = quantity == "logits"
                known = known_difference(subject, values, precision, kinds, class_count, forward=forward)
                if known and values != "denormal":
                    continue
                if known or values in ("nan", "infinite"):
                    yield "places", _places(special.name, observed[quantity], expected)
                elif measure(special.name, quantity, single[quantity], expected, precision).passed:
                    yield quantity, measure(special.name, quantity, observed[quantity], expected, precision)


def _observe(case: NetworkCase, session: Session, precision: str) -> Observation:
    """Logits, and the gradients where the order of a sum cannot decide where they go."""
    dtype = np.dtype(precision)
    session.load_parameters(cast(case.parameters, dtype))  # running statistics may have moved
    images = case.images.astype(dtype)
    observed: Observation = {"logits": {"logits": session.predict(images)}}
    if not any(isinstance(node.layer, MaxPool2d) for node in infer(case.architecture)):
        masks = case.dropout_masks or None
        observed["gradients"] = session.loss_and_gradients(images, case.labels, dropout_masks=masks)[1]
    return observed


def _special(case: NetworkCase, values: str) -> NDArray[np.float32]:
    images = seeded(f"{case.name}, {values}").standard_normal(case.images.shape, dtype=np.float32)
    match values:
        case "huge":
            images *= np.float32(HUGE)
        case "denormal":
            images *= np.float32(DENORMAL)
        case _:
            images.flat[images.size // 2] = np.nan if values == "nan" else np.inf
    return images


def _places(case: str, got: dict[str, NDArray[Any]], want: dict[str, NDArray[Any]]) -> Measurement:
    """How many elements of the worst tensor are NaN, infinite or finite and should be another of these."""
    wrong = {name: float((classes(got[name]) != classes(array)).sum()) for name, array in want.items() if name != INPUT}
    where, count = max(wrong.items(), key=lambda item: item[1])
    return Measurement(case=case, error=count, limit=0.0, where=where)
