"""Trials drawn from a seed and a number, over the vocabulary that conformance draws from."""

from __future__ import annotations

from collections.abc import Callable

from harness.conformance.drawing import Draw
from harness.conformance.drawn_layers import example
from harness.conformance.drawn_networks import chain, graph
from harness.conformance.layer_cases import isolated
from harness.hunting.trial import Trial, Values
from specs.architecture import Architecture
from specs.layers import BatchNorm, BatchNorm1d, GroupNorm, LayerNorm
from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop
from specs.shapes import infer

# A layer alone is cheap and shows most; what several do together needs chains and graphs.
_NETWORKS: tuple[str, ...] = ("layer", "layer", "chain", "graph")

_SPECIAL: tuple[Values, ...] = ("constant", "huge", "denormal", "nan", "infinite")


def drawn_trial(seed: int, number: int) -> Trial:
    """The same for everybody: it depends on the two numbers alone."""
    draw = Draw(f"hunt {seed} {number}")
    kind = draw.choice(_NETWORKS)
    batch = draw.choice((1, 2, 3, 4, 5, 9))
    if kind == "layer":
        layer, shape, _ = example(draw)
        architecture = isolated(layer, shape)
    else:
        architecture = (chain if kind == "chain" else graph)(draw)
    if any(isinstance(node.layer, BatchNorm1d) for node in infer(architecture)):
        batch = max(batch, 4)  # as many values as a feature has: of one there is no variance, of two only signs
    optimizer, values = _optimizer(draw), _values(draw, architecture)
    return Trial(architecture=architecture, optimizer=optimizer, values=values, batch=batch, steps=5)


def _values(draw: Draw, architecture: Architecture) -> Values:
    """Two times in three normal: nothing else takes part in training and its kinks.

    Of images that hardly vary a norm leaves their rounding and nothing else, in float64 too.
    """
    normed = any(isinstance(node.layer, BatchNorm | LayerNorm | GroupNorm) for node in infer(architecture))
    special = draw.choice(_SPECIAL)
    even = special in ("constant", "denormal") and normed
    return "normal" if draw.integer(1, 3) < 3 or even else special


def _optimizer(draw: Draw) -> Optimizer:
    """Any rule with any options. An epsilon far above rounding: below it, rounding itself becomes whole steps."""
    decay = draw.choice((0.0, 0.0, 0.01))
    epsilon = draw.choice((1e-3, 0.1))
    beta1, beta2 = draw.choice((0.0, 0.5, 0.9)), draw.choice((0.5, 0.9, 0.999))
    rho = draw.choice((0.5, 0.9, 0.99))
    momentum = draw.choice((0.0, 0.5, 0.9))
    rules: tuple[Callable[[], Optimizer], ...] = (
        lambda: SGD(momentum=momentum, nesterov=momentum > 0 and draw.flag(), weight_decay=decay),
        lambda: Adam(epsilon=epsilon, weight_decay=decay, beta1=beta1, beta2=beta2),
        lambda: AdamW(epsilon=epsilon, weight_decay=decay, beta1=beta1, beta2=beta2),
        lambda: Adadelta(rho=rho, epsilon=epsilon, weight_decay=decay),
        lambda: RMSprop(rho=rho, epsilon=epsilon, weight_decay=decay),
        lambda: Adagrad(epsilon=epsilon, weight_decay=decay),
    )
    return draw.choice(rules)()
