"""The layer vocabulary: one frozen type per layer, its meaning in its docstring.

Canonical meanings: images are N, C, H, W; x[n, c, i, j] is a pixel, w[o, c, u, v] a convolution weight (O, I, H, W),
w[o, i] a linear weight; tokens are x[n, t, d], features last. A pair is (height, width); an integer where a pair is
expected stands for both. Padding that is not the same on both sides is ((top, bottom), (left, right)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from specs.codec import later
from specs.errors import FieldError

Pair = tuple[int, int]

Sides = tuple[Pair, Pair]
"""((top, bottom), (left, right))."""

Padding = Pair | Sides
"""A pair where both sides have the same, and only there."""


def both_sides(padding: Padding) -> Sides:
    """Padding as what each side has."""
    (rows, columns) = padding
    pairs = [(part, part) if isinstance(part, int) else part for part in (rows, columns)]
    return pairs[0], pairs[1]


def _pair(owner: object, field: str, *, least: int) -> None:
    """Normalise an int or a sequence of two ints in a frozen dataclass to a tuple, checking the lower bound."""
    value: Any = getattr(owner, field)
    items = (value, value) if isinstance(value, int) and not isinstance(value, bool) else value
    if (
        not isinstance(items, (tuple, list))
        or len(items) != 2
        or not all(isinstance(v, int) and not isinstance(v, bool) for v in items)
    ):
        raise FieldError(field, f"must be an integer or a pair [height, width], got {value!r}")
    if min(items) < least:
        raise FieldError(field, f"must be at least {least}, got {value!r}")
    object.__setattr__(owner, field, tuple(items))


def _padding(owner: Conv2d | _Pool2d) -> None:
    """Normalise padding: an int, a pair, or a pair of pairs, which becomes a pair where both sides have the same."""
    value: Any = owner.padding
    if not isinstance(value, (tuple, list)) or not any(isinstance(part, (tuple, list)) for part in value):
        _pair(owner, "padding", least=0)
        return
    parts = [part if isinstance(part, (tuple, list)) else (part, part) for part in value]
    if len(parts) != 2 or any(len(part) != 2 or any(type(side) is not int for side in part) for part in parts):
        raise FieldError(
            "padding", f"must be an integer, [height, width] or [[top, bottom], [left, right]], got {value!r}"
        )
    if min(map(min, parts)) < 0:
        raise FieldError("padding", f"must be at least 0, got {value!r}")
    same = all(before == after for before, after in parts)
    object.__setattr__(owner, "padding", tuple(before if same else (before, after) for before, after in parts))


def _check(condition: bool, field: str, reason: str) -> None:
    if not condition:
        raise FieldError(field, reason)


@dataclass(frozen=True, kw_only=True)
class Conv2d:
    """Cross-correlation: y[n,o,i,j] = b[o] + sum_{c,u,v} w[o,c,u,v] * xpad[n, c, i*s_h+d_h*u, j*s_w+d_w*v].

    xpad is x with ``padding`` rows and columns of zeros on both sides; "same" (for stride 1) stands for as much as
    keeps the size, what is odd of it below and on the right. d is ``dilation``. Of ``groups``, output channels of the
    g-th part see the g-th part of the input channels alone, c counting within it: w is [O, I / groups, k_h, k_w].
    """

    kind: ClassVar[str] = "conv2d"
    out_channels: int
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0)
    bias: bool = True
    groups: int = later(1)
    dilation: Pair = later((1, 1))

    def __post_init__(self) -> None:
        _check(self.out_channels >= 1, "out_channels", f"must be at least 1, got {self.out_channels}")
        _pair(self, "kernel_size", least=1)
        _pair(self, "stride", least=1)
        _pair(self, "dilation", least=1)
        if self.padding == "same":  # type: ignore[comparison-overlap]  # as it is written
            _check(self.stride == (1, 1), "padding", "'same' is for stride 1: at others it means different things")
            added = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            object.__setattr__(self, "padding", tuple((total // 2, total - total // 2) for total in added))
        _padding(self)
        _check(self.groups >= 1, "groups", f"must be at least 1, got {self.groups}")
        _check(
            self.out_channels % self.groups == 0,
            "groups",
            f"must divide the {self.out_channels} output channels, got {self.groups}",
        )


@dataclass(frozen=True, kw_only=True)
class Linear:
    """y[n,o] = b[o] + sum_i w[o,i] * x[n,i]; of tokens [n, t, i] every token alone."""

    kind: ClassVar[str] = "linear"
    out_features: int
    bias: bool = True

    def __post_init__(self) -> None:
        _check(self.out_features >= 1, "out_features", f"must be at least 1, got {self.out_features}")


@dataclass(frozen=True, kw_only=True)
class _Pool2d:
    kernel_size: Pair
    stride: Pair = None  # type: ignore[assignment]  # None: the kernel size
    padding: Padding = (0, 0)
    ceil_mode: bool = later(False)

    def __post_init__(self) -> None:
        _pair(self, "kernel_size", least=1)
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)
        _pair(self, "stride", least=1)
        _padding(self)
        for kernel, padding in zip(self.kernel_size, both_sides(self.padding), strict=True):
            _check(
                2 * max(padding) <= kernel, "padding", f"{self.padding} is more than half the kernel {self.kernel_size}"
            )


@dataclass(frozen=True, kw_only=True)
class MaxPool2d(_Pool2d):
    """Maximum over each window; padded cells never win; the gradient of a tie goes to the first maximum.

    "First" is in row-major order within the window. With ``ceil_mode`` there is one more window where the last ones
    would leave cells out (see ``specs.windows``).
    """

    kind: ClassVar[str] = "max_pool2d"


@dataclass(frozen=True, kw_only=True)
class AvgPool2d(_Pool2d):
    """Mean over each window; padded cells are counted in the divisor only if ``count_include_pad``.

    ``ceil_mode`` is that of MaxPool2d; what its last windows have beyond the padding is never counted.
    """

    kind: ClassVar[str] = "avg_pool2d"
    count_include_pad: bool = False


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool:
    """y[n,c] = mean over i, j of x[n,c,i,j]; the output has no spatial axes."""

    kind: ClassVar[str] = "global_avg_pool"


@dataclass(frozen=True, kw_only=True)
class _BatchNorm:
    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        _check(
            0 < self.momentum <= 1, "momentum", f"(the weight of the new value) must be in (0, 1], got {self.momentum}"
        )
        _positive_epsilon(self.epsilon)


def _positive_epsilon(epsilon: float) -> None:
    _check(epsilon > 0 and math.isfinite(epsilon), "epsilon", f"must be positive, got {epsilon}")


@dataclass(frozen=True, kw_only=True)
class BatchNorm2d(_BatchNorm):
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta per channel (Ioffe & Szegedy 2015).

    Training normalises with the batch's mean and biased variance and moves the running statistics by
    running = (1 - momentum) * running + momentum * batch, where the batch variance is the unbiased one.
    Evaluation normalises with the running statistics. gamma starts at 1, beta at 0, running mean at 0, variance at 1.
    """

    kind: ClassVar[str] = "batch_norm2d"


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Training: y = x * mask / (1 - p), mask ~ Bernoulli(1 - p) per element; evaluation: y = x. p is P(zeroed)."""

    kind: ClassVar[str] = "dropout"
    p: float

    def __post_init__(self) -> None:
        _check(0 <= self.p < 1, "p", f"(the probability of zeroing) must be in [0, 1), got {self.p}")


@dataclass(frozen=True, kw_only=True)
class Flatten:
    """[n, c, h, w] to [n, c*h*w] in C, H, W order; [n, t, d] to [n, t*d], token after token."""

    kind: ClassVar[str] = "flatten"


@dataclass(frozen=True, kw_only=True)
class ReLU:
    """max(x, 0); derivative 0 at 0."""

    kind: ClassVar[str] = "relu"


@dataclass(frozen=True, kw_only=True)
class LeakyReLU:
    """x where x > 0, else negative_slope * x; derivative negative_slope at 0."""

    kind: ClassVar[str] = "leaky_relu"
    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        _check(0 <= self.negative_slope < 1, "negative_slope", f"must be in [0, 1), got {self.negative_slope}")


@dataclass(frozen=True, kw_only=True)
class Tanh:
    """tanh(x)."""

    kind: ClassVar[str] = "tanh"


@dataclass(frozen=True, kw_only=True)
class Sigmoid:
    """1 / (1 + exp(-x))."""

    kind: ClassVar[str] = "sigmoid"


@dataclass(frozen=True, kw_only=True)
class GELU:
    """x * Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2: the exact normal distribution function, not the tanh form."""

    kind: ClassVar[str] = "gelu"


@dataclass(frozen=True, kw_only=True)
class ReLU6:
    """min(max(x, 0), 6); derivative 0 at 0 and at 6."""

    kind: ClassVar[str] = "relu6"


@dataclass(frozen=True, kw_only=True)
class SiLU:
    """x / (1 + exp(-x)), also called swish."""

    kind: ClassVar[str] = "silu"


@dataclass(frozen=True, kw_only=True)
class ELU:
    """x where x > 0, else alpha * (exp(x) - 1); derivative alpha at 0 (Clevert et al. 2016)."""

    kind: ClassVar[str] = "elu"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check(self.alpha > 0 and math.isfinite(self.alpha), "alpha", f"must be positive, got {self.alpha}")


@dataclass(frozen=True, kw_only=True)
class HardSwish:
    """x * min(max(x + 3, 0), 6) / 6; derivative 0 at -3 and 1 at 3 (Howard et al. 2019)."""

    kind: ClassVar[str] = "hard_swish"


@dataclass(frozen=True, kw_only=True)
class Softmax:
    """exp(x_i) / sum_j exp(x_j) over the features: of images over the channels of a pixel, of tokens in each token.

    As the last layer it is applied at prediction only: the loss takes logits, so a trailing softmax takes no part in
    training and evaluation (see ``specs.shapes.infer``).
    """

    kind: ClassVar[str] = "softmax"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """[n, c, h, w] to tokens [n, h, c*w], one per row of the image: y[n, i, c*width + j] = x[n, c, i, j]."""

    kind: ClassVar[str] = "rows"


@dataclass(frozen=True, kw_only=True)
class _Recurrent:
    """What goes through tokens x_1 ... x_T from the first to the last, carrying a state h that is 0 before x_1.

    Gives h_T, or with ``return_sequences`` the tokens h_1 ... h_T.
    """

    gates: ClassVar[int]
    hidden: int
    return_sequences: bool = False

    def __post_init__(self) -> None:
        _check(self.hidden >= 1, "hidden", f"must be at least 1, got {self.hidden}")


@dataclass(frozen=True, kw_only=True)
class LSTM(_Recurrent):
    """h_t = o * tanh(c_t), c_t = f * c_(t-1) + i * g, h_0 = c_0 = 0 (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), g = tanh(a_g), where a = W x_t + U h_(t-1) + b holds a_i, a_f,
    a_g, a_o one behind the other: W [4 * hidden, features] is ``weight``, U [4 * hidden, hidden] ``recurrent_weight``,
    b [4 * hidden] ``bias``, one number per gate and not two.
    """

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4


@dataclass(frozen=True, kw_only=True)
class GRU(_Recurrent):
    """h_t = (1 - z) * n + z * h_(t-1), h_0 = 0 (Cho et al. 2014, but reset after the product, as cuDNN has it).

    r, z = sigmoid(W x_t + U h_(t-1) + b) and n = tanh(W x_t + b + r * (U h_(t-1) + u)), each by its own rows: those of
    r, of z, of n, one behind the other, in W [3 * hidden, features] (``weight``), U [3 * hidden, hidden]
    (``recurrent_weight``) and b [3 * hidden] (``bias``). u [hidden] (``recurrent_bias``) is of n alone, where the reset
    gate tells it from b.
    """

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True)
class BatchNorm1d(_BatchNorm):
    """Of features [n, f] what BatchNorm2d is of images: every feature by its mean and variance over the batch."""

    kind: ClassVar[str] = "batch_norm1d"


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, of features or of every token alone (Ba et al. 2016).

    Mean and biased variance are over the last axis, gamma and beta have an element for each of its places; gamma starts
    at 1, beta at 0. Of a single element x - mean is 0, y is beta, and the gradients of gamma and x are 0.
    """

    kind: ClassVar[str] = "layer_norm"
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        _positive_epsilon(self.epsilon)


