"""Initial weights: one frozen type per distribution, its formula in its docstring, and the one place that draws them.

fan_in and fan_out are the inputs that one output sums over and the outputs that one input reaches: [in, out] for a
linear weight [out, in]; I * k_h * k_w and O * k_h * k_w for a convolution weight [O, I, k_h, k_w] (He et al. 2015,
section 2.2; Glorot & Bengio 2010 for the linear case). Of a grouped convolution I is its weight's own, O all outputs.
The weights of an LSTM or GRU are linear ones, whose outputs are those of all gates: [features, gates * hidden], and
[hidden, gates * hidden] for ``recurrent_weight``. A bias takes the fans of the weight beside it, ``recurrent_bias``
those of ``recurrent_weight``.
U(l) is uniform on [-l, l), N(s) normal with mean 0 and standard deviation s; nothing is truncated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from specs.architecture import Architecture
from specs.errors import FieldError
from specs.nodes import Shape
from specs.shapes import infer

Float32 = NDArray[np.float32]


def _uniform(generator: np.random.Generator, shape: Shape, limit: float) -> Float32:
    values = generator.random(shape, dtype=np.float32)
    values *= 2.0 * limit
    values -= limit
    return values


def _normal(generator: np.random.Generator, shape: Shape, std: float) -> Float32:
    values = generator.standard_normal(shape, dtype=np.float32)
    values *= std
    return values


def _finite(name: str, value: float) -> None:
    if not (0 <= value < math.inf):
        raise FieldError(name, f"must be non-negative and finite, got {value}")


@dataclass(frozen=True, kw_only=True)
class Normal:
    """N(std)."""

    kind: ClassVar[str] = "normal"
    std: float

    def __post_init__(self) -> None:
        _finite("std", self.std)

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _normal(generator, shape, self.std)


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """U(limit)."""

    kind: ClassVar[str] = "uniform"
    limit: float

    def __post_init__(self) -> None:
        _finite("limit", self.limit)

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _uniform(generator, shape, self.limit)


@dataclass(frozen=True, kw_only=True)
class GlorotUniform:
    """U(sqrt(6 / (fan_in + fan_out))), Glorot & Bengio 2010, equation 16."""

    kind: ClassVar[str] = "glorot_uniform"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _uniform(generator, shape, math.sqrt(6.0 / (fan_in + fan_out)))


@dataclass(frozen=True, kw_only=True)
class GlorotNormal:
    """N(sqrt(2 / (fan_in + fan_out))), Glorot & Bengio 2010, equation 12."""

    kind: ClassVar[str] = "glorot_normal"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _normal(generator, shape, math.sqrt(2.0 / (fan_in + fan_out)))


@dataclass(frozen=True, kw_only=True)
class HeUniform:
    """U(sqrt(6 / fan_in)), the uniform of He et al. 2015's variance."""

    kind: ClassVar[str] = "he_uniform"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _uniform(generator, shape, math.sqrt(6.0 / fan_in))


@dataclass(frozen=True, kw_only=True)
class HeNormal:
    """N(sqrt(2 / fan_in)), He et al. 2015, equation 10."""

    kind: ClassVar[str] = "he_normal"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _normal(generator, shape, math.sqrt(2.0 / fan_in))


@dataclass(frozen=True, kw_only=True)
class LecunUniform:
    """U(sqrt(3 / fan_in)), the uniform of LeCun et al. 1998's variance."""

    kind: ClassVar[str] = "lecun_uniform"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _uniform(generator, shape, math.sqrt(3.0 / fan_in))


@dataclass(frozen=True, kw_only=True)
class LecunNormal:
    """N(sqrt(1 / fan_in)), LeCun et al. 1998, Efficient BackProp, section 4.6."""

    kind: ClassVar[str] = "lecun_normal"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return _normal(generator, shape, math.sqrt(1.0 / fan_in))


@dataclass(frozen=True, kw_only=True)
class Zeros:
    """All zeros."""

    kind: ClassVar[str] = "zeros"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Float32:
        """float32[shape]."""
        return np.zeros(shape, dtype=np.float32)


Distribution = (
    Normal | Uniform | GlorotUniform | GlorotNormal | HeUniform | HeNormal | LecunUniform | LecunNormal | Zeros
)

DISTRIBUTIONS: dict[str, type] = {distribution.kind: distribution for distribution in get_args(Distribution)}


@dataclass(frozen=True, kw_only=True)
class Initializer:
    """What the weights and the biases of convolution, linear and recurrent layers and of attention are drawn from."""

    weights: Distribution = field(default_factory=GlorotUniform)
    biases: Distribution = field(default_factory=Zeros)


# Norms start as the identity of what they normalise (Ioffe & Szegedy 2015), whatever the initializer.
_NORM = {"gamma": 1.0, "beta": 0.0, "running_mean": 0.0, "running_variance": 1.0}

# What is added to tokens or stands among them (Dosovitskiy et al. 2021, their code), whatever the initializer.
_EMBEDDINGS = {"token": Normal(std=0.02), "embedding": Normal(std=0.02)}


def initial_parameters(architecture: Architecture, initializer: Initializer, seed: int) -> dict[str, Float32]:
    """Every parameter and buffer under its canonical name, float32, in network order.

    Each parameter has a random stream of its own, keyed by seed and name: adding a layer leaves the weights of layers
    whose names and shapes stay as they were. Called in the parent only, so that all workers read the same numbers.
    """
    arrays: dict[str, Float32] = {}
    for layer in infer(architecture):
        for name, shape in (layer.parameters | layer.buffers).items():
            part = name.rpartition(".")[2]
            if part in _NORM:
                arrays[name] = np.full(shape, _NORM[part], dtype=np.float32)
                continue
            distribution = _distribution(part, initializer)
            fan_in, fan_out = _fans(layer.parameters.get(f"{layer.name}.{part.replace('bias', 'weight')}", ()))
            stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))
            arrays[name] = distribution.draw(stream, shape, fan_in, fan_out)
    return arrays


def _distribution(part: str, initializer: Initializer) -> Distribution:
    if part in _EMBEDDINGS:
        return _EMBEDDINGS[part]
    return initializer.weights if "weight" in part else initializer.biases


def _fans(weight: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight [out, in] or [O, I, k_h, k_w]; (0, 0) of what is no weight."""
    if len(weight) < 2:
        return 0, 0
    window = math.prod(weight[2:])
    return weight[1] * window, weight[0] * window
