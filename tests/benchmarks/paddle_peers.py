"""What the Paddle adapter is measured against: the tutorials' own loop, and the best loop written by hand.

    python tests/benchmarks/paddle_peers.py tutorial|bare MODEL INPUTS THREADS

``turns`` says what INPUTS holds and how epochs are asked for. Nothing of the harness or its adapter is imported here.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from turns import main, report, turns, wait

# A layer and its arguments: convolution (channels, kernel, padding), max pooling (kernel, stride), linear (features).
NETWORKS: dict[str, list[tuple[Any, ...]]] = {
    "mlp": [("flatten",), ("linear", 256), ("relu",), ("linear", 10)],
    "cnn": [
        *[("conv", 32, 5, 2), ("pool", 2, 2), ("relu",), ("conv", 64, 5, 2), ("pool", 2, 2), ("relu",)],
        *[("flatten",), ("linear", 10)],
    ],
    "cnn_dropout": [
        *[("conv", 32, 3, 0), ("relu",), ("pool", 2, 2), ("conv", 64, 3, 0), ("relu",), ("pool", 2, 2)],
        *[("dropout", 0.25), ("flatten",), ("linear", 128), ("relu",), ("dropout", 0.5), ("linear", 10)],
    ],
    "lenet5": [
        *[("conv", 6, 5, 2), ("relu",), ("pool", 2, 2), ("conv", 16, 5, 0), ("relu",), ("pool", 2, 2)],
        *[("flatten",), ("linear", 120), ("relu",), ("linear", 84), ("relu",), ("linear", 10)],
    ],
    "alexnet": [
        *[("conv", 32, 3, 1), ("relu",), ("pool", 2, 2), ("conv", 64, 3, 1), ("relu",), ("pool", 2, 2)],
        *[("conv", 128, 3, 1), ("relu",), ("conv", 256, 3, 1), ("relu",), ("conv", 256, 3, 1), ("relu",)],
        *[("pool", 3, 2), ("flatten",), ("linear", 1024), ("relu",), ("dropout", 0.5)],
        *[("linear", 512), ("relu",), ("dropout", 0.5), ("linear", 10)],
    ],
}


def tutorial(model: str, inputs: Path, threads: int) -> None:
    """``Model.prepare`` and ``Model.fit`` over a ``Dataset``, as Paddle's MNIST tutorial does; a loss per step."""
    paddle = _import(threads)
    recipe = json.loads((inputs / "recipe.json").read_text())
    network = _network(model, inputs)
    trainer = paddle.Model(network)
    optimizer = _optimizer(recipe["optimizer"], network.parameters())
    trainer.prepare(optimizer, paddle.nn.CrossEntropyLoss(), paddle.metric.Accuracy())
    dataset = _dataset(np.load(inputs / "train_images.npy"), np.load(inputs / "train_labels.npy"))
    epochs = len(np.load(inputs / "order.npy"))
    trainer.fit(dataset, epochs=epochs, batch_size=recipe["batch_size"], verbose=0, callbacks=[_clock()])


