"""The reference's outputs are what the docstrings of ``specs.layers`` say, written out element by element."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings

from backends.numpy.layers import cross_entropy, forward
from specs import layers as L
from specs.errors import RequestError
from specs.layer_shapes import output_shape
from tests.backends.numerics import Array, parameter_values, relative_error
from tests.backends.strategies import windowed

# Sums of at most 4 * 4 * 3 products, added in another order: some ten roundings of 1e-16.
TOLERANCE = 1e-14


def written_out(layer: L.Conv2d | L.MaxPool2d | L.AvgPool2d, x: Array, values: dict[str, Array]) -> Array:
    """The docstring's formula, one output cell at a time, straight from the unpadded image."""
    rows, columns = x.shape[2:]
    (top, bottom), (left, right) = L.both_sides(layer.padding)
    down, across = layer.dilation if isinstance(layer, L.Conv2d) else (1, 1)
    output = np.empty((len(x), *output_shape(layer, x.shape[1:])))
    for n, o, i, j in np.ndindex(output.shape):
        window, padded = [], 0
        for u, v in itertools.product(*map(range, layer.kernel_size)):
            row = i * layer.stride[0] + u * down - top
            column = j * layer.stride[1] + v * across - left
            padded += row < rows + bottom and column < columns + right
            if 0 <= row < rows and 0 <= column < columns:
                window.append((u, v, x[n, :, row, column]))
        match layer:
            case L.Conv2d():
                inputs = x.shape[1] // layer.groups
                first = o // (layer.out_channels // layer.groups) * inputs
                products = [
                    w * p
                    for u, v, pixel in window
                    for w, p in zip(values["weight"][o, :, u, v], pixel[first : first + inputs], strict=True)
                ]
                output[n, o, i, j] = math.fsum(products) + (values["bias"][o] if layer.bias else 0)
            case L.MaxPool2d():
                output[n, o, i, j] = max(pixel[o] for _, _, pixel in window)
            case L.AvgPool2d():
                count = padded if layer.count_include_pad else len(window)
                output[n, o, i, j] = math.fsum(pixel[o] for _, _, pixel in window) / count
    return output


@settings(max_examples=200, deadline=None, derandomize=True)
@given(windowed())
def test_any_window_is_the_formula(case: tuple[L.Layer, tuple[int, ...]]) -> None:
    layer, shape = case
    generator = np.random.default_rng(0)
    x, values = generator.normal(size=shape), parameter_values(layer, shape[1:], generator)
    assert relative_error(forward(layer, x, values).output, written_out(layer, x, values)) < TOLERANCE


def test_convolution_is_not_flipped() -> None:
    x, weight = np.zeros((1, 1, 3, 3)), np.arange(9.0).reshape(1, 1, 3, 3)
    x[0, 0, 1, 1] = 1
    layer = L.Conv2d(out_channels=1, kernel_size=3, padding=1, bias=False)
    assert np.array_equal(forward(layer, x, {"weight": weight}).output, weight[:, :, ::-1, ::-1])


def test_flatten_keeps_channels_rows_columns() -> None:
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    assert np.array_equal(forward(L.Flatten(), x).output, np.arange(24.0)[None])


def test_flatten_of_a_transposed_convolution_output_keeps_the_order() -> None:
    x = np.random.default_rng(0).normal(size=(2, 1, 3, 3))
    values = {"weight": np.array([1.0, 2.0]).reshape(2, 1, 1, 1), "bias": np.zeros(2)}
    image = forward(L.Conv2d(out_channels=2, kernel_size=1), x, values).output
    expected = np.concatenate([x.reshape(2, 9), 2 * x.reshape(2, 9)], axis=1)
    assert np.array_equal(forward(L.Flatten(), image).output, expected)


@pytest.mark.parametrize("padding", [0, 1])
def test_gradient_of_a_tie_goes_to_the_first_maximum(padding: int) -> None:
    x = np.full((1, 1, 2, 2), 3.0)
    computed = forward(L.MaxPool2d(kernel_size=2, stride=2, padding=padding), x)
    gradient = computed.input_gradient(np.full(computed.output.shape, 1.0))
    assert gradient.tolist() == ([[[[1, 1], [1, 1]]]] if padding else [[[[1, 0], [0, 0]]]])


