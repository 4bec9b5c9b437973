"""Trainings computed again in PyTorch float64 from docs/specs.md alone: nothing of this project is imported.

    python by_hand.py FOLDER...

prints the losses of every step of each folder's training, a line of JSON for each. task.json has an architecture's and
a recipe's YAML as plain data and a seed; data.npz has uint8 images, labels, and the masks [step, batch, ...] of every
dropout layer under its name.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F


class Network:
    """The layers of an architecture, named by kind and ordinal in the order in which they are written."""

    def __init__(self, task: dict[str, Any], seed: int) -> None:
        self.initializer = task["recipe"].get("initializer", {})
        self.seed = seed
        self.classes = task["classes"]
        self.counts: dict[str, int] = {}
        self.weights: dict[str, torch.Tensor] = {}
        self.statistics: dict[str, torch.Tensor] = {}
        self.masks: dict[str, torch.Tensor] = {}
        self.first = True

    def forward(self, items: Any, images: torch.Tensor) -> torch.Tensor:
        self.counts = {}
        logits = self.sequence(items, images)
        self.first = False
        return logits

    def sequence(self, items: Any, x: torch.Tensor) -> torch.Tensor:
        for item in items:
            kind, fields = (item, {}) if isinstance(item, str) else next(iter(item.items()))
            x = self.item(kind, fields or {}, x)
        return x

    def item(self, kind: str, fields: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        match kind:
            case "repeat":
                for _ in range(fields["times"]):
                    x = self.sequence(fields["layers"], x)
                return x
            case "residual":
                inner = self.sequence(fields["layers"], x)
                return inner + self.sequence(fields.get("shortcut", []), x)
            case "branches":
                parts = [self.sequence(path, x) for path in fields["paths"]]
                return torch.cat(parts, 1) if fields["join"] == "concat" else torch.stack(parts).sum(0)
            case _:
                self.counts[kind] = self.counts.get(kind, 0) + 1
                return self.layer(kind, f"{kind}_{self.counts[kind]}", fields, x)

    def layer(self, kind: str, name: str, fields: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        match kind:
            case "conv2d":
                window, groups = pair(fields["kernel_size"]), fields.get("groups", 1)
                weight, bias = self.weighted(name, (fields["out_channels"], x.shape[1] // groups, *window), fields)
                stride, padding = pair(fields.get("stride", 1)), pair(fields.get("padding", 0))
                return F.conv2d(x, weight, bias, stride, padding, groups=groups)
            case "linear":
                width = self.classes if fields["out_features"] == "classes" else fields["out_features"]
                weight, bias = self.weighted(name, (width, x.shape[-1]), fields)
                return F.linear(x, weight, bias)
            case "max_pool2d" | "avg_pool2d":
                window = pair(fields["kernel_size"])
                stride, padding = pair(fields.get("stride", window)), pair(fields.get("padding", 0))
                if kind == "max_pool2d":
                    return F.max_pool2d(x, window, stride, padding, ceil_mode=fields.get("ceil_mode", False))
                return F.avg_pool2d(
                    x, window, stride, padding, count_include_pad=fields.get("count_include_pad", False)
                )
            case "global_avg_pool":
                return x.mean((2, 3))
            case "flatten":
                return x.flatten(1)
            case "batch_norm2d":
                return self.batch_norm(name, x, fields.get("momentum", 0.1), fields.get("epsilon", 1e-5))
            case "dropout":
                return x * self.masks[name] / (1 - fields["p"])
            case "relu":
                return x.relu()
            case "relu6":
                return F.relu6(x)
            case "tanh":
                return x.tanh()
            case "rows":
                return x.transpose(1, 2).flatten(2)
            case "lstm" | "gru":
                return self.recurrent(kind, name, fields, x)
            case "gelu":
                return x * (1 + torch.erf(x / math.sqrt(2))) / 2
            case "layer_norm":
                gamma, beta = self.norm(name, x.shape[-1])
                mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
                return gamma * (x - mean) / (variance + fields.get("epsilon", 1e-5)).sqrt() + beta
            case "to_tokens":
                return x.flatten(2).transpose(1, 2)
            case "class_token":
                token = self.embedded(f"{name}.token", x.shape[2:])
                return torch.cat([token.expand(len(x), 1, -1), x], 1)
            case "position_embedding":
                return x + self.embedded(f"{name}.embedding", x.shape[1:])
            case "multi_head_attention":
                return self.attention(name, fields, x)
            case "take_token":
                return x[:, fields["index"]]
            case _:
                raise NotImplementedError(kind)

    def weighted(
        self, name: str, shape: tuple[int, ...], fields: dict[str, Any], separator: str = "."
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        fans = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
        weight, bias = f"{name}{separator}weight", f"{name}{separator}bias"
        if self.first:
            self.draw(weight, shape, self.initializer.get("weights", "glorot_uniform"), fans)
            if fields.get("bias", True):
                self.draw(bias, shape[:1], self.initializer.get("biases", "zeros"), fans)
        return self.weights[weight], self.weights.get(bias)

    def embedded(self, name: str, shape: torch.Size) -> torch.Tensor:
        if self.first:
            self.draw(name, tuple(shape), {"normal": {"std": 0.02}}, (1, 1))
        return self.weights[name]

    def attention(self, name: str, fields: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        tokens, features = x.shape[1:]
        width = features // fields["heads"]
        parts = ("query", "key", "value", "out")
        maps = {part: self.weighted(f"{name}.{part}", (features, features), fields, "_") for part in parts}
        query, key, value = (F.linear(x, *maps[part]) for part in parts[:3])
        heads = []
        for first in range(0, features, width):
            head = slice(first, first + width)
            scores = query[:, :, head] @ key[:, :, head].transpose(1, 2) / math.sqrt(width)
            if fields.get("causal", False):
                scores = scores.masked_fill(torch.ones(tokens, tokens).triu(1) > 0, -math.inf)
            heads.append(scores.softmax(-1) @ value[:, :, head])
        return F.linear(torch.cat(heads, -1), *maps["out"])

    def recurrent(self, kind: str, name: str, fields: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        gates, hidden, features = {"lstm": 4, "gru": 3}[kind], fields["hidden"], x.shape[-1]
        weight, bias = self.weighted(name, (gates * hidden, features), {})
        if self.first:
            fans = hidden, gates * hidden
            of_weights, of_biases = (self.initializer.get("weights", "glorot_uniform"), self.initializer.get("biases"))
            self.draw(f"{name}.recurrent_weight", (gates * hidden, hidden), of_weights, fans)
            if kind == "gru":
                self.draw(f"{name}.recurrent_bias", (hidden,), of_biases or "zeros", fans)
        h = c = torch.zeros(len(x), hidden, dtype=x.dtype)
        states = []
        for token in x.unbind(1):
            parts = F.linear(token, weight, bias).chunk(gates, 1)
            carried = F.linear(h, self.weights[f"{name}.recurrent_weight"]).chunk(gates, 1)
            if kind == "lstm":
                i, f, g, o = (a + b for a, b in zip(parts, carried, strict=True))
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            else:
                r, z = ((a + b).sigmoid() for a, b in zip(parts[:2], carried[:2], strict=True))
                n = (parts[2] + r * (carried[2] + self.weights[f"{name}.recurrent_bias"])).tanh()
                h = (1 - z) * n + z * h
            states.append(h)
        return torch.stack(states, 1) if fields.get("return_sequences", False) else h

    def draw(self, name: str, shape: tuple[int, ...], distribution: Any, fans: tuple[int, int]) -> None:
        kind, fields = (distribution, {}) if isinstance(distribution, str) else next(iter(distribution.items()))
        stream = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=tuple(name.encode())))
        variance = {"glorot": 2 / sum(fans), "he": 2 / fans[0], "lecun": 1 / fans[0]}.get(kind.partition("_")[0], 0.0)
        if kind == "zeros":
            values = np.zeros(shape, np.float32)
        elif kind.endswith("normal"):
            values = stream.standard_normal(shape, dtype=np.float32) * np.float32(fields.get("std", variance**0.5))
        else:
            limit = fields.get("limit", math.sqrt(3 * variance))
            values = stream.random(shape, dtype=np.float32) * np.float32(2 * limit) - np.float32(limit)
        self.weights[name] = torch.tensor(values.astype(np.float64), requires_grad=True)

    def batch_norm(self, name: str, x: torch.Tensor, momentum: float, epsilon: float) -> torch.Tensor:
        gamma, beta = (part[:, None, None] for part in self.norm(name, x.shape[1]))
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        return gamma * (x - mean) / (variance + epsilon).sqrt() + beta

    def norm(self, name: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self.first:
            self.weights[f"{name}.gamma"] = torch.ones(size, dtype=torch.float64, requires_grad=True)
            self.weights[f"{name}.beta"] = torch.zeros(size, dtype=torch.float64, requires_grad=True)
        return self.weights[f"{name}.gamma"], self.weights[f"{name}.beta"]


class Optimizer:
    """One update rule; state starts at 0."""

    def __init__(self, given: Any) -> None:
        self.kind, fields = (given, {}) if isinstance(given, str) else next(iter(given.items()))
        fields = fields or {}
        defaults: dict[str, dict[str, Any]] = {
            "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
            "adam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0},
            "adamw": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01},
            "adadelta": {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6, "weight_decay": 0.0},
            "rmsprop": {"learning_rate": 0.01, "rho": 0.99, "epsilon": 1e-8, "weight_decay": 0.0},
            "adagrad": {"learning_rate": 0.01, "epsilon": 1e-10, "weight_decay": 0.0},
        }
        self.fields = defaults[self.kind] | fields
        self.state: dict[tuple[str, str], Any] = {}

    def update(self, name: str, w: torch.Tensor, g: torch.Tensor, lr: float, t: int) -> torch.Tensor:
        f = self.fields
        decay = f["weight_decay"] if f.get("decay", "all") == "all" or name.endswith("weight") else 0.0
        if self.kind == "adamw":
            w = w - lr * decay * w
        else:
            g = g + decay * w
        match self.kind:
            case "sgd":
                v = self.keep(name, "v", f["momentum"], g, 1.0)
                return w - lr * (g + f["momentum"] * v if f["nesterov"] else v)
            case "adam" | "adamw":
                m = self.keep(name, "m", f["beta1"], g, 1 - f["beta1"]) / (1 - f["beta1"] ** t)
                s = self.keep(name, "s", f["beta2"], g**2, 1 - f["beta2"]) / (1 - f["beta2"] ** t)
                return w - lr * m / (s.sqrt() + f["epsilon"])
            case "adadelta":
                a = self.keep(name, "a", f["rho"], g**2, 1 - f["rho"])
                u = self.state.get((name, "u"), torch.zeros_like(w))
                d = (u + f["epsilon"]).sqrt() / (a + f["epsilon"]).sqrt() * g
                self.keep(name, "u", f["rho"], d**2, 1 - f["rho"])
                return w - lr * d
            case "rmsprop":
                s = self.keep(name, "s", f["rho"], g**2, 1 - f["rho"])
                return w - lr * g / (s.sqrt() + f["epsilon"])
            case _:
                a = self.keep(name, "a", 1.0, g**2, 1.0)
                return w - lr * g / (a.sqrt() + f["epsilon"])

    def keep(self, name: str, slot: str, old: float, value: torch.Tensor, new: float) -> torch.Tensor:
        moved: torch.Tensor = old * self.state.get((name, slot), torch.zeros_like(value)) + new * value
        self.state[name, slot] = moved
        return moved


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def pixels(u: Any, given: dict[str, Any]) -> torch.Tensor:
    """float64 holding the float32 values that training takes."""
    low, high = given.get("scale", [0, 1])
    channels = u.shape[1]
    mean = np.array(given.get("mean", [0.0] * channels)).reshape(-1, 1, 1)
    std = np.array(given.get("std", [1.0] * channels)).reshape(-1, 1, 1)
    factor, offset = ((high - low) / 255 / std).astype(np.float32), ((low - mean) / std).astype(np.float32)
    return torch.tensor((u.astype(np.float32) * factor + offset).astype(np.float64))


def rate(given: Any, base: float, t: int, steps: int, epochs: int) -> float:
    kind, fields = (given, {}) if isinstance(given, str) else next(iter(given.items()))
    fields = fields or {}
    w, total = fields.get("warmup_epochs", 0) * steps, epochs * steps
    warm = min(1.0, (t + 1) / w) if w else 1.0
    match kind:
        case "constant":
            return base * warm
        case "step":
            return base * warm * fields["gamma"] ** (t // steps // fields["every_epochs"])
        case "exponential":
            return base * warm * fields["gamma"] ** (t / steps)
        case _:
            f = fields.get("final_fraction", 0.0)
            p = min(max((t - w) / (total - w), 0.0), 1.0) if total > w else 0.0
            return base * warm * (f + (1 - f) * (1 + math.cos(math.pi * p)) / 2)


def losses(task: dict[str, Any], data: Any) -> list[float]:
    recipe, size, epochs = task["recipe"], task["recipe"]["batch_size"], task["recipe"]["epochs"]
    images, labels = pixels(data["images"], recipe.get("preprocessing", {})), torch.tensor(data["labels"])
    samples = len(images)
    held_out = np.random.default_rng(4).permutation(samples)[: round(recipe.get("validation", 0) * samples)]
    trained = np.setdiff1d(np.arange(samples), held_out)
    images, labels = images[trained], labels[trained]
    masks = {name: data[name] for name in data if name not in ("images", "labels")}
    network, optimizer = Network(task, task["seed"]), Optimizer(recipe["optimizer"])
    steps, t, found = -(-len(images) // size), 0, []
    for epoch in range(epochs):
        order = np.random.default_rng([1, task["seed"], epoch]).permutation(len(images))
        for batch in (order[start : start + size] for start in range(0, len(order), size)):
            network.masks = {name: torch.tensor(mask[t, : len(batch)]) for name, mask in masks.items()}
            loss = F.cross_entropy(
                network.forward(task["architecture"]["layers"], images[batch]),
                labels[batch],
                label_smoothing=recipe.get("label_smoothing", 0.0),
            )
            lr = rate(
                recipe.get("learning_rate_schedule", "constant"), optimizer.fields["learning_rate"], t, steps, epochs
            )
            names = list(network.weights)
            gradients = torch.autograd.grad(loss, [network.weights[name] for name in names])
            t += 1
            if most := optimizer.fields.get("clip_norm"):
                norm = torch.cat([g.flatten() for g in gradients]).norm()
                gradients = [g * min(1.0, most / norm) for g in gradients]
            with torch.no_grad():
                for name, g in zip(names, gradients, strict=True):
                    moved = optimizer.update(name, network.weights[name], g, lr, t)
                    network.weights[name] = moved.detach().requires_grad_()
            found.append(loss.item())
    return found


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        with np.load(folder / "data.npz") as arrays:
            print(json.dumps(losses(json.loads((folder / "task.json").read_text()), arrays)))
