"""Level 4: the framework's own dropout, as a run uses it, judged by what it does.

The mask of a step is read off the gradient of the images, which is exactly 0 where an element was dropped. The
reference is then given that mask: loss and gradients agree only if the survivors were scaled by 1 / (1 - p).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec
from backends.numpy.session import NumpySession
from harness.conformance.case import NetworkCase, cast, network_case
from harness.conformance.judge import Candidate, Measurement, Open, Tally, measure
from harness.conformance.layer_cases import isolated
from harness.conformance.outcome import CheckOutcome
from harness.conformance.tolerances import tolerance
from specs.layers import Dropout
from specs.optimizers import SGD

SHAPE = (4, 16, 16)
BATCH = 12
FIRST, ALL = np.zeros((1, 1), np.int64), np.arange(BATCH)[np.newaxis]
"""A step on the first sample, and one on all of them."""

MASKS = 4
NEVER_KEPT = 4
"""In a call of ``train_steps``: of so many cells, about, no step keeps any."""


MOST_STEPS = 10
"""A p near 1 takes more until few cells were never kept, and by then the one sample is learnt and moves no weight."""


def native_dropout(candidate: Candidate, precision: str, probabilities: Sequence[float]) -> list[CheckOutcome]:
    """Quantities: scaling, rate, independence, training steps, evaluation."""
    tally, open_session = Tally(), candidate.open
    for p in probabilities:
        architecture = isolated(Dropout(p=p), SHAPE)
        case = network_case(f"dropout(p={p:g}) with the framework's own masks", architecture, batch=BATCH)
        with tally.attempt(case.name):
            spec = SessionSpec(architecture=architecture, optimizer=SGD(), precision=precision, seed=1)
            with closing(open_session(spec)) as session:
                session.load_parameters(cast(case.parameters, spec.dtype))
                dropout_masks = _masks(session, case, spec, tally)
                _judge_masks(dropout_masks, p, case.name, tally)
                _judge_given_masks(session, case, spec, p, tally)
                _judge_training_steps(session, case, spec, p, tally)
                _judge_evaluation(session, case, spec, tally)
    _judge_two_layers(open_session, precision, tally)
    return tally.outcomes("trajectories", "native dropout", precision)


def _masks(session: Session, case: NetworkCase, spec: SessionSpec, tally: Tally) -> NDArray[np.bool_]:
    """bool[MASKS, BATCH, C, H, W] of as many steps, each step compared with the reference under the same mask."""
    reference = NumpySession(SessionSpec(architecture=case.architecture, optimizer=SGD(), precision="float64"))
    reference.load_parameters(case.parameters)
    images = case.images.astype(spec.dtype)
    dropout_masks = []
    for _ in range(MASKS):
        loss, gradients = session.loss_and_gradients(images, case.labels)
        dropout_masks.append(gradients["input"] != 0)
        wanted_loss, wanted = reference.loss_and_gradients(
            images, case.labels, dropout_masks={"dropout_1": dropout_masks[-1]}
        )
        got = {**gradients, "loss": np.asarray(loss, spec.dtype)}
        want: Arrays = {**wanted, "loss": np.asarray(wanted_loss)}
        tally.add("scaling", measure(case.name, "scaling", got, want, spec.precision))
    return np.stack(dropout_masks)


def _judge_masks(dropout_masks: NDArray[np.bool_], p: float, case: str, tally: Tally) -> None:
    tally.add("rate", _deviation(case, "rate", ~dropout_masks, p, where=f"dropped {1 - dropout_masks.mean():.4f}"))
    alike = p**2 + (1 - p) ** 2
    for where, first, second in (
        ("from step to step", dropout_masks[:-1], dropout_masks[1:]),
        ("from sample to sample", dropout_masks[:, :-1], dropout_masks[:, 1:]),
        ("from sample to the eighth after it", dropout_masks[:, :-8], dropout_masks[:, 8:]),
        ("from channel to channel", dropout_masks[:, :, :-1], dropout_masks[:, :, 1:]),
    ):
        tally.add("independence", _deviation(case, "independence", first == second, alike, where=where))


def _judge_given_masks(session: Session, case: NetworkCase, spec: SessionSpec, p: float, tally: Tally) -> None:
    """Masks that were given are those of their call: the next one without draws its own."""
    images = case.images.astype(spec.dtype)
    given, drawn = (
        session.loss_and_gradients(images, case.labels, dropout_masks=dropout_masks)[1]["input"] != 0
        for dropout_masks in (case.dropout_masks, None)
    )
    alike, where = p**2 + (1 - p) ** 2, "from given masks to drawn ones"
    tally.add("independence", _deviation(case.name, "independence", given == drawn, alike, where=where))


def _judge_training_steps(session: Session, case: NetworkCase, spec: SessionSpec, p: float, tally: Tally) -> None:
    """A weight behind an element that was dropped in every step of a call has not moved: a share of p ** steps.

    After that calls of a step, some behind new data, some behind an evaluation: none may draw like another. Where p is
    near 1 one step on all samples takes the place, with its own mask for each.
    """
    steps = round(math.log(NEVER_KEPT / math.prod(SHAPE), p))
    images = case.images.astype(spec.dtype)
    session.set_training_data(images, case.labels)
    if steps > MOST_STEPS:
        _judge_unmoved(session, ALL, p**BATCH, case.name, tally)
        return
    session.compile(1, steps)
    _judge_unmoved(session, np.repeat(FIRST, steps, axis=0), p**steps, case.name, tally)
    session.set_training_data(images, case.labels)
    first, second = _unmoved(session, FIRST), _unmoved(session, FIRST)
    session.set_training_data(images, case.labels)
    later = _unmoved(session, FIRST)
    evaluated = []
    for _ in range(2):
        session.predict(images)
        evaluated.append(_unmoved(session, FIRST))
    alike = p**2 + (1 - p) ** 2
    for where, events in (
        ("from call to call", first == second),
        ("from epoch to epoch", first == later),
        ("from evaluation to evaluation", evaluated[0] == evaluated[1]),
    ):
        tally.add("independence", _deviation(case.name, "independence", events, alike, where=where))


def _judge_unmoved(session: Session, batches: NDArray[np.int64], share: float, case: str, tally: Tally) -> None:
    """``share``: of weights that a call does not move, because no mask of it keeps what they multiply."""
    unmoved = _unmoved(session, batches)
    where = f"{unmoved.mean():.4f} never kept in {len(batches)} steps of {batches.shape[1]}"
    tally.add("training steps", _deviation(case, "training steps", unmoved, share, where=where))


def _unmoved(session: Session, batches: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[features]: the features whose weights steps on these batches, in one call, do not move."""
    before = session.parameters()["linear_1.weight"]
    session.train_steps(batches, np.full(len(batches), 0.01))
    unmoved: NDArray[np.bool_] = (session.parameters()["linear_1.weight"] == before).all(axis=0)
    return unmoved