def bare(model: str, inputs: Path, threads: int) -> None:
    """The older static graph on oneDNN kernels, run step by step from C++, everything it needs in its scope.

    Building and the first steps come before the first epoch and are undone.
    """
    flags = {"enable_pir_api": "0", "new_executor_serial_run": "1", "eager_delete_tensor_gb": "-1"}
    os.environ |= {f"FLAGS_{flag}": value for flag, value in flags.items()}
    paddle = _import(threads)
    paddle.enable_static()
    recipe = json.loads((inputs / "recipe.json").read_text())
    order = np.load(inputs / "order.npy").astype(np.int64)
    size = recipe["batch_size"]
    full = order.shape[1] // size * size
    scope, place = paddle.static.global_scope(), paddle.CPUPlace()

    def put(name: str, array: Any) -> None:
        scope.var(name).get_tensor().set(np.asarray(array, order="C"), place)

    def get(name: str) -> Any:
        return np.array(scope.find_var(name).get_tensor())

    put("images", np.load(inputs / "train_images.npy").reshape(-1, 28, 28, 1))
    put("labels", np.load(inputs / "train_labels.npy").reshape(-1, 1))
    steps = {}
    for width in {size, order.shape[1] - full} - {0}:
        program, startup = _program(model, recipe["optimizer"], width)
        paddle.static.Executor(place).run(startup)
        put(f"ones.{width}", np.ones(width, np.float32))
        put(f"share.{width}", np.full((width, 1), 1 / width, np.float32))
        steps[width] = (program, *_executor(program, scope, place))

    def run(batches: Any) -> Any:
        put("order", batches)
        put("losses", np.zeros(len(batches), np.float32))
        put("step", np.zeros((), np.int64))
        *_, executor = steps[batches.shape[1]]
        for _ in range(len(batches)):
            executor.run([], False)
        return get("losses")

    state = [v.name for v in steps[size][0].list_vars() if v.persistable and scope.find_var(v.name) is not None]
    initial = {name: get(name) for name in state if name not in ("images", "labels", "order", "losses", "step")}
    initial |= {name: w.T if w.ndim == 2 else w for name, w in np.load(inputs / "weights.npz").items()}
    for width in steps:
        run(order[0, : 2 * width].reshape(-1, width))
    for name, array in initial.items():
        put(name, array)

    for epoch in turns(len(order)):
        start = time.perf_counter()
        losses = run(order[epoch, :full].reshape(-1, size))
        if full < order.shape[1]:
            losses = np.append(losses, run(order[epoch, None, full:]))
        report(time.perf_counter() - start, losses.tolist())


def _program(model: str, optimizer: dict[str, Any], batch: int) -> Any:
    """One training step as a program, and the one that initialises its parameters."""
    import paddle

    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(program, startup), paddle.utils.unique_name.guard():
        block = program.global_block()

        def given(name: str, shape: list[int], dtype: str) -> Any:
            variable = block.create_var(name=name, shape=shape, dtype=dtype, persistable=True)
            variable.stop_gradient = True
            return variable

        def op(kind: str, inputs: dict[str, Any], shape: Any, dtype: str = "float32", **attrs: Any) -> Any:
            out = block.create_var(name=paddle.utils.unique_name.generate(kind), shape=list(shape), dtype=dtype)
            tensors = {slot: [tensor] for slot, tensor in inputs.items()}
            out.stop_gradient = all(tensor.stop_gradient for tensor in inputs.values())
            block.append_op(type=kind, inputs=tensors, outputs={"Out": [out]}, attrs=attrs)
            return out

        step = given("step", [], "int64")
        row = op("gather", {"X": given("order", [-1, batch], "int64"), "Index": step}, [batch], "int64", axis=0)
        images = {"X": given("images", [-1, 28, 28, 1], "float32"), "Index": row}
        x = op("gather", images, [batch, 28, 28, 1], axis=0)
        labels = op("gather", {"X": given("labels", [-1, 1], "int64"), "Index": row}, [batch, 1], "int64", axis=0)
        logits, parameters = _logits(model, x, op)
        loss, softmax = (block.create_var(name=name, shape=[batch, 10], dtype="float32") for name in ("loss", "p"))
        inputs, outputs = {"Logits": [logits], "Label": [labels]}, {"Loss": [loss], "Softmax": [softmax]}
        block.append_op(type="softmax_with_cross_entropy", inputs=inputs, outputs=outputs)
        share = given(f"share.{batch}", [batch, 1], "float32")
        gradients = paddle.static.gradients([loss], parameters, target_gradients=[share])
        _optimizer(optimizer, None).apply_gradients(list(zip(parameters, gradients, strict=True)))
        losses = given("losses", [-1], "float32")
        inputs = {"X": [losses], "Ids": [step], "Updates": [op("reduce_mean", {"X": loss}, [], reduce_all=True)]}
        block.append_op(type="scatter", inputs=inputs, outputs={"Out": [losses]}, attrs={"overwrite": True})
        block.append_op(type="increment", inputs={"X": [step]}, outputs={"Out": [step]}, attrs={"step": 1.0})
        given(f"ones.{batch}", [batch], "float32")
        _tune(block, f"ones.{batch}")
    return program, startup


