"""Training in Paddle's static graph, on oneDNN kernels: the fast way on a CPU.

Neither Paddle's eager mode nor its newer graph (PIR) uses oneDNN for training. The older graph does, for the operations
that carry the attribute ``use_mkldnn``. A ``Step`` is such a graph, written by the network's own layers, by
``append_backward`` and by the optimizer, and then rewritten where Paddle's choice is slow. It reads its batch from
the placed data and its rate from an array itself, so that running a step takes one call and nothing is fed or fetched.

Parameters, buffers and optimizer state are not copied: the variables of the graph share the memory of the eager
network and optimizer, which stay the one place where they live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.base import core
from paddle.pir_utils import OldIrGuard

from backends.contract import Arrays, SessionSpec, chain
from backends.paddle import network as _paddle_network
from backends.paddle import optimizers as _paddle_optimizers
from backends.paddle.expert import passes
from specs.layers import BatchNorm2d, Dropout

TUNING: tuple[str, ...] = (
    "static graph of the older kind, run serially and in place of eager mode",
    "oneDNN kernels for convolution, pooling, bias and ReLU, forward and backward",
    "max pooling ahead of bias and ReLU",
    "bias gradients as plain sums",
    "linear layer, bias and ReLU in one operation",
    "batches gathered within the graph, logits read once per call and losses computed from them",
)

_GREATEST_EPSILON = 1e-3

# Layers whose Python functions no longer write the older graph, by the name of their operation.
_OPERATIONS = {nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.GELU: "gelu"}

Masks = Mapping[str, NDArray[np.bool_]]


def refusal(spec: SessionSpec) -> str | None:
    """Why this session cannot be computed by static graphs; None if it can."""
    if spec.device != "cpu" or spec.precision != "float32":
        return "the oneDNN graph is for float32 on a CPU"
    epsilons = [node.layer.epsilon for node in chain(spec.architecture) if isinstance(node.layer, BatchNorm2d)]
    if max(epsilons, default=0) > _GREATEST_EPSILON:
        return f"Paddle's older graph takes no batch norm epsilon above {_GREATEST_EPSILON}"
    return None


class StaticEngine:
    """The static graphs of one session on the CPU in float32: training, gradients and evaluation, per batch size."""

    def __init__(self, spec: SessionSpec, held: Iterable[paddle.Tensor]) -> None:
        """``held`` are the eager tensors that the graphs read and write, known to them by the tensors' names."""
        self._architecture = spec.architecture
        channels, *size = spec.architecture.input
        self._image = (*size, channels)
        self._optimizer = spec.optimizer
        self._dropout = {
            shaped.name: ((*shaped.output_shape[1:], shaped.output_shape[0]), shaped.layer.p)
            for shaped in chain(spec.architecture)
            if isinstance(shaped.layer, Dropout)
        }
        self._scope = paddle.static.Scope()
        self._runs: dict[tuple[Any, ...], _Run] = {}
        for tensor in held:
            self._scope.var(tensor.name).get_tensor()._share_data_with(tensor.get_tensor())

    def set_training_data(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Copy the training data into the variables that training steps gather from."""
        self._set("images", _last(images))
        self._set("labels", labels.reshape(-1, 1))
        self._labels = labels

    def train_steps(
        self, batch_indices: NDArray[np.int64], learning_rates: NDArray[np.float64], dropout_masks: Masks | None
    ) -> NDArray[np.float64]:
        """As ``Session.train_steps``."""
        steps, batch = batch_indices.shape
        self._set("order", batch_indices)
        self._set("rates", learning_rates.astype(np.float32))
        self._set("step_logits", np.zeros((steps, batch, self._architecture.classes), np.float32))
        self._set("step", np.zeros((), np.int64))
        self._set_masks(dropout_masks)
        self._run(self._training, batch, dropout_masks is not None)(steps)
        return _losses(self._get("step_logits"), self._labels[batch_indices])

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """As ``Session.predict``."""
        self._set("input", _last(images))
        self._run(self._evaluation, len(images))(1)
        return self._get("logits")

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], dropout_masks: Masks | None
    ) -> tuple[float, NDArray[Any], Arrays]:
        """Loss, gradient of the images, and gradients by the names and in the layouts of Paddle's parameters."""
        self._set("input", _last(images))
        self._set("target", labels.reshape(-1, 1))
        self._set_masks(dropout_masks)
        run = self._run(self._gradients, len(images), dropout_masks is not None)
        run(1)
        gradients = {name: self._get(result) for name, result in run.results.items()}
        (loss,) = _losses(self._get("logits")[None], labels[None])
        return float(loss), np.moveaxis(gradients.pop("input"), 3, 1).copy(), gradients

    def _run(self, write: Callable[..., dict[str, str]], batch: int, *options: bool) -> _Run:
        """The program that ``write`` writes, made once."""
        key = (write.__name__, batch, *options)
        if key not in self._runs:
            with OldIrGuard():
                program = paddle.static.Program()
                with paddle.static.program_guard(program, paddle.static.Program()), paddle.utils.unique_name.guard():
                    results = write(batch, *options)
                    ones = self._constant(f"ones.{batch}", np.ones(batch)).name
                block = passes.Block(program)
                passes.sum_bias_gradients(block, ones)
                passes.fuse_linear(block)
                passes.use_onednn(block)
                self._runs[key] = _Run(program, self._scope, results, keep=write == self._training)
        return self._runs[key]

    def _training(self, batch: int, masked: bool) -> dict[str, str]:
        step = _given("step", [], "int64")
        row = _gather(_given("order", [-1, batch], "int64"), step, [batch])
        images = _gather(_given("images", [-1, *self._image], "float32"), row, [batch, *self._image])
        labels = _gather(_given("labels", [-1, 1], "int64"), row, [batch, 1])
        dropout_masks = None
        if masked:
            dropout_masks = {
                name: _gather(self._mask(name, -1, batch), step, [batch, *shape])
                for name, (shape, _) in self._dropout.items()
            }
        logits, gradients, _ = self._backward(images, labels, dropout_masks)
        optimizer = _paddle_optimizers.create(self._optimizer, None, "float32")
        optimizer.apply_gradients(gradients)
        _rate(optimizer, step)
        kept = _given("step_logits", [-1, *logits.shape], "float32")
        _write("scatter", {"X": [kept], "Ids": [step], "Updates": [logits]}, {"Out": [kept]}, overwrite=True)
        _write("increment", {"X": [step]}, {"Out": [step]}, step=1.0)
        return {}

    def _gradients(self, batch: int, masked: bool) -> dict[str, str]:
        images = _given("input", [batch, *self._image], "float32")
        images.stop_gradient = False
        dropout_masks = {name: self._mask(name, batch) for name in self._dropout} if masked else None
        labels = _given("target", [batch, 1], "int64")
        logits, gradients, images_gradient = self._backward(images, labels, dropout_masks)
        _write("assign", {"X": [logits]}, {"Out": [_given("logits", logits.shape, "float32")]})
        named = {parameter.name: gradient for parameter, gradient in gradients} | {"input": images_gradient}
        for name, gradient in named.items():
            result = _given(f"{name}.gradient", gradient.shape, "float32")
            _write("assign", {"X": [gradient]}, {"Out": [result]})
        return {name: f"{name}.gradient" for name in named}

    def _evaluation(self, batch: int) -> dict[str, str]:
        network = _paddle_network.build(self._architecture, "float32", "NHWC")
        network.eval()
        logits = _forward(network, _given("input", [batch, *self._image], "float32"), None)
        _write("assign", {"X": [logits]}, {"Out": [_given("logits", logits.shape, "float32")]})
        return {}

    def _backward(
        self, images: Any, labels: Any, dropout_masks: dict[str, Any] | None
    ) -> tuple[Any, list[tuple[Any, Any]], Any]:
        """The logits, pairs of a parameter and its gradient, and the gradient of the images if they take one."""
        network = _paddle_network.build(self._architecture, "float32", "NHWC")
        logits = _forward(network, images, dropout_masks)
        batch, classes = logits.shape
        losses = _variable("losses", [batch, 1])
        outputs = {"Loss": [losses], "Softmax": [_variable("softmax", [batch, classes])]}
        _write("softmax_with_cross_entropy", {"Logits": [logits], "Label": [labels]}, outputs)
        share = self._constant(f"share.{batch}", np.full((batch, 1), 1 / batch))
        trained = [parameter for parameter in network.parameters() if not parameter.stop_gradient]
        wanted = trained if images.stop_gradient else [*trained, images]
        gradients = paddle.static.gradients([losses], wanted, target_gradients=[share])
        images_gradient = None if images.stop_gradient else gradients.pop()
        return logits, list(zip(trained, gradients, strict=True)), images_gradient

    def _mask(self, name: str, *sizes: int) -> Any:
        shape, _ = self._dropout[name]
        return _given(f"{name}.mask", [*sizes, *shape], "float32")

    def _set_masks(self, dropout_masks: Masks | None) -> None:
        """Masks as the factors that they are, 1 / (1 - p) where a value is kept, else 0, channels last."""
        for name, mask in (dropout_masks or {}).items():
            shape, p = self._dropout[name]
            self._set(f"{name}.mask", np.moveaxis(mask, -len(shape), -1) / np.float32(1 - p))

    def _constant(self, name: str, array: NDArray[Any]) -> Any:
        self._set(name, array.astype(np.float32))
        return _given(name, list(array.shape), "float32")

    def _set(self, name: str, array: NDArray[Any]) -> None:
        self._scope.var(name).get_tensor().set(np.asarray(array, order="C"), paddle.CPUPlace())

    def _get(self, name: str) -> NDArray[Any]:
        return np.array(self._scope.find_var(name).get_tensor())


class _Run:
    """A program made ready to run in a scope, without feeding and fetching."""

    def __init__(self, program: Any, scope: Any, results: dict[str, str], *, keep: bool) -> None:
        """``results`` names the variables in which the program leaves what it is asked for.

        With ``keep`` the memory of intermediate values is kept from run to run, else given back as soon as possible.
        """
        # oneDNN's cache tells forward and backward of one convolution apart only when one thread runs them in order.
        # Every run asks anew whether memory is kept, so that no other program's choice may stand.
        self._flags = {"FLAGS_new_executor_serial_run": True, "FLAGS_eager_delete_tensor_gb": -1.0 if keep else 0.0}
        paddle.set_flags(self._flags)
        place = core.Place()
        place.set_place(paddle.CPUPlace())
        self.results = results
        self._program = program  # the plan refers to it
        self._plan = core.Plan([core.Job("default")], {"default": program.desc})
        self._executor = core.StandaloneExecutor(place, self._plan, scope)

    def __call__(self, times: int) -> None:
        """Run the program ``times`` times."""
        paddle.set_flags(self._flags)
        with OldIrGuard():
            for _ in range(times):
                self._executor.run([], False)


def _last(images: NDArray[Any]) -> NDArray[np.float32]:
    """[N, C, H, W] to float32[N, H, W, C]."""
    return np.moveaxis(images, 1, 3).astype(np.float32, copy=False)


def _given(name: str, shape: list[int], dtype: str) -> Any:
    """A variable that the program finds in its scope."""
    block = paddle.static.default_main_program().global_block()
    variable = block.create_var(name=name, shape=shape, dtype=dtype, persistable=True)
    variable.stop_gradient = True
    return variable


def _rate(optimizer: paddle.optimizer.Optimizer, step: Any) -> None:
    """Read the rate of a step from the given rates, in place of the optimizer's own variable."""
    block = paddle.static.default_main_program().global_block()
    rate = block.var(optimizer._global_learning_rate(paddle.static.default_main_program()).name)
    rate.persistable = False
    first = next(index for index, op in enumerate(block.ops) if rate.name in op.input_arg_names)
    inputs = {"X": [_given("rates", [-1], "float32")], "Index": [step]}
    block._insert_op(first, type="gather", inputs=inputs, outputs={"Out": [rate]}, attrs={"axis": 0})


def _gather(x: Any, index: Any, shape: list[int]) -> Any:
    """Rows of ``x``; ``shape`` is the result's."""
    return _append("gather", {"X": [x], "Index": [index]}, shape, x.dtype, axis=0)


def _forward(network: nn.Sequential, x: Any, dropout_masks: Mapping[str, Any] | None) -> Any:
    """Logits.

    Max pooling goes ahead of the bias and ReLU before it, which then have less to do: a shift per channel and ReLU
    are monotonic, so that max(relu(x + b)) = relu(max(x) + b), gradients included.
    """
    steps: list[tuple[str, Callable[[Any], Any]]] = []
    for name, layer in network.named_children():
        match layer:
            case nn.Conv2D():
                steps.append(("convolution", partial(_convolution, layer)))
                if layer.bias is not None:
                    steps.append(("monotonic", partial(_shift, layer.bias)))
            case nn.MaxPool2D():
                position = len(steps)
                while position and steps[position - 1][0] == "monotonic":
                    position -= 1
                steps.insert(position, ("pooling", layer))
            case nn.Dropout() if dropout_masks is not None:
                steps.append(("dropout", partial(_product, dropout_masks[name])))
            case nn.Tanh() | nn.Sigmoid() | nn.GELU():
                steps.append(("activation", partial(_operation, _OPERATIONS[type(layer)])))
            case _paddle_network.CanonicalLeakyReLU():
                steps.append(("activation", partial(_leaky_relu, layer.slope)))
            case _:
                steps.append(("monotonic" if isinstance(layer, nn.ReLU) else "layer", layer))
    for _, step in steps:
        x = step(x)
    return x


def _convolution(layer: nn.Conv2D, x: Any) -> Any:
    return nn.functional.conv2d(x, layer.weight, stride=layer._stride, padding=layer._padding, data_format="NHWC")


def _shift(bias: Any, x: Any) -> Any:
    return _append("elementwise_add", {"X": [x], "Y": [bias]}, x.shape, axis=-1)


def _product(factor: Any, x: Any) -> Any:
    return _append("elementwise_mul", {"X": [x], "Y": [factor]}, x.shape)


def _leaky_relu(slope: float, x: Any) -> Any:
    """slope * x + (1 - slope) * relu(x): Paddle's own has derivative 1 at 0."""
    parts = [_operation("scale", x, scale=slope), _operation("scale", nn.functional.relu(x), scale=1 - slope)]
    return _append("sum", {"X": parts}, x.shape)


def _operation(kind: str, x: Any, **attrs: Any) -> Any:
    return _append(kind, {"X": [x]}, x.shape, **attrs)


def _losses(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean softmax cross-entropy of every step, from its logits [steps, batch, classes] and labels [steps, batch].

    Paddle's kernel cuts the loss of a sample off at 64, but not its gradient; the exact one costs least when that of
    all steps is computed at once. Classes go first, so that sums over them run along vectors.
    """
    z = np.moveaxis(logits, 2, 0).copy()
    with np.errstate(invalid="ignore"):  # a diverging network's infinite logits: its loss is NaN
        z -= z.max(axis=0)
        chosen = np.take_along_axis(z, labels[None], axis=0)[0]
        return (np.log(np.exp(z).sum(axis=0)) - chosen).mean(axis=1, dtype=np.float64)


def _append(kind: str, inputs: dict[str, list[Any]], shape: Sequence[int], dtype: str = "float32", **attrs: Any) -> Any:
    """Append an operation with one output, of this shape and type."""
    out = _variable(kind, shape, dtype)
    out.stop_gradient = all(tensor.stop_gradient for tensors in inputs.values() for tensor in tensors)
    _write(kind, inputs, {"Out": [out]}, **attrs)
    return out


def _write(kind: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], **attrs: Any) -> None:
    """Append an operation that writes these variables."""
    block = paddle.static.default_main_program().global_block()
    block.append_op(type=kind, inputs=inputs, outputs=outputs, attrs=attrs)


def _variable(prefix: str, shape: Sequence[int], dtype: str = "float32") -> Any:
    block = paddle.static.default_main_program().global_block()
    return block.create_var(name=paddle.utils.unique_name.generate(prefix), shape=list(shape), dtype=dtype)
