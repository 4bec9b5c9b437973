"""Activations, with derivatives that do not cancel."""

from __future__ import annotations

import math

import numpy as np

from backends.numpy.computed import Array, Computed
from specs.layers import ELU, LeakyReLU

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def leaky_relu(layer: LeakyReLU, x: Array) -> Computed:
    """x[n, ...] where positive, else times the slope."""
    positive = x > 0
    return Computed(
        output=np.where(positive, x, layer.negative_slope * x),
        input_gradient=lambda dy: np.where(positive, dy, layer.negative_slope * dy),
    )


def tanh(x: Array) -> Computed:
    """tanh of x[n, ...]."""

    def input_gradient(dy: Array) -> Array:
        # 1 / cosh(x)^2 and not 1 - tanh(x)^2, which cancels where tanh is near 1; an infinite cosh rightly gives 0.
        with np.errstate(over="ignore"):
            return dy / np.square(np.cosh(x))

    return Computed(output=np.tanh(x), input_gradient=input_gradient)


def sigmoid(x: Array) -> Computed:
    """The logistic function of x[n, ...]."""
    output = _logistic(x)
    # s(-x) and not 1 - s(x), which cancels where s is near 1.
    return Computed(output=output, input_gradient=lambda dy: dy * output * _logistic(-x))


def _logistic(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) = inf rightly gives 0
        result: Array = 1 / (1 + np.exp(-x))
    return result


def gelu(x: Array) -> Computed:
    """x[n, ...] times the normal distribution function of it."""
    # Phi(x) = erfc(-x / sqrt(2)) / 2 is the docstring's formula without its cancellation for negative x.
    distribution = _erfc(-x / math.sqrt(2)).astype(x.dtype) / 2

    def input_gradient(dy: Array) -> Array:
        density = np.exp(-np.square(x) / 2) / math.sqrt(2 * math.pi)
        result: Array = dy * (distribution + x * density)
        return result

    return Computed(output=x * distribution, input_gradient=input_gradient)


def relu6(x: Array) -> Computed:
    """x[n, ...] between 0 and 6."""
    return Computed(output=np.minimum(np.maximum(x, 0), 6), input_gradient=lambda dy: dy * ((x > 0) & (x < 6)))


def silu(x: Array) -> Computed:
    """x[n, ...] times the logistic function of it."""
    gate = _logistic(x)

    def input_gradient(dy: Array) -> Array:
        result: Array = dy * gate * (1 + x * _logistic(-x))
        return result

    return Computed(output=x * gate, input_gradient=input_gradient)


def elu(layer: ELU, x: Array) -> Computed:
    """x[n, ...] where positive, else alpha times exp(x) - 1."""
    positive, below = x > 0, np.minimum(x, 0)
    return Computed(
        output=np.where(positive, x, layer.alpha * np.expm1(below)),
        input_gradient=lambda dy: np.where(positive, dy, dy * layer.alpha * np.exp(below)),
    )


def hard_swish(x: Array) -> Computed:
    """x[n, ...] times a straight line's share of it, 0 up to -3 and 1 from 3 on."""
    slope = np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5)).astype(x.dtype)
    return Computed(output=x * np.minimum(np.maximum(x + 3, 0), 6) / 6, input_gradient=lambda dy: dy * slope)


def softmax(x: Array, axis: int = 1) -> Computed:
    """Over an axis of x[n, ...]."""
    output = np.exp(log_softmax(x, axis))
    return Computed(
        output=output,
        input_gradient=lambda dy: output * (dy - (dy * output).sum(axis=axis, keepdims=True)),
    )


def log_softmax(x: Array, axis: int = 1) -> Array:
    """The logarithm of softmax over an axis, without overflow; minus infinity stays what it is."""
    shifted = x - x.max(axis=axis, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return result
