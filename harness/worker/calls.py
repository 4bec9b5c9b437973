"""What a worker may be asked: the verbs, and methods of the contract as messages.

Arguments and results go by name, arrays beside all that JSON can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

Verb = Literal[
    "load",
    "train",
    "save",
    "begin_turns",
    "warm_up",
    "turn",
    "open",
    "open_exported",
    "close",
    "call",
    "measure",
    "play",
]
"""The requests of the parent; a worker has a method of that name for each."""
VERBS: tuple[Verb, ...] = get_args(Verb)

CALLS = frozenset(
    {
        *("set_training_data", "compile", "train_steps", "predict", "loss_and_gradients"),
        *("parameters", "load_parameters", "optimizer_state", "load_optimizer_state"),
        *("save", "export", "synchronize", "peak_device_memory"),
    }
)
"""The methods of ``Session`` that are called through the pipe."""

Packed = tuple[dict[str, Any], dict[str, Any]]
"""Fields and arrays of a message."""


def pack(values: Mapping[str, Any]) -> Packed:
    """Values by name; an array, or a mapping of arrays to names of their own, goes beside the fields."""
    fields: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, Mapping):
            fields[name] = {"arrays": sorted(value)}
            arrays |= {f"{name}:{key}": array for key, array in value.items()}
        elif isinstance(value, Path):
            fields[name] = {"path": str(value)}
        elif isinstance(value, np.generic):
            fields[name] = value.item()
        else:
            fields[name] = value
    return fields, arrays


def unpack(fields: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``pack``; raises KeyError where an array is missing."""
    values: dict[str, Any] = {name: array for name, array in arrays.items() if ":" not in name}
    for name, value in fields.items():
        match value:
            case {"arrays": [*keys]}:
                values[name] = {key: arrays[f"{name}:{key}"] for key in keys}
            case {"path": str(path)}:
                values[name] = Path(path)
            case _:
                values[name] = value
    return values


def invoke(target: Any, method: str, fields: Mapping[str, Any], arrays: Mapping[str, Any]) -> Packed:
    """Call a method of CALLS with packed arguments; its result is "result", or "first" and "second"."""
    if method not in CALLS:
        raise ValueError(f"no method of a session is called {method!r}")
    result = getattr(target, method)(**unpack(fields, arrays))
    if isinstance(result, tuple):
        return pack({"first": result[0], "second": result[1]})
    return pack({"result": [str(one) for one in result] if isinstance(result, list) else result})
