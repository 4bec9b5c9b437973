"""The norms of the specs, where Paddle's own compute something else."""

from __future__ import annotations

import math
from typing import Any

import paddle
from paddle import nn

from specs.errors import RequestError

GREATEST_EPSILON = 1e-3
"""Paddle's kernel of layer norm, and batch norm's in the older graph, refuse a larger one."""


class BatchNorm1D(nn.BatchNorm1D):  # type: ignore[misc]  # Paddle is untyped here
    """Paddle's batch norm, but with the unbiased variance of the batch in the running statistic."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[N, C] to the same shape; in training mode moves the running statistics."""
        if not self.training:
            return super().forward(input)
        statistics, trained = (self._mean, self._variance), (self.weight, self.bias)
        return batch_norm(input, statistics, trained, 1 - self._momentum, self._epsilon)


class BatchNorm2D(nn.BatchNorm2D):  # type: ignore[misc]
    """As ``BatchNorm1D``; what writes programs of layers does not find a ``super`` that is shared."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[N, C, H, W] to the same shape; in training mode moves the running statistics."""
        if not self.training:
            return super().forward(input)
        statistics, trained = (self._mean, self._variance), (self.weight, self.bias)
        return batch_norm(input, statistics, trained, 1 - self._momentum, self._epsilon)


class _Exact:
    """Batch norm in tensor operations, for float64: Paddle's kernel takes epsilon in single precision."""

    def forward(self: Any, input: paddle.Tensor) -> paddle.Tensor:
        """float64[N, C, ...] to the same shape; in training mode moves the running statistics."""
        over = [axis for axis in range(input.ndim) if axis != 1]
        shape = [1 if axis in over else -1 for axis in range(input.ndim)]
        mean, variance = (statistic.reshape(shape) for statistic in (self._mean, self._variance))
        if self.training:
            mean = input.mean(over, keepdim=True)
            variance = (input - mean).square().mean(over, keepdim=True)
            _move((self._mean, self._variance), (mean, variance), 1 - self._momentum, _per_channel(input, self._mean))
        gamma, beta = (trained.reshape(shape) for trained in (self.weight, self.bias))
        return (input - mean) / paddle.sqrt(variance + self._epsilon) * gamma + beta


class BatchNorm1D64(_Exact, nn.BatchNorm1D):  # type: ignore[misc]
    """Of float64[N, C]."""


class BatchNorm2D64(_Exact, nn.BatchNorm2D):  # type: ignore[misc]
    """Of float64[N, C, H, W]."""


class ExactLayerNorm(nn.LayerNorm):  # type: ignore[misc]
    """Layer norm in tensor operations: Paddle's kernel takes epsilon in single precision, and none above 1e-3."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[..., features] to the same shape."""
        centred = input - input.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)
        return centred / paddle.sqrt(variance + self._epsilon) * self.weight + self.bias


class ExactGroupNorm(nn.GroupNorm):  # type: ignore[misc]
    """Group norm in tensor operations.

    Paddle's kernel has the variance as the mean of squares less the square of the mean: of values 30 deviations from 0
    it is 5e-5 off in float32.
    """

    def __init__(self, groups: int, channels: int, epsilon: float) -> None:
        super().__init__(groups, channels, epsilon)
        self._grouped, self._exact_epsilon = [0, groups, -1], epsilon

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        """float[N, C, H, W] to the same shape."""
        grouped = input.reshape(self._grouped)
        centred = grouped - grouped.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)
        normed = (centred / paddle.sqrt(variance + self._exact_epsilon)).reshape(input.shape)
        return normed * self.weight.reshape([-1, 1, 1]) + self.bias.reshape([-1, 1, 1])


def batch_norm(
    x: Any,
    statistics: tuple[Any, Any],
    trained: tuple[Any, Any],
    momentum: float,
    epsilon: float,
) -> Any:
    """``x`` [N, C, ...] normalised by the batch; moves ``statistics``, running mean and variance float[C], as specs do.

    ``trained`` are gamma and beta; ``momentum`` is the weight of the new value. Paddle's kernel would take the biased
    variance into the running one, so it is given momentum 0 and zeros: it then hands out the batch's own statistics.
    Raises RequestError for a batch of one value per channel.
    """
    count = _per_channel(x, statistics[0])
    mean, variance = (paddle.zeros_like(statistic) for statistic in statistics)
    output = nn.functional.batch_norm(x, mean, variance, *trained, training=True, momentum=0.0, epsilon=epsilon)
    _move(statistics, (mean, variance), momentum, count)
    return output


def _per_channel(x: Any, statistic: Any) -> int:
    """How many values each channel of ``x`` has. Raises RequestError for one alone."""
    count = math.prod(x.shape) // statistic.shape[0]
    if count < 2:
        raise RequestError(f"batch norm: training needs more than one value per channel, got {list(x.shape)}")
    return count


def _move(statistics: tuple[Any, Any], batch: tuple[Any, Any], momentum: float, count: int) -> None:
    """Move the running mean and variance by a batch's mean and biased variance of ``count`` values."""
    unbiased = batch[0], batch[1] * (count / (count - 1))
    with paddle.no_grad():
        for running, new in zip(statistics, unbiased, strict=True):
            paddle.assign(running * (1 - momentum) + new.reshape(running.shape) * momentum, running)
