"""What the JAX adapter is measured against: the tutorials' own loop, and the best loop written by hand.

    python tests/benchmarks/jax_peers.py tutorial|bare MODEL INPUTS THREADS

``turns`` says what INPUTS holds and how epochs are asked for. Nothing of the harness or its adapter is imported here.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from turns import main, report, turns

# The layers of each model: weighted ones take the next weight and bias.
CONV, POOL, LINEAR, RELU, FLATTEN, DROPOUT = "conv", "pool", "linear", "relu", "flatten", "dropout"
LAYERS: dict[str, list[tuple[Any, ...]]] = {
    "mlp": [(FLATTEN,), (LINEAR,), (RELU,), (LINEAR,)],
    "cnn": [*((CONV, 2), (POOL, 2, 2), (RELU,)) * 2, (FLATTEN,), (LINEAR,)],
    "cnn_dropout": [
        *((CONV, 0), (RELU,), (POOL, 2, 2)) * 2,
        *((DROPOUT, 0.25), (FLATTEN,), (LINEAR,), (RELU,), (DROPOUT, 0.5), (LINEAR,)),
    ],
    "lenet5": [
        *((CONV, 2), (RELU,), (POOL, 2, 2), (CONV, 0), (RELU,), (POOL, 2, 2)),
        *((FLATTEN,), (LINEAR,), (RELU,), (LINEAR,), (RELU,), (LINEAR,)),
    ],
    "alexnet": [
        *((CONV, 1), (RELU,), (POOL, 2, 2)) * 2,
        *((CONV, 1), (RELU,)) * 3,
        *((POOL, 3, 2), (FLATTEN,)),
        *((LINEAR,), (RELU,), (DROPOUT, 0.5)) * 2,
        (LINEAR,),
    ],
}


def tutorial(model: str, inputs: Path, threads: int) -> None:
    """A jitted update of a list of parameters, batches from NumPy, float(loss) in every step, as JAX's tutorials do."""
    jax, images, labels, order, recipe, weights = _read(inputs, threads)
    update = jax.jit(_update(model, recipe["optimizer"], _window_pool))
    state = _state(jax, weights)
    for epoch in turns(len(order)):
        losses = []
        start = time.perf_counter()
        for batch in _batches(order[epoch], recipe["batch_size"]):
            state, loss = update(state, images[batch], labels[batch])
            losses.append(float(loss))
        report(time.perf_counter() - start, losses)


def bare(model: str, inputs: Path, threads: int) -> None:
    """Data on the device, pooling by slices before ReLU; without convolutions an epoch in one scan, its state donated.

    The first steps come before the first epoch and are undone.
    """
    jax, images, labels, order, recipe, weights = _read(inputs, threads)
    images, labels = jax.device_put((images, labels))
    update, size = _update(model, recipe["optimizer"], _sliced_pool), recipe["batch_size"]

    def step(state: Any, batch: Any) -> Any:
        return update(state, images[batch], labels[batch])

    one = jax.jit(step)
    many = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches), donate_argnums=0)
    scanned = len(order[0]) // size if not any(layer[0] == CONV for layer in LAYERS[model]) else 0

    def epoch_of(state: Any, samples: Any) -> Any:
        losses = []
        if scanned:
            state, some = many(state, samples[: scanned * size].reshape(scanned, size))
            losses.append(some)
        for batch in _batches(samples[scanned * size :], size):
            state, loss = one(state, batch)
            losses.append(loss)
        return state, np.concatenate([np.ravel(loss) for loss in losses])

    epoch_of(_state(jax, weights), order[0])
    state = _state(jax, weights)
    for epoch in turns(len(order)):
        start = time.perf_counter()
        state, losses = epoch_of(state, order[epoch])
        report(time.perf_counter() - start, losses.tolist())