@pytest.mark.parametrize("value", [-5.0, 0.0, -np.inf])
def test_padded_cells_never_win(value: float) -> None:
    x = np.full((1, 1, 3, 3), value)
    computed = forward(L.MaxPool2d(kernel_size=3, stride=2, padding=1), x)
    assert np.array_equal(computed.output, np.full((1, 1, 2, 2), value))
    gradient = computed.input_gradient(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    # The windows start, within the image, at (0, 0), (0, 1), (1, 0) and (1, 1).
    assert gradient.tolist() == [[[[1, 10, 0], [100, 1000, 0], [0, 0, 0]]]]


def test_max_pool_passes_nan_on() -> None:
    x = np.array([[[[1.0, np.nan], [2.0, 3.0]]]])
    assert np.isnan(forward(L.MaxPool2d(kernel_size=2), x).output).all()


def test_derivatives_at_zero() -> None:
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    assert forward(L.ReLU(), zero).input_gradient(one) == 0
    assert forward(L.LeakyReLU(negative_slope=0.25), zero).input_gradient(one) == 0.25
    assert forward(L.ELU(alpha=0.25), zero).input_gradient(one) == 0.25
    assert forward(L.ReLU6(), zero).input_gradient(one) == 0
    assert forward(L.ReLU6(), 6 * one).input_gradient(one) == 0
    assert forward(L.HardSwish(), -3 * one).input_gradient(one) == 0
    assert forward(L.HardSwish(), 3 * one).input_gradient(one) == 1


@pytest.mark.parametrize(
    ("layer", "x", "output", "derivative"),
    [
        # Where 1 - s or 1 - tanh^2 would cancel, the leading term of each expansion is exact to double precision.
        (L.Sigmoid(), 40.0, 1.0, math.exp(-40)),
        (L.Sigmoid(), -40.0, math.exp(-40), math.exp(-40)),
        (L.Sigmoid(), -800.0, 0.0, 0.0),
        (L.Tanh(), 20.0, 1.0, 4 * math.exp(-40)),
        (L.Tanh(), -20.0, -1.0, 4 * math.exp(-40)),
        (L.Tanh(), 800.0, 1.0, 0.0),
        # Phi(-10) = 7.619853024160526e-24 and phi(10) = 7.694598626706419e-23, computed with 30 digits.
        (L.GELU(), -10.0, -7.619853024160526e-23, 7.619853024160526e-24 - 7.694598626706419e-22),
        (L.GELU(), 10.0, 10.0, 1.0),
        (L.SiLU(), -40.0, -40 * math.exp(-40), -39 * math.exp(-40)),
        (L.SiLU(), 40.0, 40.0, 1.0),
        (L.ELU(alpha=2.0), -1e-9, -2e-9 + 1e-18, 2.0 - 2e-9),
        (L.ELU(alpha=2.0), -800.0, -2.0, 0.0),
        (L.ELU(), 800.0, 800.0, 1.0),
        (L.ReLU6(), 7.0, 6.0, 0.0),
        (L.HardSwish(), 1.0, 2 / 3, 5 / 6),
    ],
)
def test_tails_are_accurate(layer: L.Layer, x: float, output: float, derivative: float) -> None:
    computed = forward(layer, np.array([[x]]))
    assert computed.output.item() == pytest.approx(output, rel=1e-13, abs=0)
    assert computed.input_gradient(np.ones((1, 1))).item() == pytest.approx(derivative, rel=1e-13, abs=0)


def test_softmax_of_large_values() -> None:
    assert forward(L.Softmax(), np.array([[1000.0, 1000.0], [-1000.0, 0.0]])).output.tolist() == [
        [0.5, 0.5],
        [0.0, 1.0],
    ]


def test_cross_entropy_by_hand() -> None:
    """Logits ln 1, ln 2, ln 5: probabilities 1/8, 2/8, 5/8; the batch mean of -ln(5/8) and -ln(2/8)."""
    logits = np.log(np.array([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]))
    loss, gradient = cross_entropy(logits, np.array([2, 1]))
    assert loss == pytest.approx((math.log(8 / 5) + math.log(4)) / 2, rel=1e-15)
    assert gradient == pytest.approx(np.array([[1, 2, -3], [1, -6, 5]]) / 16, rel=1e-14)


def test_cross_entropy_of_a_certain_mistake_is_exact() -> None:
    assert cross_entropy(np.array([[0.0, 2000.0]]), np.array([0]))[0] == 2000


def test_dropout_scales_the_survivors() -> None:
    x, mask = np.array([[1.0, 2.0, 3.0]]), np.array([[True, False, True]])
    assert forward(L.Dropout(p=0.75), x, training=True, mask=mask).output.tolist() == [[4, 0, 12]]
    assert forward(L.Dropout(p=0.75), x).output.tolist() == [[1, 2, 3]]


def test_batch_norm_moves_its_estimates() -> None:
    """Values 1, 3, 5, 7: mean 4, biased variance 5, unbiased 20/3."""
    x = np.array([1.0, 3.0, 5.0, 7.0]).reshape(2, 1, 1, 2)
    values = {
        "gamma": np.array([2.0]),
        "beta": np.array([0.5]),
        "running_mean": np.array([10.0]),
        "running_variance": np.array([2.0]),
    }
    layer = L.BatchNorm2d(momentum=0.25, epsilon=4.0)
    computed = forward(layer, x, values, training=True)
    # sqrt(5 + 4) = 3
    assert computed.output.ravel() == pytest.approx(2 * (x.ravel() - 4) / 3 + 0.5, rel=1e-15)
    assert computed.buffers["running_mean"] == pytest.approx([0.75 * 10 + 0.25 * 4])
    assert computed.buffers["running_variance"] == pytest.approx([0.75 * 2 + 0.25 * 20 / 3])
    layer = L.BatchNorm2d(momentum=0.25, epsilon=2.0)
    evaluated = forward(layer, x, values)
    # sqrt(2 + 2) = 2
    assert evaluated.output.ravel() == pytest.approx(2 * (x.ravel() - 10) / 2 + 0.5, rel=1e-15)
    assert evaluated.buffers == {}


def test_batch_norm_of_one_value_is_refused() -> None:
    layer, x = L.BatchNorm2d(), np.ones((1, 3, 1, 1))
    values = parameter_values(layer, (3, 1, 1), np.random.default_rng(0))
    with pytest.raises(RequestError, match="more than one value per channel"):
        forward(layer, x, values, training=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "layer",
    [
        L.Conv2d(out_channels=2, kernel_size=2, padding=1),
        L.MaxPool2d(kernel_size=2, padding=1),
        L.AvgPool2d(kernel_size=2, padding=1),
        L.BatchNorm2d(),
        L.Dropout(p=0.5),
        L.LeakyReLU(),
        L.Tanh(),
        L.Sigmoid(),
        L.GELU(),
        L.Softmax(),
        L.Linear(out_features=3),
        L.Rows(),
        L.LSTM(hidden=3),
        L.GRU(hidden=2, return_sequences=True),
    ],
    ids=lambda layer: layer.kind,
)
def test_dtype_is_kept(layer: L.Layer, dtype: type[np.floating]) -> None:
    generator = np.random.default_rng(0)
    shape = {L.Linear: (3, 5), L.LSTM: (3, 4, 5), L.GRU: (3, 4, 5)}.get(type(layer), (3, 2, 4, 4))
    x = generator.normal(size=shape).astype(dtype)
    values = {part: v.astype(dtype) for part, v in parameter_values(layer, shape[1:], generator).items()}
    mask = np.ones(shape, bool) if isinstance(layer, L.Dropout) else None
    computed = forward(layer, x, values, training=True, mask=mask)
    dy = np.ones(computed.output.shape, dtype)
    everything = [computed.output, computed.input_gradient(dy), *computed.parameter_gradients(dy).values()]
    assert {a.dtype for a in [*everything, *computed.buffers.values()]} == {np.dtype(dtype)}


def test_rows_are_tokens_channel_by_channel() -> None:
    x = np.arange(12.0).reshape(1, 2, 3, 2)
    assert forward(L.Rows(), x).output.tolist() == [[[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]]


def test_an_lstm_by_hand() -> None:
    """Two tokens, one feature, one state; every number from math alone."""
    w, u, b = (0.5, -0.3, 0.8, 0.1), (0.2, 0.4, -0.6, 0.7), (0.0, 1.0, -0.1, 0.3)
    h = c = 0.0
    for x in (1.5, -2.0):
        i, f, g, o = (w[k] * x + u[k] * h + b[k] for k in range(4))
        c = c / (1 + math.exp(-f)) + math.tanh(g) / (1 + math.exp(-i))
        h = math.tanh(c) / (1 + math.exp(-o))
    values = {"weight": np.array(w)[:, None], "recurrent_weight": np.array(u)[:, None], "bias": np.array(b)}
    assert forward(L.LSTM(hidden=1), np.array([[[1.5], [-2.0]]]), values).output == pytest.approx(h, rel=1e-15)


def test_a_gru_by_hand() -> None:
    w, u, b, v = (0.5, -0.3, 0.8), (0.2, 0.4, -0.6), (0.0, 1.0, -0.1), 0.7
    h = 0.0
    for x in (1.5, -2.0):
        r, z = (1 / (1 + math.exp(-w[k] * x - u[k] * h - b[k])) for k in range(2))
        n = math.tanh(w[2] * x + b[2] + r * (u[2] * h + v))
        h = (1 - z) * n + z * h
    values = {
        "weight": np.array(w)[:, None],
        "recurrent_weight": np.array(u)[:, None],
        "bias": np.array(b),
        "recurrent_bias": np.array([v]),
    }
    assert forward(L.GRU(hidden=1), np.array([[[1.5], [-2.0]]]), values).output == pytest.approx(h, rel=1e-15)


def test_batch_norm_of_features_is_that_of_images_of_one_pixel() -> None:
    x = np.random.default_rng(0).normal(size=(5, 3))
    values = parameter_values(L.BatchNorm1d(), (3,), np.random.default_rng(1))
    features = forward(L.BatchNorm1d(), x, values, training=True)
    image = forward(L.BatchNorm2d(), x[:, :, None, None], values, training=True)
    assert np.array_equal(features.output, image.output[:, :, 0, 0])
    assert all(np.array_equal(features.buffers[name], image.buffers[name]) for name in image.buffers)


def test_layer_norm_is_the_formula_for_every_token() -> None:
    x, layer = np.random.default_rng(0).normal(size=(2, 3, 5)), L.LayerNorm(epsilon=0.1)
    values = parameter_values(layer, (3, 5), np.random.default_rng(1))
    output = forward(layer, x, values).output
    for token in np.ndindex(2, 3):
        mean = math.fsum(x[token]) / 5
        deviation = math.sqrt(math.fsum((element - mean) ** 2 for element in x[token]) / 5 + 0.1)
        expected = (x[token] - mean) / deviation * values["gamma"] + values["beta"]
        assert relative_error(output[token], expected) < TOLERANCE


def test_a_norm_over_one_element_gives_beta_and_no_gradient_but_that_of_beta() -> None:
    x = np.array([[1e4], [-3e4], [2.7e4]])
    for layer, image in ((L.LayerNorm(), x), (L.GroupNorm(groups=1), x[:, :, None, None])):
        computed = forward(layer, image, {"gamma": np.array([2.0]), "beta": np.array([0.5])})
        assert np.array_equal(computed.output, np.full(image.shape, 0.5))
        gradients = computed.parameter_gradients(np.ones_like(image))
        assert (gradients["gamma"], gradients["beta"]) == (0, 3)
        assert not computed.input_gradient(np.ones_like(image)).any()


def test_group_norm_takes_neighbouring_channels_together() -> None:
    x = np.zeros((1, 4, 1, 2))
    x[0, :, 0] = [[1, 1], [3, 3], [10, 20], [10, 20]]
    output = forward(L.GroupNorm(groups=2, epsilon=1e-12), x, {"gamma": np.ones(4), "beta": np.zeros(4)}).output
    np.testing.assert_allclose(output[0, :, 0], [[-1, -1], [1, 1], [-1, 1], [-1, 1]], rtol=1e-9)
