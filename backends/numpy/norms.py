"""Norms: of every channel over the batch, of every token alone, of groups of channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from backends.numpy.computed import Array, Computed
from specs.errors import RequestError
from specs.layers import BatchNorm, GroupNorm, LayerNorm


@dataclass(frozen=True)
class Normalised:
    """(x - mean) / sqrt(variance + epsilon), with what it was computed by; ``input_gradient`` goes back through it."""

    output: Array
    mean: Array
    variance: Array
    input_gradient: Callable[[Array], Array]


def normalised(x: Array, over: tuple[int, ...], epsilon: float) -> Normalised:
    """``x`` by its own mean and biased variance over some axes, which those keep with length 1."""
    mean = x.mean(axis=over, keepdims=True)
    centred = x - mean
    variance = np.square(centred).mean(axis=over, keepdims=True)
    inverse_deviation = 1 / np.sqrt(variance + epsilon)
    output = centred * inverse_deviation

    def input_gradient(dy: Array) -> Array:
        # Mean and variance depend on x too: their share is what is taken away.
        through_mean = dy.mean(axis=over, keepdims=True)
        through_variance = output * (dy * output).mean(axis=over, keepdims=True)
        result: Array = inverse_deviation * (dy - through_mean - through_variance)
        return result

    return Normalised(output, mean, variance, input_gradient)


def batch_norm(layer: BatchNorm, x: Array, values: Mapping[str, Array], *, training: bool) -> Computed:
    """Of x[n, c, ...] every channel, by the batch in ``training``, else by the running statistics."""
    return _by_the_batch(layer, x, values) if training else _by_running_statistics(layer, x, values)


def _by_the_batch(layer: BatchNorm, x: Array, values: Mapping[str, Array]) -> Computed:
    count = x.size // x.shape[1]
    if count < 2:
        raise RequestError(f"{layer.kind}: training needs more than one value per channel, got a batch of {x.shape}")
    own = normalised(x, (0, *range(2, x.ndim)), layer.epsilon)
    batch = {
        "running_mean": own.mean.ravel(),
        "running_variance": own.variance.ravel() * (count / (count - 1)),
    }
    moved = {name: (1 - layer.momentum) * values[name] + layer.momentum * new for name, new in batch.items()}
    return replace(_scaled(own.output, own.input_gradient, values, axis=1), buffers=moved)


def _by_running_statistics(layer: BatchNorm, x: Array, values: Mapping[str, Array]) -> Computed:
    inverse_deviation = _along(1 / np.sqrt(values["running_variance"] + layer.epsilon), x, axis=1)
    output = (x - _along(values["running_mean"], x, axis=1)) * inverse_deviation
    return _scaled(output, lambda dy: dy * inverse_deviation, values, axis=1)


def layer_norm(layer: LayerNorm, x: Array, values: Mapping[str, Array]) -> Computed:
    """Of x[n, ..., features] over the last axis."""
    own = normalised(x, (x.ndim - 1,), layer.epsilon)
    return _scaled(own.output, own.input_gradient, values, axis=x.ndim - 1)


def group_norm(layer: GroupNorm, x: Array, values: Mapping[str, Array]) -> Computed:
    """Of x[n, c, h, w] over every group of channels."""
    grouped = (len(x), layer.groups, -1)
    own = normalised(x.reshape(grouped), (2,), layer.epsilon)

    def input_gradient(dy: Array) -> Array:
        return own.input_gradient(dy.reshape(grouped)).reshape(x.shape)

    return _scaled(own.output.reshape(x.shape), input_gradient, values, axis=1)


def _scaled(x: Array, input_gradient: Callable[[Array], Array], values: Mapping[str, Array], *, axis: int) -> Computed:
    """gamma * x + beta, both along one axis of x, before which ``input_gradient`` is what goes further back."""
    gamma, beta = (_along(values[part], x, axis=axis) for part in ("gamma", "beta"))
    others = tuple(a for a in range(x.ndim) if a != axis)
    return Computed(
        output=gamma * x + beta,
        input_gradient=lambda dy: input_gradient(gamma * dy),
        parameter_gradients=lambda dy: {"gamma": (dy * x).sum(axis=others), "beta": dy.sum(axis=others)},
    )


def _along(vector: Array, x: Array, *, axis: int) -> Array:
    """``vector`` shaped to be multiplied with ``x`` along ``axis``."""
    return vector.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