def _update(model: str, optimizer: dict[str, dict[str, Any]], pool: Callable[..., Any]) -> Callable[..., Any]:
    """A step as a pure function: (weights, slots, count, key), images, labels to the state after it and the loss."""
    import jax
    import jax.numpy as jnp

    layers = LAYERS[model]
    if pool is _sliced_pool:  # ReLU behind max pooling, where there is less of it: the two commute
        layers = [*layers]
        for k in range(len(layers) - 1):
            if layers[k][0] == RELU and layers[k + 1][0] == POOL:
                layers[k : k + 2] = layers[k + 1], layers[k]

    def loss_of(weights: Any, images: Any, labels: Any, key: Any) -> Any:
        x, own = images, iter(weights)
        for place, (layer, *options) in enumerate(layers):
            x = _apply(layer, options, x, own, jax.random.fold_in(key, place), pool)
        return -jax.nn.log_softmax(x)[jnp.arange(len(labels)), labels].mean()

    def update(state: Any, images: Any, labels: Any) -> Any:
        weights, slots, count, key = state
        key, own = jax.random.split(key)
        loss, gradients = jax.value_and_grad(loss_of)(weights, images, labels, own)
        moved = [_moved(optimizer, *three, count + 1) for three in zip(weights, gradients, slots, strict=True)]
        return ([w for w, _ in moved], [s for _, s in moved], count + 1, key), loss

    return update


def _apply(layer: str, options: list[Any], x: Any, own: Any, key: Any, pool: Callable[..., Any]) -> Any:
    import jax
    from jax import lax

    match layer:
        case "conv":
            dimensions = ("NHWC", "HWIO", "NHWC")
            return lax.conv_general_dilated(x, next(own), (1, 1), [options * 2] * 2, None, None, dimensions) + next(own)
        case "linear":
            return x @ next(own) + next(own)
        case "pool":
            return pool(x, *options)
        case "relu":
            return jax.nn.relu(x)
        case "flatten":
            return x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        case _:
            (p,) = options
            return x * jax.random.bernoulli(key, 1 - p, x.shape) / (1 - p)


def _window_pool(x: Any, size: int, stride: int) -> Any:
    from jax import lax

    return lax.reduce_window(x, -np.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), "VALID")


def _sliced_pool(x: Any, size: int, stride: int) -> Any:
    import jax.numpy as jnp

    extent = (x.shape[1] - size) // stride * stride + 1
    largest = None
    for i in range(size):
        for j in range(size):
            cell = x[:, i : i + extent : stride, j : j + extent : stride]
            largest = cell if largest is None else jnp.where(largest >= cell, largest, cell)
    return largest


def _moved(optimizer: dict[str, dict[str, Any]], w: Any, g: Any, slots: Any, count: Any) -> Any:
    import jax.numpy as jnp

    ((kind, options),) = optimizer.items()
    rate, (first, second) = options["learning_rate"], slots
    match kind:
        case "sgd":
            v = options["momentum"] * first + g
            return w - rate * (g + options["momentum"] * v if options["nesterov"] else v), (v, second)
        case "adam":
            b1, b2 = options["beta1"], options["beta2"]
            m, s = b1 * first + (1 - b1) * g, b2 * second + (1 - b2) * g * g
            return w - rate * (m / (1 - b1**count)) / (jnp.sqrt(s / (1 - b2**count)) + options["epsilon"]), (m, s)
        case "adadelta":
            rho, epsilon = options["rho"], options["epsilon"]
            a = rho * first + (1 - rho) * g * g
            d = jnp.sqrt(second + epsilon) / jnp.sqrt(a + epsilon) * g
            return w - rate * d, (a, rho * second + (1 - rho) * d * d)
        case _:
            raise ValueError(f"no recipe of the five models uses {kind}")


def _state(jax: Any, weights: list[Any]) -> Any:
    import jax.numpy as jnp

    slots = [(jnp.zeros_like(w), jnp.zeros_like(w)) for w in weights]
    return [jnp.array(w) for w in weights], slots, jnp.zeros(()), jax.random.key(0)


def _batches(samples: Any, size: int) -> list[Any]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def _read(inputs: Path, threads: int) -> Any:
    """JAX, images [N, 28, 28, 1], labels, order, recipe, and weight and bias of every layer in JAX's layouts."""
    os.environ["PJRT_NPROC"] = str(threads)  # read when JAX makes its first array
    import jax

    images = np.load(inputs / "train_images.npy").reshape(-1, 28, 28, 1)
    labels, order = np.load(inputs / "train_labels.npy"), np.load(inputs / "order.npy")
    with np.load(inputs / "weights.npz") as arrays:
        layers = sorted({name.partition(".")[0] for name in arrays.files})  # conv2d_1, ..., linear_1, ...
        weights = []
        for layer in layers:
            weight = arrays[f"{layer}.weight"]
            weights += [weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T, arrays[f"{layer}.bias"]]
    return jax, images, labels, order, json.loads((inputs / "recipe.json").read_text()), weights


if __name__ == "__main__":
    main({"tutorial": tutorial, "bare": bare})
