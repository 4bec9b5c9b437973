"""What the MindSpore adapter is measured against: the tutorials' own loop, and the best loop written by hand.

    python tests/benchmarks/mindspore_peers.py tutorial|bare MODEL INPUTS THREADS

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
    """``Model.train`` over a dataset in graph mode, as MindSpore's MNIST tutorials do, with the loss of every step.

    Graph mode, and the instruction set in which this version's convolutions are not a reference kernel (tens of times
    slower), are more than a tutorial says: they are what makes it a loop worth comparing with.
    """
    ms = _import(model, threads)
    ms.set_context(mode=ms.GRAPH_MODE)
    recipe = json.loads((inputs / "recipe.json").read_text())
    network = _network(model, inputs, ms.nn.MaxPool2d)
    optimizer = _optimizer(recipe["optimizer"], network.trainable_params())
    trainer = ms.Model(network, ms.nn.CrossEntropyLoss(), optimizer)
    labels = np.load(inputs / "train_labels.npy").astype(np.int32)
    samples = ms.dataset.NumpySlicesDataset((np.load(inputs / "train_images.npy"), labels), shuffle=True)
    trainer.train(len(np.load(inputs / "order.npy")), samples.batch(recipe["batch_size"]), callbacks=[_clock()])


def bare(model: str, inputs: Path, threads: int) -> None:
    """One graph with the gather inside, update kernels, one-hot labels, threads kept apart.

    For the two models of short steps a graph of eight. Compilation and the first steps come before the first epoch and
    are undone.
    """
    ms = _import(model, threads)
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.device_context.cpu.op_tuning.threads_num(threads)
    recipe = json.loads((inputs / "recipe.json").read_text())
    order = np.load(inputs / "order.npy")
    size = recipe["batch_size"]
    network = _network(model, inputs, _pool)
    network.set_train()
    images = ms.Tensor(np.load(inputs / "train_images.npy"))
    labels = ms.Tensor(np.eye(10, dtype=np.float32)[np.load(inputs / "train_labels.npy")])
    step = _step(network, recipe["optimizer"])
    group = 8 if model in ("mlp", "lenet5") else 1
    together = _together(step)
    state = step.parameters()
    initial = [parameter.asnumpy().copy() for parameter in state]

    def run(epoch: int, steps: int | None = None) -> list[float]:
        starts = range(0, order.shape[1], size)[:steps]
        batches = [ms.Tensor(order[epoch, start : start + size]) for start in starts]
        grouped = order.shape[1] // size // group * group if steps is None and group > 1 else 0
        losses = []
        for first in range(0, grouped, group):
            losses += together(images, labels, *batches[first : first + group])
        losses += [step(images, labels, batch) for batch in batches[grouped:]]
        return [float(loss) for loss in losses]

    run(0, 40)
    run(0, None)
    _keep_apart(threads)
    for parameter, value in zip(state, initial, strict=True):
        parameter.set_data(ms.Tensor(value))
    for epoch in turns(len(order)):
        start = time.perf_counter()
        losses = run(epoch)
        report(time.perf_counter() - start, losses)


def _keep_apart(threads: int) -> None:
    """The thread that runs kernels on the last processor, all that wait for it by spinning on the others."""
    processors = sorted(os.sched_getaffinity(0))[:threads]
    if len(processors) < 2:
        return
    for task in Path("/proc/self/task").iterdir():
        kernels = (task / "comm").read_text().startswith("KernelThread")
        os.sched_setaffinity(int(task.name), processors[-1:] if kernels else processors[:-1])


def _step(network: Any, optimizer: dict[str, dict[str, Any]]) -> Any:
    import mindspore as ms
    from mindspore import nn, ops

    ((kind, options),) = optimizer.items()
    rate = ms.Tensor(options["learning_rate"], ms.float32)
    weights = ms.ParameterTuple(network.trainable_params())

    def constant(name: str) -> Any:
        return ms.Tensor(options[name], ms.float32)

    class Loss(nn.Cell):
        """Mean softmax cross-entropy of one-hot labels."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.network = network
            self.cross_entropy, self.mean = ops.SoftmaxCrossEntropyWithLogits(), ops.ReduceMean()

        def construct(self, images: Any, labels: Any) -> Any:
            losses, _ = self.cross_entropy(self.network(images), labels)
            return self.mean(losses)

    class SGD(nn.Cell):
        """Without momentum."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.slots: list[Any] = []
            self.kernel = ops.ApplyGradientDescent()

        def construct(self, gradients: Any) -> None:
            for i in range(len(weights)):
                self.kernel(weights[i], rate, gradients[i])

    class Momentum(nn.Cell):
        """SGD with momentum."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.slots = [weights.clone("velocity", "zeros")]
            self.velocity, self.momentum = self.slots[0], constant("momentum")
            self.kernel = ops.ApplyMomentum()

        def construct(self, gradients: Any) -> None:
            for i in range(len(weights)):
                self.kernel(weights[i], self.velocity[i], rate, gradients[i], self.momentum)

    class Adam(nn.Cell):
        """The kernel's own rule, its epsilon outside the correction; the powers of beta are kept beside the weights."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.first, self.second = weights.clone("first", "zeros"), weights.clone("second", "zeros")
            self.beta1, self.beta2, self.epsilon = constant("beta1"), constant("beta2"), constant("epsilon")
            self.power1 = ms.Parameter(ms.Tensor(1.0, ms.float32), name="power1")
            self.power2 = ms.Parameter(ms.Tensor(1.0, ms.float32), name="power2")
            self.slots = [self.first, self.second, (self.power1, self.power2)]
            self.kernel = ops.Adam()

        def construct(self, gradients: Any) -> None:
            power1, power2 = self.power1 * self.beta1, self.power2 * self.beta2
            ops.assign(self.power1, power1)
            ops.assign(self.power2, power2)
            moments = self.first, self.second
            for i in range(len(weights)):
                slots = moments[0][i], moments[1][i], power1, power2
                self.kernel(weights[i], *slots, rate, self.beta1, self.beta2, self.epsilon, gradients[i])

    class Adadelta(nn.Cell):
        """The kernel's rule is the canonical one."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.average, self.accumulated = weights.clone("average", "zeros"), weights.clone("accumulated", "zeros")
            self.slots = [self.average, self.accumulated]
            self.rho, self.epsilon = constant("rho"), constant("epsilon")
            self.kernel = ops.ApplyAdadelta()

        def construct(self, gradients: Any) -> None:
            for i in range(len(weights)):
                slots = self.average[i], self.accumulated[i]
                self.kernel(weights[i], *slots, rate, self.rho, self.epsilon, gradients[i])

    class Step(nn.Cell):
        """Gather, forward, backward, update."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            rules = {"adam": Adam, "adadelta": Adadelta, "sgd": Momentum if options.get("momentum") else SGD}
            self.update = rules[kind]()
            self.gradient = ms.value_and_grad(Loss(), None, weights=weights)
            self.gather = ops.Gather()

        def construct(self, images: Any, labels: Any, index: Any) -> Any:
            loss, gradients = self.gradient(self.gather(images, index, 0), self.gather(labels, index, 0))
            self.update(gradients)
            return loss

        def parameters(self) -> list[Any]:
            """Weights and slots."""
            return [*weights, *(slot for slots in self.update.slots for slot in slots)]

    return Step()


def _together(step: Any) -> Any:
    from mindspore import nn

    class Steps(nn.Cell):
        """A step for every index given, in one graph."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.step = step

        def construct(self, images: Any, labels: Any, *indices: Any) -> Any:
            losses = ()
            for i in range(len(indices)):
                losses += (self.step(images, labels, indices[i]),)
            return losses

    return Steps()


