"""The reference session keeps the contract: steps, masks, estimates, state, and gradients through a whole network."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.contract import SessionSpec, Unsupported
from backends.numpy.adapter import NumpyBackend
from backends.numpy.layers import cross_entropy
from backends.numpy.optimizers import update
from backends.numpy.session import NumpySession
from backends.registry import find
from specs import layers as L
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.nest import Branches, Item, Residual
from specs.optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from specs.shapes import infer
from tests.backends.numerics import STEP, Array, finite_difference, relative_error, separated


def network(*layers: Item, image: tuple[int, int, int], classes: int) -> Architecture:
    return Architecture(name="net", input=image, classes=classes, layers=layers)


# The kinked layers come first, where the data keeps them away from their kinks whatever the parameters are. A
# convolution below batch norm has no bias: its gradient would be zero but for rounding.
WHOLE = network(
    L.LeakyReLU(negative_slope=0.5),
    L.MaxPool2d(kernel_size=2, stride=1),
    L.Conv2d(out_channels=3, kernel_size=(3, 2), stride=(2, 1), padding=1, bias=False),
    L.BatchNorm2d(momentum=0.3),
    L.GELU(),
    L.Dropout(p=0.3),
    L.AvgPool2d(kernel_size=2, padding=1),
    L.Conv2d(out_channels=2, kernel_size=2),
    L.Tanh(),
    L.Flatten(),
    L.Linear(out_features=5),
    L.Sigmoid(),
    L.Dropout(p=0.5),
    L.Linear(out_features=4, bias=False),
    L.Softmax(),
    L.Linear(out_features=3),
    L.Softmax(),
    image=(2, 5, 4),
    classes=3,
)

# A fork of three ways at the images, an identity and a projection as shortcuts, residuals within branches within them.
GRAPH = network(
    Branches(
        join="concat",
        paths=((L.LeakyReLU(negative_slope=0.5),), (L.MaxPool2d(kernel_size=3, stride=1, padding=1),), ()),
    ),
    Residual(
        layers=(
            L.Conv2d(out_channels=6, kernel_size=3, padding=1, bias=False),
            L.BatchNorm2d(momentum=0.3),
            Branches(join="add", paths=((L.Tanh(),), (Residual(layers=(L.GELU(),)), L.Dropout(p=0.3)), ())),
        )
    ),
    Residual(
        layers=(L.Conv2d(out_channels=3, kernel_size=2, stride=2), L.Dropout(p=0.3)),
        shortcut=(L.AvgPool2d(kernel_size=2), L.Conv2d(out_channels=3, kernel_size=1)),
    ),
    L.Flatten(),
    Branches(join="concat", paths=((L.Linear(out_features=4), L.GELU()), (L.Linear(out_features=2),))),
    L.Linear(out_features=3),
    L.Softmax(),
    image=(2, 5, 4),
    classes=3,
)

SMALL = network(
    L.Conv2d(out_channels=2, kernel_size=3, bias=False),
    L.BatchNorm2d(),
    L.ReLU(),
    L.GlobalAvgPool(),
    L.Dropout(p=0.4),
    L.Linear(out_features=3),
    image=(1, 5, 5),
    classes=3,
)


def open_session(architecture: Architecture, optimizer: Optimizer | None = None, **options: Any) -> NumpySession:
    """A float64 session with random weights, the same for equal architectures."""
    optimizer = optimizer or SGD(learning_rate=0.1, momentum=0.9)
    options = {"precision": "float64", **options}
    session = NumpyBackend().open(SessionSpec(architecture=architecture, optimizer=optimizer, **options))
    generator = np.random.default_rng(1)
    values = {name: 0.5 * generator.normal(size=value.shape) for name, value in session.parameters().items()}
    session.load_parameters({name: abs(v) + 0.5 if name.endswith("variance") else v for name, v in values.items()})
    return session


def data(architecture: Architecture, count: int, seed: int = 0) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    return separated(generator, (count, *architecture.input)), generator.integers(0, architecture.classes, count)


def draw_masks(architecture: Architecture, *lead: int) -> dict[str, Array]:
    """Masks for every dropout layer, bool[*lead, *output_shape]."""
    generator = np.random.default_rng(2)
    dropouts = [layer for layer in infer(architecture) if isinstance(layer.layer, L.Dropout)]
    return {layer.name: generator.random((*lead, *layer.output_shape)) < 0.7 for layer in dropouts}


def assert_equal(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> None:
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        assert np.array_equal(array, theirs[name]), name


# The graph's fifth derivatives are large: a step of a quarter has 1 / 256 of their error.
@pytest.mark.parametrize(("architecture", "step"), [(WHOLE, STEP), (GRAPH, STEP / 4)], ids=["chain", "graph"])
def test_gradients_of_a_whole_network_are_the_derivatives(architecture: Architecture, step: float) -> None:
    session = open_session(architecture)
    images, labels = data(architecture, 4)
    dropout_masks = draw_masks(architecture, 4)
    start = session.parameters()
    _, gradients = session.loss_and_gradients(images, labels, dropout_masks=dropout_masks)

    def loss(images: Array = images, **changed: Array) -> float:
        session.load_parameters(start | changed)
        return session.loss_and_gradients(images, labels, dropout_masks=dropout_masks)[0]

    trained = [name for name in start if "running" not in name]
    assert list(gradients) == [*trained, "input"]
    expected = {
        name: finite_difference(lambda value, name=name: loss(**{name: value}), start[name], step) for name in trained
    }
    expected["input"] = finite_difference(loss, images, step)
    for name, gradient in gradients.items():
        # The stencil is wrong by 2e-13 of the loss in each entry; the smallest gradient, the input's, has 160 entries
        # and a norm of a thirtieth of the loss: 8e-11.
        assert relative_error(gradient, expected[name]) < 2e-10, name


def test_first_step_by_hand() -> None:
    """Zero weights give probability 1/2 to both classes: dlogits = (-1/2, 1/2), dw = dlogits x, dx = 0."""
    net = network(L.Flatten(), L.Linear(out_features=2), image=(1, 1, 2), classes=2)
    session = open_session(net, SGD())
    session.load_parameters({"linear_1.weight": np.zeros((2, 2)), "linear_1.bias": np.zeros(2)})
    image, label = np.array([[[[3.0, -4.0]]]]), np.array([0])
    loss, gradients = session.loss_and_gradients(image, label)
    assert loss == pytest.approx(math.log(2), rel=1e-15)
    assert gradients["linear_1.weight"].tolist() == [[-1.5, 2], [1.5, -2]]
    assert gradients["linear_1.bias"].tolist() == [-0.5, 0.5]
    assert gradients["input"].tolist() == [[[[0, 0]]]]
    session.set_training_data(image, label)
    assert session.train_steps(np.array([[0]]), np.array([0.1])) == pytest.approx([math.log(2)], rel=1e-15)
    assert session.parameters()["linear_1.weight"] == pytest.approx(np.array([[0.15, -0.2], [-0.15, 0.2]]), rel=1e-15)
    # Logits 3 * 0.15 + 4 * 0.2 + 0.05 = 1.3 and -1.3.
    assert session.predict(image) == pytest.approx(np.array([[1.3, -1.3]]), rel=1e-15)


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_train_steps_are_gradients_and_updates_in_turn(rule: str) -> None:
    optimizer = OPTIMIZERS[rule](weight_decay=0.01, decay="weights", clip_norm=0.2)
    session, shadow = open_session(SMALL, optimizer), open_session(SMALL, optimizer)
    images, labels = data(SMALL, 12)
    order, rates = np.random.default_rng(0).permutation(12).reshape(3, 4), np.array([0.1, 0.05, 0.02])
    dropout_masks = draw_masks(SMALL, 3, 4)
    session.set_training_data(images, labels)
    losses = session.train_steps(order, rates, dropout_masks=dropout_masks)
    state = {n: {s: np.zeros_like(a) for s in optimizer.slots} for n, a in shadow.parameters().items()}
    for k, (batch, rate) in enumerate(zip(order, rates, strict=True)):
        loss, gradients = shadow.loss_and_gradients(
            images[batch], labels[batch], dropout_masks={n: m[k] for n, m in dropout_masks.items()}
        )
        assert losses[k] == pytest.approx(loss, rel=1e-14)  # the norm below is summed in another order
        values = shadow.parameters()
        norm = np.linalg.norm(np.concatenate([g.ravel() for name, g in gradients.items() if name != "input"]))
        assert norm > 0.2
        for name in values.keys() & gradients.keys():
            update(
                optimizer,
                values[name],
                gradients[name] * (0.2 / norm),
                state[name],
                learning_rate=float(rate),
                weight_decay=0.01 if name.endswith("weight") else 0.0,
                step=k + 1,
            )
        shadow.load_parameters(values)
    for name, value in session.parameters().items():
        np.testing.assert_allclose(value, shadow.parameters()[name], rtol=1e-12, atol=1e-14)
    assert losses.dtype == np.float64


@pytest.mark.parametrize("groups", [[6], [1] * 6, [2, 4], [5, 1]])
def test_grouping_steps_into_calls_changes_nothing(groups: list[int]) -> None:
    """Native dropout included: the generator goes on from call to call."""
    images, labels = data(SMALL, 24)
    order, rates = np.arange(24).reshape(6, 4), np.linspace(0.1, 0.01, 6)
    together, apart = open_session(SMALL, Adam(), seed=3), open_session(SMALL, Adam(), seed=3)
    for session in (together, apart):
        session.set_training_data(images, labels)
    losses = together.train_steps(order, rates)
    ends = np.cumsum(groups)[:-1]
    parts = [apart.train_steps(o, r) for o, r in zip(np.split(order, ends), np.split(rates, ends), strict=True)]
    assert np.array_equal(losses, np.concatenate(parts))
    assert_equal(together.parameters(), apart.parameters())
    assert_equal(together.optimizer_state(), apart.optimizer_state())


def test_last_partial_batch_is_averaged_over_its_own_size() -> None:
    session, alone = open_session(SMALL), open_session(SMALL)
    images, labels = data(SMALL, 7)
    dropout_masks = draw_masks(SMALL, 1, 3)
    session.set_training_data(images, labels)
    batch = np.array([[4, 5, 6]])
    (loss,) = session.train_steps(batch, np.array([0.1]), dropout_masks=dropout_masks)
    logits = alone.activations(images[4:], training=True, dropout_masks={n: m[0] for n, m in dropout_masks.items()})[
        "linear_1"
    ]
    each = [cross_entropy(logits[i : i + 1], labels[4 + i : 5 + i])[0] for i in range(3)]
    assert loss == pytest.approx(sum(each) / 3, rel=1e-14)
    assert session.train_steps(np.array([[0, 1, 2, 3]]), np.array([0.1])).shape == (1,)
    assert session.optimizer_state()["step"] == 2


def test_given_masks_decide() -> None:
    net = network(L.Flatten(), L.Dropout(p=0.75), L.Linear(out_features=2), image=(1, 2, 3), classes=2)
    session = open_session(net)
    images, labels = data(net, 5)
    mask = np.random.default_rng(0).random((5, 6)) < 0.5
    dropped = session.activations(images, training=True, dropout_masks={"dropout_1": mask})["dropout_1"]
    assert np.array_equal(dropped, np.where(mask, images.reshape(5, 6) * 4, 0))
    _, gradients = session.loss_and_gradients(images, labels, dropout_masks={"dropout_1": mask})
    assert np.array_equal(gradients["input"].reshape(5, 6) != 0, mask)
    plain = session.predict(images)
    assert np.array_equal(plain, session.activations(images)["linear_1"])
    weight, bias = session.parameters().values()
    assert relative_error(plain, images.reshape(5, 6) @ weight.T + bias) < 1e-15


def test_native_dropout_by_its_statistics() -> None:
    net = network(L.Flatten(), L.Dropout(p=0.25), L.Linear(out_features=2), image=(1, 40, 50), classes=2)
    images, labels = np.ones((10, *net.input)), np.zeros(10, np.int64)

    def kept(session: NumpySession) -> Array:
        return session.loss_and_gradients(images, labels)[1]["input"] != 0

    session, again, other = (open_session(net, seed=seed) for seed in (5, 5, 6))
    first, second = kept(session), kept(session)
    # 20,000 draws: five standard deviations are 5 * sqrt(0.25 * 0.75 / 20000) = 0.0153.
    assert first.mean() == pytest.approx(0.75, abs=0.0153)
    assert (first != second).mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.0171)
    assert np.array_equal(kept(again), first)
    assert not np.array_equal(kept(other), first)


def test_wrong_masks_are_named() -> None:
    session = open_session(SMALL)
    images, labels = data(SMALL, 4)
    (name, mask), *_ = draw_masks(SMALL, 4).items()
    with pytest.raises(KeyError, match="missing array 'dropout_1'"):
        session.loss_and_gradients(images, labels, dropout_masks={})
    with pytest.raises(KeyError, match="missing array 'dropout_1'"):
        session.activations(images, training=True)
    with pytest.raises(KeyError, match="surplus array 'dropout_2'"):
        session.loss_and_gradients(images, labels, dropout_masks={name: mask, "dropout_2": mask})
    with pytest.raises(ValueError, match=r"'dropout_1' has shape \[3, 2\], expected \[4, 2\]"):
        session.loss_and_gradients(images, labels, dropout_masks={name: mask[:3]})


def test_batch_norm_estimates_move_with_every_training_forward_and_serve_evaluation() -> None:
    net = network(L.BatchNorm2d(momentum=0.25), L.Flatten(), L.Linear(out_features=2), image=(2, 2, 3), classes=2)
    session = open_session(net)
    images, labels = data(net, 12)
    session.set_training_data(images, labels)
    mean, variance = (session.parameters()[f"batch_norm2d_1.running_{what}"] for what in ("mean", "variance"))
    order = np.arange(12).reshape(3, 4)
    session.train_steps(order[:2], np.full(2, 0.1))
    session.loss_and_gradients(images[order[2]], labels[order[2]])
    for batch in order:
        mean = 0.75 * mean + 0.25 * images[batch].mean(axis=(0, 2, 3))
        variance = 0.75 * variance + 0.25 * images[batch].var(axis=(0, 2, 3), ddof=1)
    values = session.parameters()
    assert relative_error(values["batch_norm2d_1.running_mean"], mean) < 1e-14
    assert relative_error(values["batch_norm2d_1.running_variance"], variance) < 1e-14
    normalised = (images - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    scaled = values["batch_norm2d_1.gamma"][:, None, None] * normalised + values["batch_norm2d_1.beta"][:, None, None]
    expected = scaled.reshape(12, -1) @ values["linear_1.weight"].T + values["linear_1.bias"]
    assert relative_error(session.predict(images), expected) < 1e-13
    assert_equal(session.parameters(), values)


@pytest.mark.parametrize("architecture", [WHOLE, GRAPH], ids=["chain", "graph"])
def test_diagnosis_agrees_with_the_session_and_changes_nothing(architecture: Architecture) -> None:
    session = open_session(architecture)
    images, labels = data(architecture, 4)
    dropout_masks = draw_masks(architecture, 4)
    before, state = session.parameters(), session.optimizer_state()
    outputs = session.activations(images, training=True, dropout_masks=dropout_masks)
    assert_equal(session.parameters(), before)
    assert_equal(session.optimizer_state(), state)
    nodes = infer(architecture)  # the trailing softmax takes no part
    assert {name: array.shape[1:] for name, array in outputs.items()} == {n.name: n.output_shape for n in nodes}
    loss, _ = session.loss_and_gradients(images, labels, dropout_masks=dropout_masks)
    assert cross_entropy(outputs[nodes[-1].name], labels)[0] == loss
    assert np.array_equal(session.activations(images)[nodes[-1].name], session.predict(images))


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_a_session_continues_from_another_ones_state(rule: str) -> None:
    optimizer = OPTIMIZERS[rule]()
    first, second = open_session(SMALL, optimizer), open_session(SMALL, optimizer)
    images, labels = data(SMALL, 24)
    order, rates = np.arange(24).reshape(6, 4), np.linspace(0.1, 0.01, 6)
    dropout_masks = draw_masks(SMALL, 3, 4)
    for session in (first, second):
        session.set_training_data(images, labels)
    assert all(not np.any(array) for array in first.optimizer_state().values())
    first.train_steps(order[:3], rates[:3], dropout_masks=dropout_masks)
    second.load_parameters(first.parameters())
    second.load_optimizer_state(first.optimizer_state())
    assert_equal(first.optimizer_state(), second.optimizer_state())
    assert second.optimizer_state()["step"] == 3
    ends = [session.train_steps(order[3:], rates[3:], dropout_masks=dropout_masks) for session in (first, second)]
    assert np.array_equal(*ends)
    assert_equal(first.parameters(), second.parameters())


def test_optimizer_state_has_the_canonical_names() -> None:
    state = open_session(SMALL, Adam()).optimizer_state()
    trained = [
        "conv2d_1.weight",
        "batch_norm2d_1.gamma",
        "batch_norm2d_1.beta",
        "linear_1.weight",
        "linear_1.bias",
    ]
    assert list(state) == ["step", *(f"{n}.{slot}" for n in trained for slot in ("first_moment", "second_moment"))]
    assert state["step"].dtype == np.int64
    assert state["step"].shape == ()
    assert list(open_session(SMALL, SGD()).optimizer_state()) == ["step"]


def test_what_is_read_and_given_are_copies() -> None:
    session = open_session(SMALL)
    values, state = copy.deepcopy(session.parameters()), copy.deepcopy(session.optimizer_state())
    given = session.parameters()
    session.load_parameters(given)
    for array in [*given.values(), *session.parameters().values(), *session.optimizer_state().values()]:
        np.add(array, 1, out=array)
    assert_equal(session.parameters(), values)
    assert_equal(session.optimizer_state(), state)


def test_wrong_parameters_are_named() -> None:
    session = open_session(SMALL)
    good, state = session.parameters(), session.optimizer_state()
    with pytest.raises(KeyError, match=r"missing array 'linear_1\.bias'"):
        session.load_parameters({name: a for name, a in good.items() if name != "linear_1.bias"})
    with pytest.raises(KeyError, match=r"surplus array 'linear_9\.bias'"):
        session.load_parameters(good | {"linear_9.bias": np.zeros(3)})
    with pytest.raises(ValueError, match=r"'linear_1.weight' has shape \[2, 3\], expected \[3, 2\]"):
        session.load_parameters(good | {"linear_1.weight": np.zeros((2, 3))})
    with pytest.raises(KeyError, match="missing array 'step'"):
        session.load_optimizer_state({name: a for name, a in state.items() if name != "step"})


def test_saved_files_hold_parameters_and_state(tmp_path: Path) -> None:
    session = open_session(SMALL)
    images, labels = data(SMALL, 4)
    session.set_training_data(images, labels)
    session.train_steps(np.arange(4)[None], np.array([0.1]))
    files = session.save(tmp_path / "new" / "folder")
    assert [file.name for file in files] == ["parameters.npz", "optimizer.npz"]
    for file, arrays in zip(files, (session.parameters(), session.optimizer_state()), strict=True):
        with np.load(file, allow_pickle=False) as saved:
            assert_equal(dict(saved), arrays)


def test_predict_does_not_depend_on_its_own_batches() -> None:
    session = open_session(SMALL)
    images, _ = data(SMALL, 600)
    assert relative_error(session.predict(images)[590:], session.predict(images[590:])) < 1e-14


def test_float32_is_float64_rounded() -> None:
    exact, rounded = open_session(SMALL), open_session(SMALL, precision="float32")
    images, labels = data(SMALL, 8)
    dropout_masks = draw_masks(SMALL, 8)
    results = [s.loss_and_gradients(images, labels, dropout_masks=dropout_masks)[1] for s in (exact, rounded)]
    for name, gradient in results[0].items():
        assert results[1][name].dtype == np.float32
        # Sums of some hundred products, each rounded to 6e-8.
        assert relative_error(results[1][name], gradient) < 5e-6, name
    rounded.set_training_data(images, labels)
    rounded.train_steps(np.arange(8)[None], np.array([0.1]))
    arrays = [*rounded.parameters().values(), rounded.predict(images)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_training_without_data_is_refused() -> None:
    with pytest.raises(RuntimeError, match="before set_training_data"):
        open_session(SMALL).train_steps(np.zeros((1, 1), np.int64), np.ones(1))


def test_backend() -> None:
    backend = find("reference").create()
    assert isinstance(backend, NumpyBackend)
    environment = backend.environment(architecture=None, threads=3, tuning="expert")
    assert environment == dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "3")
    backend.load(threads=1)
    description = backend.describe()
    assert description.framework_version == np.__version__
    assert description.devices == ("cpu",)
    assert description.precisions == ("float32", "float64")
    spec = {"architecture": SMALL, "optimizer": SGD()}
    with pytest.raises(RequestError, match="device 'cuda:1' is not there"):
        backend.open(SessionSpec(**spec, device="cuda:1"))
    with pytest.raises(Unsupported, match="no bfloat16"):
        backend.open(SessionSpec(**spec, precision="bfloat16"))
