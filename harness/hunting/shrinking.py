"""The smallest trial that still shows a disagreement."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from typing import Any

from harness.conformance.layer_cases import isolated
from harness.hunting.trial import Trial, least_batch
from harness.planning.trainable import check_batches
from specs.architecture import Architecture
from specs.errors import FieldError, RequestError
from specs.layers import Add, Concat, Flatten, GlobalAvgPool, Linear
from specs.nest import Branches, Item, Repeat, Residual, Sequence
from specs.optimizers import SGD
from specs.shapes import infer


def shrunk(trial: Trial, shows: Callable[[Trial], bool], *, seconds: float) -> Trial:
    """Greedily: the first simpler trial that ``shows`` the disagreement takes the place, until none does.

    Gives what was reached when ``seconds`` are over.
    """
    end = time.monotonic() + seconds
    found = True
    while found:
        found = False
        for simpler in simpler_trials(trial):
            if time.monotonic() > end:
                return trial
            if shows(simpler):
                trial, found = simpler, True
                break
    return trial


def simpler_trials(trial: Trial) -> Iterator[Trial]:
    """All that differ in one thing and have less of it, those that save most first; valid ones alone."""
    architecture = trial.architecture
    changes: list[dict[str, Any]] = [{"steps": 0}] if trial.steps else []
    changes += [{"steps": steps} for steps in (1, trial.steps - 1) if 0 < steps < trial.steps]
    changes += [{"optimizer": SGD()}] if trial.optimizer != SGD() else []
    changes += [{"values": "normal"}] if trial.values != "normal" else []
    changes += [{"batch": batch} for batch in (1, trial.batch // 2, trial.batch - 1) if 0 < batch < trial.batch]
    changes += [{"architecture": alone} for alone in _layers_alone(architecture)]
    for layers in _simpler_sequences(architecture.layers):
        changes.append({"architecture": replace(architecture, layers=layers)})
    for size in _simpler_sizes(architecture.input):
        changes.append({"architecture": replace(architecture, input=size)})
    if architecture.classes > 2 and isinstance(architecture.layers[-1], Linear):
        last = replace(architecture.layers[-1], out_features=2)
        changes.append({"architecture": replace(architecture, classes=2, layers=(*architecture.layers[:-1], last))})
    for change in changes:
        simpler = replace(trial, **change)
        if _valid(simpler.architecture, simpler.batch):
            yield simpler


def _valid(architecture: Architecture, batch: int) -> bool:
    with suppress(RequestError, FieldError, ValueError):
        check_batches(architecture, samples=batch, batch_size=batch)
        return batch >= least_batch(architecture) and any(node.parameters for node in infer(architecture))
    return False


def _layers_alone(architecture: Architecture) -> Iterator[Architecture]:
    """Each layer in the smallest network around it, where the network has more: most faults are of one layer."""
    nodes = infer(architecture)
    for node in nodes:
        if isinstance(node.layer, Add | Concat):
            continue
        alone = isolated(node.layer, node.input_shape)
        if len(infer(alone)) < len(nodes):
            yield alone


def _simpler_sizes(size: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
    for axis, length in enumerate(size):
        for less in dict.fromkeys((1, length // 2, length - 1)):
            if 0 < less < length:
                yield (*size[:axis], less, *size[axis + 1 :])  # type: ignore[misc]


def _simpler_sequences(layers: Sequence) -> Iterator[Sequence]:
    """Half of the items left out, one, or one replaced by what it holds or simpler itself."""
    half = len(layers) // 2
    if half > 1:
        yield layers[half:]
        yield layers[:half]
    for place, item in enumerate(layers):
        before, after = layers[:place], layers[place + 1 :]
        yield (*before, *after)
        for items in _simpler_items(item):
            yield (*before, *items, *after)


def _simpler_items(item: Item) -> Iterator[Sequence]:
    match item:
        case Residual():
            yield item.layers
            yield item.shortcut
            for layers in _simpler_sequences(item.layers):
                if layers:
                    yield (replace(item, layers=layers),)
            for shortcut in _simpler_sequences(item.shortcut):
                yield (replace(item, shortcut=shortcut),)
        case Branches():
            yield from item.paths
            for place, path in enumerate(item.paths):
                for simpler in _simpler_sequences(path):
                    with suppress(FieldError):
                        yield (replace(item, paths=(*item.paths[:place], simpler, *item.paths[place + 1 :])),)
        case Repeat():
            yield item.layers
            for layers in _simpler_sequences(item.layers):
                if layers:
                    yield (replace(item, layers=layers),)
        case Flatten() | GlobalAvgPool():
            return
        case _:
            for layer in _simpler_layers(item):
                yield (layer,)


def _simpler_layers(layer: Any) -> Iterator[Any]:
    """Smaller windows, strides, paddings and widths; any other option at its default. Never back again."""
    for field in fields(layer):
        value = getattr(layer, field.name)
        options: list[Any] = []
        if isinstance(value, tuple) and all(isinstance(part, int) for part in value):
            smaller = [(0, 0), (1, 1), tuple(max(1, part - 1) for part in value)]
            options = [option for option in smaller if sum(option) < sum(value)]
        elif isinstance(value, int) and not isinstance(value, bool):
            options = [option for option in (1, value // 2) if option < value]
        elif field.default is not MISSING and value != field.default:
            options = [field.default]
        for option in options:
            with suppress(FieldError, TypeError):
                yield replace(layer, **{field.name: option})