@dataclass(frozen=True, kw_only=True)
class GroupNorm:
    """y = gamma_c * (x - mean) / sqrt(var + epsilon) + beta_c of images, group by group (Wu & He 2018).

    The channels make ``groups`` groups of neighbours; mean and biased variance are over all of a group, over channels,
    height and width, in every image alone. gamma and beta are per channel; gamma starts at 1, beta at 0.
    """

    kind: ClassVar[str] = "group_norm"
    groups: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        _check(self.groups >= 1, "groups", f"must be at least 1, got {self.groups}")
        _positive_epsilon(self.epsilon)


@dataclass(frozen=True, kw_only=True)
class ToTokens:
    """Images to tokens, a token per pixel in row-major order: y[n, i * width + j, c] = x[n, c, i, j].

    After a convolution whose stride is its kernel these are embedded patches (Dosovitskiy et al. 2021, section 3.1).
    """

    kind: ClassVar[str] = "to_tokens"


@dataclass(frozen=True, kw_only=True)
class ClassToken:
    """A trained token [d] ahead of the others, so that [n, t, d] becomes [n, t + 1, d] (Devlin et al. 2019).

    It starts from a normal distribution of standard deviation 0.02.
    """

    kind: ClassVar[str] = "class_token"


@dataclass(frozen=True, kw_only=True)
class PositionEmbedding:
    """y[n, t, d] = x[n, t, d] + e[t, d], e trained, from a normal distribution of standard deviation 0.02."""

    kind: ClassVar[str] = "position_embedding"


