"""Variables and operations of the static program that is being made, of Paddle's older graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle


def given(name: str, shape: Sequence[int], dtype: str = "float32") -> Any:
    """A variable that the program finds in its scope."""
    variable = _block().create_var(name=name, shape=list(shape), dtype=dtype, persistable=True)
    variable.stop_gradient = True
    return variable


def append(kind: str, inputs: dict[str, list[Any]], shape: Sequence[int], dtype: str = "float32", **attrs: Any) -> Any:
    """Append an operation with one output, of this shape and type; returns the output."""
    out = variable(kind, shape, dtype)
    out.stop_gradient = all(tensor.stop_gradient for tensors in inputs.values() for tensor in tensors)
    write(kind, inputs, {"Out": [out]}, **attrs)
    return out


def write(kind: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], **attrs: Any) -> None:
    """Append an operation that writes these variables."""
    _block().append_op(type=kind, inputs=inputs, outputs=outputs, attrs=attrs)


def variable(prefix: str, shape: Sequence[int], dtype: str = "float32") -> Any:
    """A variable of this run of the program alone."""
    return _block().create_var(name=paddle.utils.unique_name.generate(prefix), shape=list(shape), dtype=dtype)


def _block() -> Any:
    return paddle.static.default_main_program().global_block()