def _optimizer(optimizer: dict[str, dict[str, Any]], parameters: Any) -> Any:
    from mindspore import nn

    ((kind, options),) = optimizer.items()
    rate = options["learning_rate"]
    match kind:
        case "sgd":
            return nn.SGD(parameters, rate, options["momentum"])
        case "adam":
            return nn.Adam(parameters, rate, options["beta1"], options["beta2"], options["epsilon"])
        case "adadelta":
            return nn.Adadelta(parameters, rate, options["rho"], options["epsilon"])
        case _:
            raise ValueError(f"no recipe of the five models uses {kind}")


def _pool(kernel: int, stride: int) -> Any:
    """Max pooling that remembers the places of the maxima: backward needs no second search."""
    from mindspore import nn, ops

    class WindowMaximum(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.pool = ops.MaxPoolWithArgmax(kernel, stride, "valid")

        def construct(self, x: Any) -> Any:
            return self.pool(x)[0]

    return WindowMaximum()


def _network(model: str, inputs: Path, pool: Any) -> Any:
    """The ``nn.SequentialCell`` with the initial weights."""
    import mindspore as ms
    from mindspore import nn

    canonical = np.load(inputs / "weights.npz")
    ordinals = {"conv2d": 0, "linear": 0}

    def load(kind: str, make: Any) -> Any:
        ordinals[kind] += 1
        weight, bias = (canonical[f"{kind}_{ordinals[kind]}.{part}"] for part in ("weight", "bias"))
        layer = make(weight)
        layer.weight.set_data(ms.Tensor(weight))
        layer.bias.set_data(ms.Tensor(bias))
        return layer

    layers = []
    for kind, *arguments in NETWORKS[model]:
        match kind:
            case "conv":
                options = {"pad_mode": "pad", "padding": arguments[2], "has_bias": True}
                make = lambda w, o=options: nn.Conv2d(w.shape[1], w.shape[0], w.shape[2], **o)  # noqa: E731
                layers.append(load("conv2d", make))
            case "linear":
                layers.append(load("linear", lambda w: nn.Dense(w.shape[1], w.shape[0])))
            case "pool":
                layers.append(pool(*arguments))
            case "flatten":
                layers.append(nn.Flatten())
            case "relu":
                layers.append(nn.ReLU())
            case "dropout":
                layers.append(nn.Dropout(p=arguments[0]))
    return nn.SequentialCell(layers)


def _clock() -> Any:
    import mindspore as ms

    class Clock(ms.Callback):  # type: ignore[misc]
        """Takes turns, and reports each epoch's seconds and the loss of every step."""

        def on_train_epoch_begin(self, run_context: Any) -> None:
            if not wait():
                raise SystemExit
            self.losses: list[float] = []
            self.start = time.perf_counter()

        def on_train_step_end(self, run_context: Any) -> None:
            self.losses.append(float(run_context.original_args().net_outputs.asnumpy()))

        def on_train_epoch_end(self, run_context: Any) -> None:
            report(time.perf_counter() - self.start, self.losses)

    return Clock()


def _import(model: str, threads: int) -> Any:
    os.environ |= {"OMP_NUM_THREADS": str(threads), "GLOG_v": "3"}
    if model != "mlp":
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    import mindspore as ms

    return ms


if __name__ == "__main__":
    main({"tutorial": tutorial, "bare": bare})