@dataclass(frozen=True, kw_only=True)
class MultiHeadAttention:
    """Self-attention of tokens [n, t, d] (Vaswani et al. 2017, section 3.2).

    q, k and v are linear maps [d, d] of every token, as in Linear. Each of ``heads`` takes its own d / heads
    neighbouring features of them and gives softmax(q k^T / sqrt(d / heads)) v; these side by side go through a fourth
    linear map. With ``causal`` a token sees itself and those before it: the others' scores are minus infinity. ``bias``
    is that of all four maps; the one of k moves all scores of a query alike and so changes nothing: its gradient is 0.
    """

    kind: ClassVar[str] = "multi_head_attention"
    heads: int
    bias: bool = True
    causal: bool = False

    def __post_init__(self) -> None:
        _check(self.heads >= 1, "heads", f"must be at least 1, got {self.heads}")


ATTENTION_MAPS = ("query", "key", "value", "out")
"""The linear maps of MultiHeadAttention, in order, as its parameters have them: query_weight, query_bias, ..."""


@dataclass(frozen=True, kw_only=True)
class TakeToken:
    """[n, t, d] to [n, d]: the token at ``index``, counted from 0, or from -1 backwards as in Python."""

    kind: ClassVar[str] = "take_token"
    index: int


@dataclass(frozen=True, kw_only=True)
class MeanTokens:
    """[n, t, d] to [n, d]: the mean of all tokens."""

    kind: ClassVar[str] = "mean_tokens"


