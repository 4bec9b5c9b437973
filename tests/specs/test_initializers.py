import json
import math

import numpy as np
import pytest

from specs.architecture import Architecture
from specs.codec import from_plain, to_plain
from specs.initializers import (
    DISTRIBUTIONS,
    Distribution,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Normal,
    Uniform,
    Zeros,
    initial_parameters,
)
from specs.layers import GRU, BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Rows
from specs.loading import load_architecture
from specs.shapes import buffer_shapes, parameter_shapes

FAN_IN, FAN_OUT = 3 * 5 * 7, 64 * 5 * 7
CONV = Architecture(
    name="conv",
    input=(3, 9, 9),
    classes=10,
    layers=(Conv2d(out_channels=64, kernel_size=(5, 7)), BatchNorm2d(), ReLU(), Flatten(), Linear(out_features=10)),
)
NORMALS = {
    Normal(std=0.1): 0.1,
    GlorotNormal(): math.sqrt(2 / (FAN_IN + FAN_OUT)),
    HeNormal(): math.sqrt(2 / FAN_IN),
    LecunNormal(): math.sqrt(1 / FAN_IN),
}
UNIFORMS = {
    Uniform(limit=0.2): 0.2,
    GlorotUniform(): math.sqrt(6 / (FAN_IN + FAN_OUT)),
    HeUniform(): math.sqrt(6 / FAN_IN),
    LecunUniform(): math.sqrt(3 / FAN_IN),
}


@pytest.mark.parametrize(("distribution", "std"), NORMALS.items())
def test_normals_have_the_standard_deviation_of_their_formula(distribution: Distribution, std: float) -> None:
    weight = initial_parameters(CONV, Initializer(weights=distribution), seed=3)["conv2d_1.weight"]
    # 6,720 draws: the standard error of the standard deviation is 0.9 %, of the mean 1.2 % of it; four of each.
    assert weight.std() == pytest.approx(std, rel=0.035)
    assert abs(weight.mean()) < 0.05 * std
    assert np.abs(weight).max() > 3 * std, "a normal is not truncated"


@pytest.mark.parametrize(("distribution", "limit"), UNIFORMS.items())
def test_uniforms_fill_their_interval(distribution: Distribution, limit: float) -> None:
    weight = initial_parameters(CONV, Initializer(weights=distribution), seed=3)["conv2d_1.weight"]
    assert np.abs(weight).max() <= limit * (1 + 1e-6)
    assert weight.max() > 0.99 * limit
    assert weight.min() < -0.99 * limit
    assert weight.std() == pytest.approx(limit / math.sqrt(3), rel=0.035)


def test_every_distribution_is_tried() -> None:
    assert {d.kind for d in (*NORMALS, *UNIFORMS, Zeros())} == set(DISTRIBUTIONS)


def test_linear_fans_are_the_axes_of_its_weight() -> None:
    mlp = load_architecture("mlp")
    weight = initial_parameters(mlp, Initializer(weights=GlorotUniform()), seed=0)["linear_1.weight"]
    limit = math.sqrt(6 / (784 + 256))
    assert 0.999 * limit < np.abs(weight).max() <= limit


def test_recurrent_weights_have_the_fans_of_all_gates_and_so_have_the_biases_beside_them() -> None:
    net = Architecture(name="net", input=(1, 4, 30), classes=40, layers=(Rows(), GRU(hidden=40)))
    drawn = initial_parameters(net, Initializer(weights=GlorotUniform(), biases=LecunUniform()), seed=0)
    limits = {
        "weight": math.sqrt(6 / (30 + 120)),
        "recurrent_weight": math.sqrt(6 / (40 + 120)),
        "bias": math.sqrt(3 / 30),
        "recurrent_bias": math.sqrt(3 / 40),
    }
    for part, limit in limits.items():
        assert 0.9 * limit < np.abs(drawn[f"gru_1.{part}"]).max() <= limit * (1 + 1e-6), part


def test_a_bias_takes_the_fans_of_the_weight_beside_it() -> None:
    bias = initial_parameters(CONV, Initializer(biases=LecunUniform()), seed=0)["conv2d_1.bias"]
    limit = math.sqrt(3 / FAN_IN)
    assert 0.8 * limit < np.abs(bias).max() <= limit


@pytest.mark.parametrize("name", ["mlp", "cnn", "cnn_dropout", "lenet5", "alexnet"])
def test_every_name_and_shape_in_float32(name: str) -> None:
    architecture = load_architecture(name)
    arrays = initial_parameters(architecture, Initializer(), seed=0)
    assert {key: array.shape for key, array in arrays.items()} == parameter_shapes(architecture)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    for key, array in arrays.items():
        assert (array == 0).all() == key.endswith("bias")


def test_batch_norm_starts_as_the_identity_whatever_the_initializer() -> None:
    arrays = initial_parameters(CONV, Initializer(weights=Normal(std=5.0), biases=Normal(std=5.0)), seed=0)
    assert set(arrays) == set(parameter_shapes(CONV)) | set(buffer_shapes(CONV))
    for part, value in {"gamma": 1, "beta": 0, "running_mean": 0, "running_variance": 1}.items():
        np.testing.assert_array_equal(arrays[f"batch_norm2d_1.{part}"], np.full(64, value, np.float32))


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    first, again, other = (initial_parameters(CONV, Initializer(), seed=seed) for seed in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["conv2d_1.weight"], other["conv2d_1.weight"])


def test_parameters_of_one_shape_are_drawn_independently() -> None:
    twins = Architecture(
        name="twins", input=(1, 8, 8), classes=64, layers=(Flatten(), *(Linear(out_features=64) for _ in range(2)))
    )
    arrays = initial_parameters(twins, Initializer(), seed=0)
    correlation = np.corrcoef(arrays["linear_1.weight"].ravel(), arrays["linear_2.weight"].ravel())[0, 1]
    assert abs(correlation) < 0.06  # four standard errors of 4,096 draws


def test_adding_a_layer_leaves_the_rest_as_it_was() -> None:
    longer = Architecture(
        name="longer",
        input=CONV.input,
        classes=10,
        layers=(*CONV.layers[:3], BatchNorm2d(), *CONV.layers[3:4], CONV.layers[4], Linear(out_features=10)),
    )
    before, after = (initial_parameters(architecture, Initializer(), seed=0) for architecture in (CONV, longer))
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


def test_plain_data_and_back() -> None:
    initializer = Initializer(weights=Normal(std=0.1), biases=Uniform(limit=0.5))
    assert from_plain(Initializer, json.loads(json.dumps(to_plain(initializer)))) == initializer


@pytest.mark.parametrize(
    "make", [lambda: Normal(std=-1.0), lambda: Normal(std=math.nan), lambda: Uniform(limit=math.inf)]
)
def test_wrong_values_are_refused(make) -> None:
    with pytest.raises(ValueError, match="must be non-negative and finite"):
        make()
