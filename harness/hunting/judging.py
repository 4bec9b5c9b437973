"""A trial on one backend: agreement, or what disagrees and of what class it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from backends.contract import Arrays, Unsupported
from harness.conformance.case import Observation, seeded
from harness.conformance.judge import Open, observe
from harness.conformance.locate import first_difference, layers_alone
from harness.conformance.norms import classes, relative_errors
from harness.conformance.reference import Reference
from harness.conformance.tolerances import PRECISIONS, YARDSTICK, tolerance
from harness.conformance.trajectories import ROUGH_ROUNDING
from harness.hunting.rounding import RoundedSession
from harness.hunting.trial import Trial, TrialCase, case_of
from harness.processes.launcher import WorkerFailed
from specs.nodes import INPUT

# Five were too few: in a graph trained by RMSprop one rounding led further than three times the worst of them.
ROUGH_DRAWS = 20

# The share of themselves by which weights are moved: in float64 less by as much as it has more digits.
ROUNDING = {"float32": ROUGH_ROUNDING, "float64": ROUGH_ROUNDING * 2.0**-29}

# Tensors that are next to nothing beside the others of their network are sums that cancel: a bias before batch norm,
# the running mean of what another batch norm has centred. They are measured against this share of the largest.
FLOORS = {"gradients": 1e-2, "parameters": 1e-2}

# Of the largest, in float64: what is smaller is 0 but for rounding, and only that it stays small can be asked of it.
VANISHING = 1e-12

Fault = Literal["formula", "precision", "special value", "crash", "hang", "memory", "error"]

_FAILURES: dict[str, Fault] = {"crashed": "crash", "timed_out": "hang", "out_of_memory": "memory"}


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """What a backend does otherwise than the reference.

    ``quantity`` and ``where`` name the worst tensor, ``index`` its worst element, with what float64 expects there and
    what came; ``layer`` the first that differs alone; ``severity`` how many times its tolerance the error is.
    Of a backend that did not answer there is the text alone.
    """

    fault: Fault
    precision: str
    text: str
    layer: str = ""
    quantity: str = ""
    where: str = ""
    index: tuple[int, ...] = ()
    expected: float | None = None
    actual: float | None = None
    severity: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """``status``: agrees, disagrees, unsupported, or skipped where no batch keeps clear of kinks. Seconds of one
    prediction, for finding what is a hundred times slower than elsewhere; None where nothing was predicted.
    """

    status: Literal["agrees", "disagrees", "unsupported", "skipped"]
    disagreement: Disagreement | None = None
    predict_s: float | None = None


def judge_trial(trial: Trial, open_session: Open) -> Judgement:
    """In float64, which tells a formula, then in float32, which tells the rest."""
    with np.errstate(all="ignore"):  # the reference is given NaN and infinities on purpose
        return _judged(trial, open_session)


def _judged(trial: Trial, open_session: Open) -> Judgement:
    case = case_of(trial)
    if case is None:
        return Judgement(status="skipped")
    reference = Reference()
    seconds: float | None = None
    agreed = False
    for precision in reversed(PRECISIONS):
        try:
            observed, seconds = _observe(case, open_session, precision)
        except Unsupported:
            continue
        except WorkerFailed as failure:
            fault = _FAILURES.get(failure.status, "error")
            return _disagrees(Disagreement(fault=fault, precision=precision, text=str(failure)))
        found = _compare(trial, case, observed, reference, precision, open_session)
        if found is not None:
            return _disagrees(found)
        agreed = True
    return Judgement(status="agrees" if agreed else "unsupported", predict_s=seconds)


def _disagrees(found: Disagreement) -> Judgement:
    return Judgement(status="disagrees", disagreement=found)


def _observe(case: TrialCase, open_session: Open, precision: str) -> tuple[Observation, float]:
    """What the backend does, and seconds of a prediction of what is compiled."""
    dtype = np.dtype(precision)
    session = open_session(case.spec(precision))
    try:
        observed = case.observe(session, dtype)
        images = case.images.astype(dtype)
        session.predict(images)  # MindSpore compiles anew after the first change from training to evaluation
        start = time.perf_counter()
        session.predict(images)
        return observed, time.perf_counter() - start
    finally:
        session.close()


def _compare(
    trial: Trial, case: TrialCase, observed: Observation, reference: Reference, precision: str, open_session: Open
) -> Disagreement | None:
    """The first quantity that disagrees; those in which NumPy's own float32 overflows are not compared."""
    want, single = reference.observe(case), reference.observe(case, "float32")
    if not trial.finite:
        found = _pattern(observed, want, precision)
        return found and replace(found, layer=_first_to_misplace(case, open_session, precision))
    for quantity, expected in want.items():
        if not all(np.isfinite(array).all() for array in single[quantity].values()):
            continue
        errors = _errors(quantity, observed[quantity], expected)
        where, error = max(errors.items(), key=lambda item: item[1])
        limit = tolerance(quantity, precision).limit
        if error > limit:
            runs = [*([single] if precision == "float32" else []), *_rounded(case, precision)]
            limit = max(limit, YARDSTICK * _spread(runs, want, quantity, where))
        if error <= limit:
            continue
        fault: Fault = "formula" if precision == "float64" else "precision"
        return Disagreement(
            fault=fault if trial.values == "normal" else "special value",
            precision=precision,
            text=f"{quantity}: {where} is {error:.1e} off, tolerance {limit:.0e}",
            layer=first_difference(case, open_session, reference, precision),
            severity=error / limit,
            **_worst(quantity, where, observed, want),
        )
    return None


