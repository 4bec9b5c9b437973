"""Training in Paddle's static graph, on oneDNN kernels: the fast way on a CPU.

Neither Paddle's dynamic mode nor its newer graph (PIR) uses oneDNN for training. The older graph does, for operations
that carry the attribute ``use_mkldnn``. A program of this session is such a graph, written by ``graph.py``, by
``append_backward`` and by the optimizer, and then rewritten (``passes.py``) where Paddle's choice is slow. It reads its
batch from the training data and its rate from an array itself, so that a step takes one call and nothing is fed.

Parameters, buffers and optimizer state are not copied: the variables of the programs share the memory of the plain
session's network and optimizer, which stay the one place where they live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle.pir_utils import IrGuard, OldIrGuard

from backends.contract import Arrays, SessionSpec
from backends.paddle import optimizers
from backends.paddle.expert import passes
from backends.paddle.expert.clipping import clipped
from backends.paddle.expert.graph import Graph, is_written
from backends.paddle.expert.operations import append, given, variable, write
from backends.paddle.expert.running import Run
from backends.paddle.norms import GREATEST_EPSILON
from backends.paddle.session import Masks, PaddleSession, mean_cross_entropy
from specs.layers import BatchNorm, Dropout, GroupNorm, LayerNorm
from specs.shapes import infer


def refusal(spec: SessionSpec) -> str | None:
    """Why this session cannot be computed by static graphs; None if it can."""
    if spec.device != "cpu" or spec.precision != "float32":
        return "the oneDNN graph is for float32 on a CPU"
    nodes = infer(spec.architecture)
    if other := next((node for node in nodes if not is_written(node.layer)), None):
        return f"{other.name} is not written as an operation of Paddle's older graph"
    normed = [node.layer for node in nodes if isinstance(node.layer, BatchNorm | LayerNorm | GroupNorm)]
    if large := [layer.kind for layer in normed if layer.epsilon > GREATEST_EPSILON]:
        return f"Paddle's older graph takes no epsilon of {large[0]} above {GREATEST_EPSILON}"
    return None


class DynamicSession(PaddleSession):
    """A plain session in a worker whose graphs are of the older kind: what ``refusal`` keeps from that graph."""

    def export(self, directory: Path) -> None:
        """As the plain session, by way of the newer graph: some layers no longer write the older one."""
        with IrGuard(), paddle.base.dygraph.guard():
            super().export(directory)


class ExpertSession(DynamicSession):
    """A plain session on the CPU in float32 that computes by programs: for training, gradients and evaluation."""

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec, "cpu")
        self._graph = Graph(infer(spec.architecture))
        channels, *size = spec.architecture.input
        self._image = (*size, channels)
        self._dropout = {
            node.name: ((*node.output_shape[1:], node.output_shape[0]), node.layer.p)
            for node in infer(spec.architecture)
            if isinstance(node.layer, Dropout)
        }
        self._scope = paddle.static.Scope()
        self._runs: dict[tuple[Any, ...], Run] = {}
        held = [*(entry.tensor for entry in self._entries.values()), *self._optimizer.state_dict().values()]
        for tensor in held:
            self._scope.var(tensor.name).get_tensor()._share_data_with(tensor.get_tensor())

    def set_training_data(self, images: NDArray[Any], labels: NDArray[np.int64]) -> None:
        """Copy images float[N, C, H, W] and labels int64[N] into the variables that training steps gather from."""
        self._set("images", _last(images))
        self._set("labels", self._targets(labels))
        self._training_labels = labels.copy()

    def train_steps(
        self,
        batch_indices: NDArray[np.int64],
        learning_rates: NDArray[np.float64],
        *,
        dropout_masks: Masks | None = None,
    ) -> NDArray[np.float64]:
        """As the plain session: rows of int64[K, batch] at the rates float64[K] to losses float64[K]."""
        if self._scope.find_var("images") is None:
            raise RuntimeError("train_steps before set_training_data")
        steps, batch = batch_indices.shape
        if not steps:
            return np.empty(0)
        self._set("order", batch_indices)
        self._set("rates", learning_rates.astype(np.float32))
        self._set("step_logits", np.zeros((steps, batch, self._spec.architecture.classes), np.float32))
        self._set("step", np.zeros((), np.int64))
        self._set_factors(dropout_masks)
        self._run(self._training, batch, dropout_masks is not None)(steps)
        self._state.step += steps
        return mean_cross_entropy(
            self._get("step_logits"), self._training_labels[batch_indices], self._spec.label_smoothing
        )

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits float32[n, classes] of images float[n, C, H, W] in evaluation mode."""
        self._set("input", _last(images))
        self._run(self._evaluation, len(images))(1)
        return self._get("logits")

    def loss_and_gradients(
        self, images: NDArray[Any], labels: NDArray[np.int64], *, dropout_masks: Masks | None = None
    ) -> tuple[float, Arrays]:
        """As the plain session: images float[n, C, H, W] and labels int64[n] to the loss and gradients by name."""
        self._set("input", _last(images))
        self._set("target", self._targets(labels))
        self._set_factors(dropout_masks)
        self._run(self._gradients, len(images), dropout_masks is not None)(1)
        (loss,) = mean_cross_entropy(self._get("logits")[None], labels[None], self._spec.label_smoothing)
        gradients = {name: entry.canonical(self._get(f"{name}.gradient")) for name, entry in self._parameters.items()}
        return float(loss), {**gradients, "input": np.moveaxis(self._get("input.gradient"), 3, 1).copy()}

    def tuning(self) -> tuple[str, ...]:
        """What the programs do."""
        return (
            "static graph of the older kind, run serially and in place of dynamic mode",
            "oneDNN kernels for convolution, pooling, bias and ReLU, forward and backward",
            "max pooling ahead of bias and ReLU",
            "bias gradients as plain sums",
            "linear layer, bias and ReLU in one operation",
            "batches gathered within the graph, logits read once per call and losses computed from them",
        )

    def _run(self, write_program: Callable[..., None], batch: int, *options: bool) -> Run:
        """The program that ``write_program`` writes, made once."""
        key = (write_program.__name__, batch, *options)
        if key not in self._runs:
            with OldIrGuard():
                program = paddle.static.Program()
                with paddle.static.program_guard(program, paddle.static.Program()), paddle.utils.unique_name.guard():
                    write_program(batch, *options)
                    ones = self._constant(f"ones.{batch}", np.ones(batch)).name
                block = passes.Block(program)
                passes.sum_bias_gradients(block, ones)
                passes.fuse_linear(block)
                passes.use_onednn(block)
                self._runs[key] = Run(program, self._scope, keep=write_program == self._training)
        return self._runs[key]

    def _training(self, batch: int, masked: bool) -> None:
        step = given("step", [], "int64")
        row = _gather(given("order", [-1, batch], "int64"), step, [batch])
        images = _gather(given("images", [-1, *self._image]), row, [batch, *self._image])
        width, kind = self._target
        labels = _gather(given("labels", [-1, width], kind), row, [batch, width])
        factors = {
            name: _gather(given(f"{name}.mask", [-1, batch, *shape]), step, [batch, *shape])
            for name, (shape, _) in self._dropout.items()
            if masked
        }
        logits, gradients, _ = self._backward(images, labels, factors if masked else None)
        rule, pairs = self._spec.optimizer, list(gradients.values())
        if rule.clip_norm:
            pairs = clipped(pairs, self._constant("clip_norm", np.full(1, rule.clip_norm)))
        optimizer = optimizers.create(replace(rule, clip_norm=None), None, "float32", self._decays)
        optimizer.apply_gradients(pairs)
        _set_rate(optimizer, step)
        kept = given("step_logits", [-1, *logits.shape])
        write("scatter", {"X": [kept], "Ids": [step], "Updates": [logits]}, {"Out": [kept]}, overwrite=True)
        write("increment", {"X": [step]}, {"Out": [step]}, step=1.0)

    def _gradients(self, batch: int, masked: bool) -> None:
        images = given("input", [batch, *self._image])
        images.stop_gradient = False
        factors = {name: given(f"{name}.mask", [batch, *shape]) for name, (shape, _) in self._dropout.items()}
        width, kind = self._target
        labels = given("target", [batch, width], kind)
        logits, gradients, images_gradient = self._backward(images, labels, factors if masked else None)
        results = {f"{name}.gradient": gradient for name, (_, gradient) in gradients.items()}
        for name, result in {**results, "input.gradient": images_gradient, "logits": logits}.items():
            write("assign", {"X": [result]}, {"Out": [given(name, result.shape)]})

    def _evaluation(self, batch: int) -> None:
        images = given("input", [batch, *self._image])
        logits = self._graph.write(images, self._tensors(), None, train=False)
        write("assign", {"X": [logits]}, {"Out": [given("logits", logits.shape)]})

    def _backward(
        self, images: Any, labels: Any, factors: dict[str, Any] | None
    ) -> tuple[Any, dict[str, tuple[Any, Any]], Any]:
        """The logits, each parameter with its gradient by name, and the gradient of the images if they take one."""
        tensors = self._tensors()
        for name in self._parameters:
            optimizers.mark_exempt(tensors[name], self._spec.optimizer, self._decays)
        logits = self._graph.write(images, tensors, factors, train=True)
        batch, classes = logits.shape
        losses = variable("losses", [batch, 1])
        outputs = {"Loss": [losses], "Softmax": [variable("softmax", [batch, classes])]}
        write("softmax_with_cross_entropy", {"Logits": [logits], "Label": [labels]}, outputs, soft_label=self._smooth)
        share = self._constant(f"share.{batch}", np.full((batch, 1), 1 / batch))
        trained = [tensors[name] for name in self._parameters]
        wanted = trained if images.stop_gradient else [*trained, images]
        gradients = paddle.static.gradients([losses], wanted, target_gradients=[share])
        images_gradient = None if images.stop_gradient else gradients.pop()
        pairs = zip(trained, gradients, strict=True)
        return logits, dict(zip(self._parameters, pairs, strict=True)), images_gradient

    def _tensors(self) -> dict[str, Any]:
        """The program's parameters and buffers, by canonical name; they share the names of the plain network's."""
        return {
            name: paddle.static.create_parameter(entry.tensor.shape, "float32", name=entry.tensor.name)
            if name in self._parameters
            else given(entry.tensor.name, entry.tensor.shape)
            for name, entry in self._entries.items()
        }

    @property
    def _smooth(self) -> bool:
        return self._spec.label_smoothing > 0

    @property
    def _target(self) -> tuple[int, str]:
        """Columns and dtype of what the loss takes for labels: probabilities of classes where labels are smoothed."""
        return (self._spec.architecture.classes, "float32") if self._smooth else (1, "int64")

    def _targets(self, labels: NDArray[np.int64]) -> NDArray[Any]:
        if not self._smooth:
            return labels.reshape(-1, 1)
        classes, smoothing = self._spec.architecture.classes, self._spec.label_smoothing
        return (np.eye(classes)[labels] * (1 - smoothing) + smoothing / classes).astype(np.float32)

    def _set_factors(self, dropout_masks: Masks | None) -> None:
        """What dropout multiplies with, 1 / (1 - p) where a value is kept, else 0, channels last."""
        for name, mask in (dropout_masks or {}).items():
            shape, p = self._dropout[name]
            self._set(f"{name}.mask", np.moveaxis(mask, -len(shape), -1) / np.float32(1 - p))

    def _constant(self, name: str, array: NDArray[Any]) -> Any:
        self._set(name, array.astype(np.float32))
        return given(name, array.shape)

    def _set(self, name: str, array: NDArray[Any]) -> None:
        self._scope.var(name).get_tensor().set(np.asarray(array, order="C"), paddle.CPUPlace())

    def _get(self, name: str) -> NDArray[Any]:
        return np.array(self._scope.find_var(name).get_tensor())


def _last(images: NDArray[Any]) -> NDArray[np.float32]:
    """[N, C, H, W] to float32[N, H, W, C]."""
    return np.moveaxis(images, 1, 3).astype(np.float32, copy=False)


def _set_rate(optimizer: paddle.optimizer.Optimizer, step: Any) -> None:
    """Read the rate of a step from the given rates, in place of the optimizer's own variable."""
    block = paddle.static.default_main_program().global_block()
    rate = block.var(optimizer._global_learning_rate(paddle.static.default_main_program()).name)
    rate.persistable = False
    first = next(index for index, op in enumerate(block.ops) if rate.name in op.input_arg_names)
    inputs = {"X": [given("rates", [-1])], "Index": [step]}
    block._insert_op(first, type="gather", inputs=inputs, outputs={"Out": [rate]}, attrs={"axis": 0})


def _gather(x: Any, index: Any, shape: list[int]) -> Any:
    """Rows of ``x``; ``shape`` is the result's."""
    return append("gather", {"X": [x], "Index": [index]}, shape, x.dtype, axis=0)
