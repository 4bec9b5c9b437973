"""Every layer of ``specs.layers`` in NumPy, forward and backward, and the loss.

The dtype of the input is kept throughout; in float64 this is the reference that all other backends are judged by, so
formulas are written for accuracy first (no clipping; derivatives without cancellation) and for speed second.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from backends.numpy import tokens
from backends.numpy.activations import (
    elu,
    gelu,
    hard_swish,
    leaky_relu,
    log_softmax,
    relu6,
    sigmoid,
    silu,
    softmax,
    tanh,
)
from backends.numpy.attention import attention
from backends.numpy.computed import Array, Computed
from backends.numpy.norms import batch_norm, group_norm, layer_norm
from backends.numpy.recurrent import gru, lstm, rows
from backends.numpy.windows import avg_pool2d, conv2d, global_avg_pool, max_pool2d
from specs import layers as L
from specs.layer_shapes import feature_axis


def forward(
    layer: L.Layer,
    x: Array,
    values: Mapping[str, Array] | None = None,
    *,
    training: bool = False,
    mask: NDArray[np.bool_] | None = None,
) -> Computed:
    """Compute ``layer`` on x[n, ...].

    ``values`` maps the layer's parts to its parameters and buffers. ``mask`` (True keeps, the shape of x) is what
    dropout multiplies by; without one dropout is the identity. ``training`` makes batch norm use the batch.
    """
    values = values or {}
    match layer:
        case L.Conv2d():
            return conv2d(layer, x, values)
        case L.Linear():
            return _linear(x, values)
        case L.MaxPool2d():
            return max_pool2d(layer, x)
        case L.AvgPool2d():
            return avg_pool2d(layer, x)
        case L.GlobalAvgPool():
            return global_avg_pool(x)
        case L.BatchNorm2d():
            return batch_norm(layer, x, values, training=training)
        case L.Dropout():
            return _dropout(layer, x, mask)
        case L.Flatten():
            return Computed(output=x.reshape(len(x), -1), input_gradient=lambda dy: dy.reshape(x.shape))
        case L.ReLU():
            return Computed(output=np.maximum(x, 0), input_gradient=lambda dy: dy * (x > 0))
        case L.LeakyReLU():
            return leaky_relu(layer, x)
        case L.Tanh():
            return tanh(x)
        case L.Sigmoid():
            return sigmoid(x)
        case L.GELU():
            return gelu(x)
        case L.Softmax():
            return softmax(x, feature_axis(x.shape[1:]))
        case L.ReLU6():
            return relu6(x)
        case L.SiLU():
            return silu(x)
        case L.ELU():
            return elu(layer, x)
        case L.HardSwish():
            return hard_swish(x)
        case L.Rows():
            return rows(x)
        case L.LSTM():
            return lstm(layer, x, values)
        case L.GRU():
            return gru(layer, x, values)
        case L.BatchNorm1d():
            return batch_norm(layer, x, values, training=training)
        case L.LayerNorm():
            return layer_norm(layer, x, values)
        case L.GroupNorm():
            return group_norm(layer, x, values)
        case L.ToTokens():
            return tokens.to_tokens(x)
        case L.ClassToken():
            return tokens.class_token(x, values["token"])
        case L.PositionEmbedding():
            return tokens.position_embedding(x, values["embedding"])
        case L.MultiHeadAttention():
            return attention(layer, x, values)
        case L.TakeToken():
            return tokens.take_token(layer, x)
        case L.MeanTokens():
            return tokens.mean_tokens(x)


def cross_entropy(logits: Array, labels: NDArray[np.int64], smoothing: float = 0.0) -> tuple[float, Array]:
    """Mean over the batch of softmax cross-entropy, and its gradient (softmax - target) / n with respect to logits.

    logits float[n, classes], labels int64[n]. The target is 1 - smoothing at the label, and smoothing / classes more at
    every class (``SessionSpec.label_smoothing``).
    """
    samples = np.arange(len(logits))
    log_probabilities = log_softmax(logits)
    loss = -float(np.mean(log_probabilities[samples, labels]))
    if smoothing:
        loss = (1 - smoothing) * loss - smoothing * float(np.mean(log_probabilities))
    gradient = np.exp(log_probabilities) - smoothing / logits.shape[1]
    gradient[samples, labels] -= 1 - smoothing
    return loss, gradient / len(logits)


def _linear(x: Array, values: Mapping[str, Array]) -> Computed:
    weight, bias = values["weight"], values.get("bias")
    output = x @ weight.T

    def parameter_gradients(dy: Array) -> dict[str, Array]:
        rows, gradients = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return {"weight": gradients.T @ rows} | ({} if bias is None else {"bias": gradients.sum(axis=0)})

    return Computed(
        output=output if bias is None else output + bias,
        input_gradient=lambda dy: dy @ weight,
        parameter_gradients=parameter_gradients,
    )


def _dropout(layer: L.Dropout, x: Array, mask: NDArray[np.bool_] | None) -> Computed:
    if mask is None:
        return Computed(output=x, input_gradient=lambda dy: dy)
    return Computed(output=x * mask / (1 - layer.p), input_gradient=lambda dy: dy * mask / (1 - layer.p))