Activation = ReLU | LeakyReLU | Tanh | Sigmoid | GELU | ReLU6 | SiLU | ELU | HardSwish
"""What computes each element from itself alone."""

Layer = (
    Conv2d
    | Linear
    | MaxPool2d
    | AvgPool2d
    | GlobalAvgPool
    | BatchNorm2d
    | Dropout
    | Flatten
    | Activation
    | Softmax
    | Rows
    | LSTM
    | GRU
    | BatchNorm1d
    | LayerNorm
    | GroupNorm
    | ToTokens
    | ClassToken
    | PositionEmbedding
    | MultiHeadAttention
    | TakeToken
    | MeanTokens
)

BatchNorm = BatchNorm1d | BatchNorm2d
"""The norms that see the batch and keep running statistics."""

LAYERS: dict[str, type] = {layer.kind: layer for layer in get_args(Layer)}


@dataclass(frozen=True, kw_only=True)
class Add:
    """y = x_1 + x_2 + ..., element by element, summed from the first to the last; all of the same shape."""

    kind: ClassVar[str] = "add"


@dataclass(frozen=True, kw_only=True)
class Concat:
    """The inputs one behind the other along ``axis`` (the batch is axis 0): channels, tokens, features of vectors."""

    kind: ClassVar[str] = "concat"
    axis: int = 1


Join = Add | Concat
"""What takes several inputs. A network's file has no such layers: they end its residuals and branches."""

JOINS: dict[str, type] = {join.kind: join for join in get_args(Join)}

Operation = Layer | Join