def _judge_evaluation(session: Session, case: NetworkCase, spec: SessionSpec, tally: Tally) -> None:
    """Evaluation knows no dropout: the logits are those of the head on the images as they are."""
    weight = session.parameters()["linear_1.weight"].astype(np.float64)
    images = case.images.astype(spec.dtype)
    want = {"logits": images.reshape(len(images), -1).astype(np.float64) @ weight.T}
    tally.add("logits", measure(case.name, "logits", {"logits": session.predict(images)}, want, spec.precision))


def _judge_two_layers(open_session: Open, precision: str, tally: Tally) -> None:
    """One dropout behind another of the same shape: what passes both is a share of (1 - p) ** 2.

    In training too, of one sample and of more than eight, whose masks a generator of bits may repeat.
    """
    single = isolated(Dropout(p=0.5), SHAPE)
    double = replace(single, layers=(Dropout(p=0.5), *single.layers))
    case = network_case("two dropouts of one shape", double, batch=BATCH)
    spec = SessionSpec(architecture=case.architecture, optimizer=SGD(), precision=precision, seed=1)
    with tally.attempt(case.name), closing(open_session(spec)) as session:
        session.load_parameters(cast(case.parameters, spec.dtype))
        images = case.images.astype(spec.dtype)
        _, gradients = session.loss_and_gradients(images, case.labels)
        passed = gradients["input"] != 0
        tally.add("independence", _deviation(case.name, "independence", passed, 0.25, where="from layer to layer"))
        session.set_training_data(images, case.labels)
        for batches in (FIRST, ALL):
            _judge_unmoved(session, batches, 0.75**batches.size, case.name, tally)


def _deviation(case: str, quantity: str, events: NDArray[np.bool_], share: float, *, where: str) -> Measurement:
    """How many standard deviations the share of true events lies from the expected one."""
    deviations = abs(events.mean() - share) / np.sqrt(share * (1 - share) / events.size)
    limit = tolerance(quantity, "float32").limit
    return Measurement(case=case, error=float(deviations), limit=limit, where=where)
