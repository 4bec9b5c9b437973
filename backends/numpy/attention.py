"""Multi-head self-attention, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from backends.numpy.activations import softmax
from backends.numpy.computed import Array, Computed
from specs.layers import ATTENTION_MAPS, MultiHeadAttention


def attention(layer: MultiHeadAttention, x: Array, values: Mapping[str, Array]) -> Computed:
    """Of tokens x[n, t, d]; ``values`` has a weight [d, d] of every map, and a bias [d] where the layer has biases."""
    inputs = dict.fromkeys(ATTENTION_MAPS, x)
    query, key, value = (_split(_mapped(name, x, values), layer.heads) for name in ATTENTION_MAPS[:3])
    scale = 1 / math.sqrt(x.shape[2] // layer.heads)
    scores = query @ key.swapaxes(2, 3) * scale
    if layer.causal:
        scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
    shares = softmax(scores, axis=3)
    inputs["out"] = _merged(shares.output @ value)

    def through_the_maps(dy: Array) -> dict[str, Array]:
        """The gradient of what each map gives, from that of the output."""
        of_heads = _split(dy @ values["out_weight"], layer.heads)
        of_scores = shares.input_gradient(of_heads @ value.swapaxes(2, 3)) * scale
        of_parts = {
            "query": of_scores @ key,
            "key": of_scores.swapaxes(2, 3) @ query,
            "value": shares.output.swapaxes(2, 3) @ of_heads,
        }
        return {name: _merged(gradient) for name, gradient in of_parts.items()} | {"out": dy}

    def input_gradient(dy: Array) -> Array:
        gradients = through_the_maps(dy)
        return sum((gradients[name] @ values[f"{name}_weight"] for name in ATTENTION_MAPS[:3]), start=np.zeros_like(x))

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        found = {}
        for name, gradient in through_the_maps(dy).items():
            found[f"{name}_weight"] = np.einsum("nto,nti->oi", gradient, inputs[name])
            if layer.bias:
                found[f"{name}_bias"] = gradient.sum(axis=(0, 1))
        return found

    return Computed(
        output=_mapped("out", inputs["out"], values),
        input_gradient=input_gradient,
        parameter_gradients=parameter_gradients,
    )


def _mapped(name: str, x: Array, values: Mapping[str, Array]) -> Array:
    output: Array = x @ values[f"{name}_weight"].T
    bias = values.get(f"{name}_bias")
    return output if bias is None else output + bias


def _split(x: Array, heads: int) -> Array:
    """[n, t, d] to [n, heads, t, d / heads]."""
    n, tokens, features = x.shape
    return x.reshape(n, tokens, heads, features // heads).swapaxes(1, 2)


def _merged(x: Array) -> Array:
    """The inverse of ``_split``."""
    n, heads, tokens, features = x.shape
    return x.swapaxes(1, 2).reshape(n, tokens, heads * features)
