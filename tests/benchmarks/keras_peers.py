"""What the Keras adapter is measured against: the tutorials' own loop, and the best loop written by hand.

    python tests/benchmarks/keras_peers.py tutorial|bare MODEL INPUTS THREADS

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


def tutorial(model: str, inputs: Path, threads: int) -> None:
    """``compile`` and ``fit``, as Keras's MNIST tutorials do; one loss per epoch, its running mean.

    The first epoch's seconds include tracing.
    """
    keras, _ = _import(threads)
    recipe = json.loads((inputs / "recipe.json").read_text())
    network = _network(model, inputs)
    network.compile(
        optimizer=_optimizer(recipe["optimizer"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    x = np.load(inputs / "train_images.npy").reshape(-1, 28, 28, 1)
    y = np.load(inputs / "train_labels.npy")
    epochs = len(np.load(inputs / "order.npy"))
    network.fit(x, y, batch_size=recipe["batch_size"], epochs=epochs, verbose=0, callbacks=[_clock()])


def bare(model: str, inputs: Path, threads: int) -> None:
    """An epoch in one graph: gathered from data placed once, Keras layers, TensorFlow's optimizer kernels.

    Tracing and the first steps come before the first epoch and are undone.
    """
    _, tf = _import(threads)
    recipe = json.loads((inputs / "recipe.json").read_text())
    network = _network(model, inputs)
    weights = [variable.value for variable in network.trainable_variables]
    slots = [[tf.Variable(tf.zeros_like(w)) for _ in range(2)] for w in weights]
    step_count = tf.Variable(0.0)
    images = tf.constant(np.load(inputs / "train_images.npy").reshape(-1, 28, 28, 1))
    labels = tf.constant(np.load(inputs / "train_labels.npy"))
    order = np.load(inputs / "order.npy").astype(np.int64)

    def step(indices: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = network(tf.gather(images, indices), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, indices), logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, weights)
        step_count.assign_add(1.0)
        for w, g, s in zip(weights, gradients, slots, strict=True):
            _apply(tf, recipe["optimizer"], w, g, s, step_count)
        return loss

    def run(batches: Any) -> Any:
        count = tf.shape(batches)[0]

        def body(k: Any, losses: Any) -> Any:
            return k + 1, losses.write(k, step(batches[k]))

        start = (0, tf.TensorArray(tf.float32, count))
        return tf.while_loop(lambda k, _: k < count, body, start, parallel_iterations=1)[1].stack()

    size = recipe["batch_size"]
    full = order.shape[1] // size * size
    signatures = {width: [tf.TensorSpec([None, width], tf.int64)] for width in {size, order.shape[1] - full} - {0}}
    graphs = {
        width: tf.function(run, autograph=False).get_concrete_function(*signature)
        for width, signature in signatures.items()
    }

    initial = [w.numpy() for w in weights]
    for width, graph in graphs.items():
        graph(tf.constant(order[0, : 2 * width].reshape(-1, width)))
    for w, value, s in zip(weights, initial, slots, strict=True):
        w.assign(value)
        for slot in s:
            slot.assign(tf.zeros_like(slot))
    step_count.assign(0.0)

    for epoch in turns(len(order)):
        start = time.perf_counter()
        losses = graphs[size](tf.constant(order[epoch, :full].reshape(-1, size))).numpy()
        if full < order.shape[1]:
            losses = np.append(losses, graphs[order.shape[1] - full](tf.constant(order[epoch, None, full:])).numpy())
        report(time.perf_counter() - start, losses.tolist())


def _apply(tf: Any, optimizer: dict[str, dict[str, Any]], w: Any, g: Any, slots: list[Any], step: Any) -> None:
    ((kind, options),) = optimizer.items()
    rate = options["learning_rate"]
    if kind == "sgd" and not options["momentum"]:
        tf.raw_ops.ResourceApplyGradientDescent(var=w.handle, alpha=rate, delta=g)
    elif kind == "sgd":
        tf.raw_ops.ResourceApplyMomentum(
            var=w.handle, accum=slots[0].handle, lr=rate, grad=g, momentum=options["momentum"]
        )
    elif kind == "adam":
        tf.raw_ops.ResourceApplyAdam(
            var=w.handle,
            m=slots[0].handle,
            v=slots[1].handle,
            beta1_power=options["beta1"] ** step,
            beta2_power=options["beta2"] ** step,
            lr=rate,
            beta1=options["beta1"],
            beta2=options["beta2"],
            epsilon=options["epsilon"],
            grad=g,
        )
    elif kind == "adadelta":
        tf.raw_ops.ResourceApplyAdadelta(
            var=w.handle,
            accum=slots[0].handle,
            accum_update=slots[1].handle,
            lr=rate,
            rho=options["rho"],
            epsilon=options["epsilon"],
            grad=g,
        )
    else:
        raise ValueError(f"no recipe of the five models uses {kind}")


def _optimizer(optimizer: dict[str, dict[str, Any]]) -> Any:
    import keras

    ((kind, options),) = optimizer.items()
    rate = options["learning_rate"]
    match kind:
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=options["momentum"], nesterov=options["nesterov"])
        case "adam":
            return keras.optimizers.Adam(rate, options["beta1"], options["beta2"], options["epsilon"])
        case "adadelta":
            return keras.optimizers.Adadelta(rate, options["rho"], options["epsilon"])
        case _:
            raise ValueError(f"no recipe of the five models uses {kind}")


def _network(model: str, inputs: Path) -> Any:
    """The Keras model with the initial weights; channels last, so the rows after a flatten are permuted."""
    import keras

    layers = keras.layers
    stacks: dict[str, list[Any]] = {
        "mlp": [layers.Flatten(), layers.Dense(256, "relu"), layers.Dense(10)],
        "cnn": [
            layers.Conv2D(32, 5, padding="same"),
            layers.MaxPooling2D(),
            layers.ReLU(),
            layers.Conv2D(64, 5, padding="same"),
            layers.MaxPooling2D(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10),
        ],
        "cnn_dropout": [
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, "relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ],
        "lenet5": [
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, "relu"),
            layers.Dense(84, "relu"),
            layers.Dense(10),
        ],
        "alexnet": [
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.Conv2D(256, 3, padding="same", activation="relu"),
            layers.Conv2D(256, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(3, 2),
            layers.Flatten(),
            layers.Dense(1024, "relu"),
            layers.Dropout(0.5),
            layers.Dense(512, "relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ],
    }
    network = keras.Sequential([keras.Input((28, 28, 1)), *stacks[model]])
    canonical = np.load(inputs / "weights.npz")
    ordinals = {"conv2d": 0, "linear": 0}
    image: tuple[int, ...] = ()
    for layer in network.layers:
        if isinstance(layer, layers.Flatten):
            image = layer.input.shape[1:]
        kind = {"Conv2D": "conv2d", "Dense": "linear"}.get(type(layer).__name__)
        if kind is None:
            continue
        ordinals[kind] += 1
        kernel, bias = (canonical[f"{kind}_{ordinals[kind]}.{part}"] for part in ("weight", "bias"))
        if kind == "conv2d":
            kernel = kernel.transpose(2, 3, 1, 0)
        else:
            kernel = kernel.T
            if ordinals[kind] == 1:
                height, width, channels = image
                kernel = kernel.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(kernel.shape)
        layer.set_weights([kernel, bias])
    return network


def _clock() -> Any:
    import keras

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        """Takes turns, and reports each epoch's seconds and its running mean loss."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if not wait():
                raise SystemExit
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            report(time.perf_counter() - self.start, [logs["loss"]])

    return Clock()


def _import(threads: int) -> Any:
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras

    return keras, tf


if __name__ == "__main__":
    main({"tutorial": tutorial, "bare": bare})