def _logits(model: str, x: Any, op: Any) -> tuple[Any, list[Any]]:
    """Images in NHWC to logits; max pooling goes ahead of the bias and ReLU before it, with which it commutes."""
    import paddle

    functional, parameters = paddle.nn.functional, []
    ordinals = {"conv2d": 0, "linear": 0}

    def parameter(kind: str, part: str, shape: list[int]) -> Any:
        name = f"{kind}_{ordinals[kind]}.{part}"
        parameters.append(paddle.static.create_parameter(shape, "float32", name=name))
        return parameters[-1]

    layers = list(NETWORKS[model])
    for index in range(len(layers) - 1):
        if layers[index][0] == "relu" and layers[index + 1][0] == "pool":
            layers[index : index + 2] = reversed(layers[index : index + 2])
    bias = None
    for (kind, *arguments), following in zip(layers, [*layers[1:], ("end",)], strict=True):
        match kind:
            case "conv":
                channels, kernel, padding = arguments
                ordinals["conv2d"] += 1
                weight = parameter("conv2d", "weight", [channels, x.shape[3], kernel, kernel])
                bias = parameter("conv2d", "bias", [channels])
                x = functional.conv2d(x, weight, padding=padding, data_format="NHWC")
            case "pool":
                x = functional.max_pool2d(x, arguments[0], arguments[1], data_format="NHWC")
            case "linear":
                ordinals["linear"] += 1
                weight = parameter("linear", "weight", [x.shape[1], arguments[0]])
                bias = parameter("linear", "bias", [arguments[0]])
                x = op("matmul_v2", {"X": x, "Y": weight}, [x.shape[0], arguments[0]])
            case "flatten":
                x = paddle.flatten(paddle.transpose(x, [0, 3, 1, 2]), 1)
            case "relu":
                x = functional.relu(x)
            case "dropout":
                x = functional.dropout(x, arguments[0])
        if bias is not None and following[0] != "pool":
            x, bias = op("elementwise_add", {"X": x, "Y": bias}, x.shape, axis=-1), None
    return x, parameters


def _tune(block: Any, ones: str) -> None:
    """oneDNN kernels for convolution and pooling, bias gradients as sums, linear layers in one operation."""

    def ops(*kinds: str) -> list[Any]:
        return [op for op in block.ops if op.type in kinds]

    def readers(name: str) -> list[Any]:
        return [op for op in block.ops if name in op.input_arg_names]

    def after(op: Any, kind: str, inputs: dict[str, Any], outputs: dict[str, Any], **attrs: Any) -> None:
        block._insert_op(block.ops.index(op) + 1, type=kind, inputs=inputs, outputs=outputs, attrs=attrs)

    def variable(name: str, shape: Any) -> str:
        return str(block.create_var(name=name, shape=list(shape), dtype="float32").name)

    for op in ops("elementwise_add_grad"):
        (arriving,), bias = op.input("Out@GRAD"), {"Out": op.output("Y@GRAD")}
        if len(block.var(arriving).shape) == 4:
            after(op, "reduce_sum", {"X": [arriving]}, bias, dim=[0, 1, 2], keep_dim=False, reduce_all=False, op_role=1)
        else:
            after(op, "matmul_v2", {"X": [ones], "Y": [arriving]}, bias, trans_x=False, trans_y=False, op_role=1)
        for leaving in op.output("X@GRAD"):
            for reader in readers(leaving):
                reader._rename_input(leaving, arriving)
        block._remove_op(block.ops.index(op))
    for product in ops("matmul_v2"):
        if product.input("X") == [ones]:
            continue
        (add,) = (op for op in readers(product.output("Out")[0]) if op.type == "elementwise_add")
        relus = [op for op in readers(add.output("Out")[0]) if op.type == "relu"]
        inputs = {"Input": product.input("X"), "W": product.input("Y"), "Bias": add.input("Y")}
        outputs = {"Out": (relus or [add])[0].output("Out")}
        after(add, "fc", inputs, outputs, in_num_col_dims=1, activation_type="relu" if relus else "")
        for op in (product, add, *relus):
            block._remove_op(block.ops.index(op))
    for op in ops("conv2d", "conv2d_grad", "pool2d", "pool2d_grad"):
        op._set_attr("use_mkldnn", True)
    for op in ops("conv2d", "conv2d_grad"):
        for name in op.output("Output" if op.type == "conv2d" else "Input@GRAD"):
            op._rename_output(name, variable(f"{name}.blocked", block.var(name).shape))
            after(op, "share_data", {"X": [f"{name}.blocked"]}, {"Out": [name]}, op_role=op.attr("op_role"))
    for op in ops("conv2d_grad"):
        (name,) = op.output("Filter@GRAD")  # comes back in O, H, W, I order
        o, i, h, w = block.var(name).shape
        op._rename_output(name, variable(f"{name}.ohwi", (o, h, w, i)))
        outputs = {"Out": [name], "XShape": [variable(f"{name}.shape", (0, o, h, w, i))]}
        after(op, "transpose2", {"X": [f"{name}.ohwi"]}, outputs, axis=[0, 3, 1, 2], op_role=1)


