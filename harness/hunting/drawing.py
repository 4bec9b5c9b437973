"""Trials drawn from a seed and a number, over the vocabulary that conformance draws from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.conformance.drawing import Draw
from harness.conformance.drawn_layers import example
from harness.conformance.drawn_networks import chain, graph
from harness.conformance.layer_cases import isolated
from harness.hunting.trial import Trial, Values, least_batch, may_be_even
from specs.layers import GroupNorm, Layer, LayerNorm
from specs.nodes import Shape
from specs.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

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
    optimizer, values = _optimizer(draw), _values(draw)
    optimizer = replace(optimizer, clip_norm=draw.choice((None, None, 0.1, 1.0)), decay=draw.choice(("all", "weights")))
    if kind == "layer" and draw.integer(1, 10) == 1:
        architecture = isolated(*_norm_of_one_element(draw))
    if values in ("constant", "denormal") and not may_be_even(architecture):
        values = "normal"
    batch = max(batch, least_batch(architecture))
    return Trial(architecture=architecture, optimizer=optimizer, values=values, batch=batch, steps=5)


def _norm_of_one_element(draw: Draw) -> tuple[Layer, Shape]:
    """What it gives is its offset, and no gradient passes it: a difference from the mean that is no 0 is a fault."""
    channels = draw.integer(1, 4)
    norms: tuple[tuple[Layer, Shape], ...] = (
        (GroupNorm(groups=channels), (channels, 1, 1)),
        (LayerNorm(), (channels, 1)),
        (LayerNorm(), (1,)),
    )
    return draw.choice(norms)


def _values(draw: Draw) -> Values:
    """Two times in three normal: nothing else takes part in training and its kinks."""
    special = draw.choice(_SPECIAL)
    return "normal" if draw.integer(1, 3) < 3 else special


def _optimizer(draw: Draw) -> Optimizer:
    """Any rule with any options of its own. Epsilon is far above rounding, which below it becomes whole steps."""
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