def _rounded(case: TrialCase, precision: str) -> Iterator[Observation]:
    """What rounding leads to by itself: NumPy in the same precision, rounding at random, of weights moved by ROUNDING.

    Five steps of a rule that divides by the size of a gradient can make much of a rounding, and of numbers that cancel
    nothing but rounding is left, in float64 too.
    """
    generator = seeded(case.name)
    for _ in range(ROUGH_DRAWS):
        moved = {
            name: array * (1 + ROUNDING[precision] * generator.standard_normal(array.shape))
            for name, array in case.parameters.items()
        }
        rough = replace(case, parameters=moved)
        yield rough.observe(RoundedSession(rough.spec(precision), generator), np.dtype(precision))


def _spread(runs: Iterable[Observation], want: Observation, quantity: str, where: str) -> float:
    """The error of the worst of some runs, of one tensor."""
    return max(_errors(quantity, run[quantity], want[quantity])[where] for run in runs)


def _errors(quantity: str, got: Arrays, want: Arrays) -> dict[str, float]:
    """Relative to each tensor, to a share of the largest, or to the largest itself where the tensor is VANISHING."""
    errors = relative_errors(got, want, floor=FLOORS.get(quantity, 0.0))
    if quantity not in FLOORS:
        return errors
    largest = max(float(np.linalg.norm(array)) for array in want.values())
    lenient = relative_errors(got, want, floor=1.0)
    return {
        name: lenient[name] if name in want and np.linalg.norm(want[name]) <= VANISHING * largest else error
        for name, error in errors.items()
    }


def _pattern(observed: Observation, want: Observation, precision: str) -> Disagreement | None:
    """Where a NaN or an infinity went otherwise than in the reference."""
    for quantity, arrays in want.items():
        for name, expected in arrays.items():
            if name == INPUT:  # a derivative of 0 times NaN is 0 or NaN by how it is written
                continue
            actual = observed[quantity][name]
            if np.array_equal(classes(actual), classes(expected)):
                continue
            return Disagreement(
                fault="special value",
                precision=precision,
                text=f"{quantity}: {name} has NaN or infinity in other places",
                **_worst(quantity, name, observed, want),
            )
    return None


def _first_to_misplace(case: TrialCase, open_session: Open, precision: str) -> str:
    """The first layer that puts a NaN or an infinity elsewhere when it is alone and fed what the reference fed it."""
    for node, alone in layers_alone(case):
        try:
            observed = observe(alone, open_session, precision)
        except (Unsupported, WorkerFailed):
            continue
        wanted = Reference().observe(alone)
        for quantity, direction in (("logits", "forward"), ("gradients", "backward")):
            if _pattern({quantity: observed[quantity]}, {quantity: wanted[quantity]}, precision):
                return f"first differs at {node.name} {direction}"
    return "no layer differs alone"


def _worst(quantity: str, name: str, observed: Observation, want: Observation) -> dict[str, Any]:
    """The element that is furthest off, and both its values; none where the shapes differ."""
    actual = np.asarray(observed.get(quantity, {}).get(name, np.nan), np.float64)
    expected = np.asarray(want[quantity].get(name, np.nan), np.float64)
    found: dict[str, Any] = {"quantity": quantity, "where": name}
    if actual.shape != expected.shape:
        return found
    with np.errstate(invalid="ignore"):
        off = np.where(classes(actual) != classes(expected), np.inf, np.abs(actual - expected))
    index = tuple(int(i) for i in np.unravel_index(np.nanargmax(off), off.shape)) if off.ndim else ()
    return {**found, "index": index, "expected": float(expected[index]), "actual": float(actual[index])}
