"""The program that shows a disagreement in the framework alone: what an upstream report needs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from backends.source import FrameworkSource
from harness.hunting.judging import Disagreement
from harness.hunting.trial import Trial, TrialCase, case_of
from specs.layer_shapes import feature_axis
from specs.layers import Dropout, Operation
from specs.nodes import INPUT, Node
from specs.shapes import infer
from specs.versioned import Versioned

MOST_LINES, MOST_NUMBERS = 40, 600
"""Arrays are written out in the program; with more of either it is no program to read."""


@dataclass(frozen=True)
class NotWritten:
    """Why there is no such program."""

    why_not: str


def reproduction(backend: str, trial: Trial, found: Disagreement, *, title: str) -> str | NotWritten:
    """Its text: it prints what float64 expects and what the framework gives."""
    backend = Versioned.parse(backend).name
    if importlib.util.find_spec(f"backends.{backend}.source") is None:
        return NotWritten(f"backends/{backend} has no source.py")
    source: FrameworkSource = importlib.import_module(f"backends.{backend}.source").SOURCE
    nodes, case = infer(trial.architecture), case_of(trial)
    if found.quantity not in ("logits", "gradients"):
        return NotWritten(f"it shows in {found.quantity or f'a {found.fault}'}; programs show logits and gradients")
    if missing := sorted({word for node in nodes for word in _missing(node.layer, source)}):
        return NotWritten(f"backends/{backend}/source.py has no {', '.join(missing)}")
    if case is None or _numbers(case) > MOST_NUMBERS:
        return NotWritten("its arrays are too many numbers to be written out")
    training = found.quantity == "gradients"
    arrays = [INPUT, *case.parameters]
    where = {"where": _variable(found.where), "position": arrays.index(found.where) if training else 0}
    lines = [
        f'"""{source.title}: {found.text}, in {found.precision}; {title}."""',
        *("", *source.imports, *(() if np.isfinite(case.images).all() else ("from numpy import inf, nan",)), ""),
        *_arrays(case, found.precision, source),
        *("", "", f"def network({', '.join(map(_variable, arrays))}):"),
        *(f"    {line}" for line in _forward(nodes, source, training=training)),
        *("", ""),
        f"arrays = {', '.join(map(_variable, arrays))}",
        *(line.format(**where) for line in (source.gradients if training else source.logits)),
        f'print("expected:", {_number(found.expected)})',
        f'print("actual:  ", float(np.asarray(result)[{found.index!r}]))',
    ]
    if len(lines) > MOST_LINES:
        return NotWritten(f"it would have {len(lines)} lines, more than {MOST_LINES}")
    return "\n".join(lines) + "\n"


def _missing(layer: Operation, source: FrameworkSource) -> Iterator[str]:
    """What a program would need and the source has no line for: the layer itself, or options off their default."""
    if layer.kind not in source.layers:
        yield layer.kind
        return
    for option in fields(layer):
        value = getattr(layer, option.name)
        one_sided = option.name == "padding" and not isinstance(value[0], int)
        unused = option.default not in (MISSING, value) and f"{{{option.name}" not in source.layers[layer.kind]
        if one_sided or unused:
            yield f"{layer.kind} with {option.name} {value}"


def _numbers(case: TrialCase) -> int:
    return sum(array.size for array in (case.images, *case.parameters.values(), *case.dropout_masks.values()))


def _variable(name: str) -> str:
    """conv2d_1.weight as a name of Python; the images are x."""
    return "x" if name == INPUT else name.replace(".", "_")


def _number(value: float | None) -> str:
    return f'float("{value}")' if value is None or not np.isfinite(value) else repr(value)


def _arrays(case: TrialCase, precision: str, source: FrameworkSource) -> Iterator[str]:
    yield f'dtype = "{precision}"'
    for name, array in {INPUT: case.images, **case.parameters}.items():
        form = source.constant if ".running_" in name else source.tensor
        yield f"{_variable(name)} = {form.format(array=_literal(array))}"
    for name, mask in case.dropout_masks.items():
        yield f"{name} = {_literal(mask.astype(np.float32))}"
    yield f"labels = np.array({case.labels.tolist()!r})"


def _literal(array: NDArray[np.float32]) -> str:
    numbers = ", ".join(np.format_float_scientific(number, trim="-") for number in array.ravel())
    return f"np.array([{numbers}], dtype).reshape({array.shape!r})"


def _forward(nodes: tuple[Node, ...], source: FrameworkSource, *, training: bool) -> Iterator[str]:
    for node in nodes:
        parts = {name.rpartition(".")[2]: _variable(name) for name in (*node.parameters, *node.buffers)}
        inputs = [_value(name) for name in node.inputs]
        words = {
            **asdict(node.layer),
            "bias": source.no_bias,
            **parts,
            "x": inputs[0],
            "all": ", ".join(inputs),
            "sum": " + ".join(inputs),
            "mask": node.name,
            "keep": 1 - node.layer.p if isinstance(node.layer, Dropout) else 1.0,
            "training": training,
            "features": feature_axis(node.output_shape),
        }
        idle = isinstance(node.layer, Dropout) and not training
        expression = inputs[0] if idle else source.layers[node.layer.kind].format_map(words)
        yield f"return {expression}" if node is nodes[-1] else f"{_value(node.name)} = {expression}"


def _value(name: str) -> str:
    return "x" if name == INPUT else f"after_{name}"
