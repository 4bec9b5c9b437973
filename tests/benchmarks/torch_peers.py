"""What the PyTorch adapter is measured against: the tutorials' own loop, and the best loop written by hand.

    python tests/benchmarks/torch_peers.py tutorial|bare MODEL INPUTS THREADS

``turns`` says what INPUTS holds and how epochs are asked for. Nothing of the harness or its adapter is imported here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from turns import main, report, turns


def tutorial(model: str, inputs: Path, threads: int) -> None:
    """Dataset, DataLoader, nn.Sequential, torch.optim and loss.item() in every step, as PyTorch's tutorials do."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images, labels, order, recipe, weights = _read(inputs)
    network = _network(model)
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), weights, strict=True):
            parameter.copy_(value)
    optimizer = _optimizer(recipe["optimizer"], network)
    loss_function = nn.CrossEntropyLoss()
    dataset = TensorDataset(images, labels)
    for epoch in turns(len(order)):
        loader = DataLoader(dataset, batch_size=recipe["batch_size"], sampler=order[epoch].tolist())
        losses = []
        start = time.perf_counter()
        for x, y in loader:
            loss = loss_function(network(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        report(time.perf_counter() - start, losses)


def bare(model: str, inputs: Path, threads: int) -> None:
    """Backward passes by hand, convolutions in oneDNN's layout, fused updates, losses read once an epoch.

    The first step of each batch size comes before the first epoch and is undone.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images, labels, order, recipe, weights = _read(inputs)
    layers, update, size = LAYERS[model], _update(recipe["optimizer"], weights), recipe["batch_size"]
    buffers = {n: (torch.empty(n, 1, 28, 28), torch.empty(n, dtype=torch.int64)) for n in (size, len(images) % size)}

    def step(batch: Tensor) -> Tensor:
        x, y = buffers[len(batch)]
        torch.index_select(images, 0, batch, out=x)
        torch.index_select(labels, 0, batch, out=y)
        backward, first = [], True
        parameters = iter(weights)
        for layer, *options in layers:
            weighted = layer in (convolution, linear)
            x, back = layer(x, *([next(parameters), next(parameters), first] if weighted else []), *options)
            first = first and not weighted
            backward.append(back)
        log_p = torch.log_softmax(x, 1)
        loss, count = aten.nll_loss_forward(log_p, y, None, 1, -100)
        g = aten.nll_loss_backward(torch.ones_like(loss), log_p, y, None, 1, -100, count)
        g = aten._log_softmax_backward_data(g, log_p, 1, torch.float32)
        gradients: list[Tensor] = []
        for back in reversed(backward):
            g, *of_parameters = back(g)
            gradients[:0] = of_parameters
            if g is None:
                break
        update(gradients)
        return loss

    with torch.inference_mode():
        order = [[batch.long() for batch in torch.from_numpy(epoch).split(size)] for epoch in order]
        initial = [weight.clone() for weight in weights]
        for batch in (order[0][0], order[0][-1]):
            step(batch)
        for weight, value in zip(weights, initial, strict=True):
            weight.copy_(value)
        update = _update(recipe["optimizer"], weights)
        for epoch in turns(len(order)):
            start = time.perf_counter()
            losses = torch.stack([step(batch) for batch in order[epoch]]).tolist()
            report(time.perf_counter() - start, losses)


# What follows gives a layer's output and its backward pass: the gradient of the output, which may be overwritten, to
# that of the input (None if it is the first layer with weights) and those of the parameters.

aten: Any = torch.ops.aten


def convolution(x: Tensor, w: Tensor, b: Tensor, first: bool, padding: int) -> Any:
    def backward(g: Tensor) -> Any:
        pads, one = (padding, padding), (1, 1)
        dx, dw, db = aten.convolution_backward(
            g, x, w, [len(w)], one, pads, one, False, (0, 0), 1, (not first, True, True)
        )
        return None if first else dx, dw, db

    return torch.conv2d(x, w, b, padding=padding), backward


def linear(x: Tensor, w: Tensor, b: Tensor, first: bool) -> Any:
    def backward(g: Tensor) -> Any:
        return None if first else g.mm(w), g.t().mm(x), g.sum(0)

    return torch.addmm(b, x, w.t()), backward


def relu(x: Tensor) -> Any:
    y = x.relu_()
    if x.is_mkldnn:
        return y, lambda g: (aten.threshold_backward(g, y, 0),)
    return y, lambda g: (aten.threshold_backward.grad_input(g, y, 0, grad_input=g),)


def pool(x: Tensor, size: int, stride: int) -> Any:
    """In oneDNN's layout the output remembers the places of the maxima, though only in grad mode."""
    options = ((size, size), (stride, stride), (0, 0), (1, 1), False)
    with torch.enable_grad():
        y = torch.mkldnn_max_pool2d(x.requires_grad_(), *options).detach()
    return y, lambda g: (aten.mkldnn_max_pool2d_backward(g, y, x, *options),)


def dropout(x: Tensor, p: float) -> Any:
    """One random byte per element decides: exact for the p of the five models."""
    draws = torch.empty(x.numel() // 8, dtype=torch.int64).random_(-(2**63), None).view(torch.int8).view(x.shape)
    factors = torch.ge(draws, int(256 * p) - 128, out=torch.empty_like(x)).div_(1 - p)
    return x * factors, lambda g: (g.mul_(factors),)


def flatten(x: Tensor) -> Any:
    return x.flatten(1), lambda g: (g.view(x.shape),)


def blocked(x: Tensor) -> Any:
    return x.to_mkldnn(), lambda g: (g.to_dense(),)


def dense(x: Tensor) -> Any:
    return x.to_dense(), lambda g: (g.to_mkldnn(),)


# ReLU after max pooling, where there is less of it: the two commute.
LAYERS: dict[str, list[tuple[Any, ...]]] = {
    "mlp": [(flatten,), (linear,), (relu,), (linear,)],
    "cnn": [
        *((blocked,), (convolution, 2), (pool, 2, 2), (relu,), (convolution, 2), (pool, 2, 2), (relu,), (dense,)),
        *((flatten,), (linear,)),
    ],
    "cnn_dropout": [
        *((blocked,), (convolution, 0), (pool, 2, 2), (relu,), (convolution, 0), (pool, 2, 2), (relu,), (dense,)),
        *((dropout, 0.25), (flatten,), (linear,), (relu,), (dropout, 0.5), (linear,)),
    ],
    "lenet5": [
        *((blocked,), (convolution, 2), (pool, 2, 2), (relu,), (convolution, 0), (pool, 2, 2), (relu,), (dense,)),
        *((flatten,), (linear,), (relu,), (linear,), (relu,), (linear,)),
    ],
    "alexnet": [
        *((blocked,), (convolution, 1), (pool, 2, 2), (relu,), (convolution, 1), (pool, 2, 2), (relu,)),
        *((convolution, 1), (relu,), (convolution, 1), (relu,), (convolution, 1), (pool, 3, 2), (relu,), (dense,)),
        *((flatten,), (linear,), (relu,), (dropout, 0.5), (linear,), (relu,), (dropout, 0.5), (linear,)),
    ],
}


def _update(optimizer: dict[str, dict[str, Any]], weights: list[Tensor]) -> Callable[[list[Tensor]], None]:
    ((kind, options),) = optimizer.items()
    rate = options["learning_rate"]
    slots = [[torch.zeros_like(weight) for weight in weights] for _ in range(2)]
    steps = [torch.zeros(()) for _ in weights]

    def sgd(gradients: list[Tensor]) -> None:
        torch._fused_sgd_(
            weights,
            gradients,
            slots[0] if options["momentum"] else [],
            weight_decay=0.0,
            momentum=options["momentum"],
            lr=rate,
            dampening=0.0,
            nesterov=options["nesterov"],
            maximize=False,
            is_first_step=False,
        )

    def adam(gradients: list[Tensor]) -> None:
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            weights,
            gradients,
            *slots,
            [],
            steps,
            lr=rate,
            beta1=options["beta1"],
            beta2=options["beta2"],
            weight_decay=0.0,
            eps=options["epsilon"],
            amsgrad=False,
            maximize=False,
        )

    def adadelta(gradients: list[Tensor]) -> None:
        rho, epsilon = options["rho"], options["epsilon"]
        torch._foreach_mul_(slots[0], rho)
        torch._foreach_addcmul_(slots[0], gradients, gradients, value=1 - rho)
        changes, roots = torch._foreach_add(slots[1], epsilon), torch._foreach_add(slots[0], epsilon)
        torch._foreach_div_(changes, roots)
        torch._foreach_sqrt_(changes)
        torch._foreach_mul_(changes, gradients)
        torch._foreach_mul_(slots[1], rho)
        torch._foreach_addcmul_(slots[1], changes, changes, value=1 - rho)
        torch._foreach_add_(weights, changes, alpha=-rate)

    return {"sgd": sgd, "adam": adam, "adadelta": adadelta}[kind]


def _optimizer(optimizer: dict[str, dict[str, Any]], network: nn.Module) -> Any:
    ((kind, options),) = optimizer.items()
    rate, parameters = options["learning_rate"], network.parameters()
    match kind:
        case "sgd":
            return torch.optim.SGD(parameters, rate, options["momentum"], nesterov=options["nesterov"])
        case "adam":
            return torch.optim.Adam(parameters, rate, (options["beta1"], options["beta2"]), options["epsilon"])
        case "adadelta":
            return torch.optim.Adadelta(parameters, rate, options["rho"], options["epsilon"])
        case _:
            raise ValueError(f"no recipe of the five models uses {kind}")


def _network(model: str) -> nn.Sequential:
    def conv(*channels: int, kernel: int, padding: int = 0) -> nn.Conv2d:
        return nn.Conv2d(*channels, kernel, padding=padding)

    stacks: dict[str, Callable[[], list[nn.Module]]] = {
        "mlp": lambda: [nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)],
        "cnn": lambda: [
            *(conv(1, 32, kernel=5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
            *(conv(32, 64, kernel=5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(3136, 10)),
        ],
        "cnn_dropout": lambda: [
            *(conv(1, 32, kernel=3), nn.ReLU(), nn.MaxPool2d(2)),
            *(conv(32, 64, kernel=3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Dropout(0.25), nn.Flatten(), nn.Linear(1600, 128), nn.ReLU()),
            *(nn.Dropout(0.5), nn.Linear(128, 10)),
        ],
        "lenet5": lambda: [
            *(conv(1, 6, kernel=5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(conv(6, 16, kernel=5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
        ],
        "alexnet": lambda: [
            *(conv(1, 32, kernel=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(conv(32, 64, kernel=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(conv(64, 128, kernel=3, padding=1), nn.ReLU()),
            *(conv(128, 256, kernel=3, padding=1), nn.ReLU()),
            *(conv(256, 256, kernel=3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Flatten(), nn.Linear(2304, 1024), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(1024, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
        ],
    }
    return nn.Sequential(*stacks[model]())


def _read(inputs: Path) -> tuple[Tensor, Tensor, Any, dict[str, Any], list[Tensor]]:
    """Images, labels, order, recipe, and weight and bias of every layer in network order."""
    images, labels = (torch.from_numpy(np.load(inputs / f"train_{part}.npy")) for part in ("images", "labels"))
    with np.load(inputs / "weights.npz") as arrays:
        layers = sorted({name.partition(".")[0] for name in arrays.files})  # conv2d_1, ..., linear_1, ...
        weights = [torch.from_numpy(arrays[f"{layer}.{part}"]) for layer in layers for part in ("weight", "bias")]
    return images, labels, np.load(inputs / "order.npy"), json.loads((inputs / "recipe.json").read_text()), weights


if __name__ == "__main__":
    main({"tutorial": tutorial, "bare": bare})