def _executor(program: Any, scope: Any, place: Any) -> tuple[Any, Any]:
    """What runs a program without feeding and fetching, and the plan that it refers to."""
    from paddle.base import core

    where = core.Place()
    where.set_place(place)
    plan = core.Plan([core.Job("default")], {"default": program.desc})
    return plan, core.StandaloneExecutor(where, plan, scope)


def _optimizer(optimizer: dict[str, dict[str, Any]], parameters: Any) -> Any:
    import paddle

    ((kind, options),) = optimizer.items()
    rate = options["learning_rate"]
    match kind:
        case "sgd" if not options["momentum"]:
            return paddle.optimizer.SGD(rate, parameters)
        case "sgd":
            return paddle.optimizer.Momentum(rate, options["momentum"], parameters, use_nesterov=options["nesterov"])
        case "adam":
            return paddle.optimizer.Adam(rate, options["beta1"], options["beta2"], options["epsilon"], parameters)
        case "adadelta":
            return paddle.optimizer.Adadelta(rate, options["epsilon"], options["rho"], parameters)
        case _:
            raise ValueError(f"no recipe of the five models uses {kind}")


def _network(model: str, inputs: Path) -> Any:
    """The ``paddle.nn.Sequential`` with the initial weights."""
    from paddle import nn

    canonical = np.load(inputs / "weights.npz")
    ordinals = {"conv2d": 0, "linear": 0}

    def load(kind: str, make: Any) -> Any:
        ordinals[kind] += 1
        weight, bias = (canonical[f"{kind}_{ordinals[kind]}.{part}"] for part in ("weight", "bias"))
        weight = np.ascontiguousarray(weight.T if kind == "linear" else weight)
        layer = make(weight)
        layer.weight.set_value(weight)
        layer.bias.set_value(bias)
        return layer

    layers = []
    for kind, *arguments in NETWORKS[model]:
        match kind:
            case "conv":
                _, kernel, padding = arguments
                make = lambda w, k=kernel, p=padding: nn.Conv2D(w.shape[1], w.shape[0], k, padding=p)  # noqa: E731
                layers.append(load("conv2d", make))
            case "linear":
                layers.append(load("linear", lambda w: nn.Linear(*w.shape)))
            case "pool":
                layers.append(nn.MaxPool2D(*arguments))
            case "flatten":
                layers.append(nn.Flatten())
            case "relu":
                layers.append(nn.ReLU())
            case "dropout":
                layers.append(nn.Dropout(*arguments))
    return nn.Sequential(*layers)


def _dataset(images: Any, labels: Any) -> Any:
    import paddle

    class Digits(paddle.io.Dataset):  # type: ignore[misc]
        """An image and its label by index."""

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            return images[index], labels[index : index + 1]

        def __len__(self) -> int:
            return len(images)

    return Digits()


def _clock() -> Any:
    import paddle

    class Clock(paddle.callbacks.Callback):  # type: ignore[misc]
        """Takes turns, and reports each epoch's seconds and the loss of every step."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if not wait():
                raise SystemExit
            self.losses: list[float] = []
            self.start = time.perf_counter()

        def on_train_batch_end(self, step: int, logs: Any = None) -> None:
            self.losses.append(float(np.ravel(logs["loss"])[0]))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            report(time.perf_counter() - self.start, self.losses)

    return Clock()


def _import(threads: int) -> Any:
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    import paddle

    return paddle


if __name__ == "__main__":
    main({"tutorial": tutorial, "bare": bare})
