"""Named arrays in a safetensors file, read only where they are exactly those that are expected."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from backends.contract import Arrays
from specs.architecture import Architecture
from specs.errors import RequestError
from specs.nodes import Shape
from specs.optimizers import Optimizer
from specs.shapes import buffer_shapes, parameter_shapes

MOST_HEADER_BYTES = 16 * 2**20
STEP = "step"
_NAMES = {"F32": "float32", "F64": "float64", "I64": "int64"}


@dataclass(frozen=True)
class Tensor:
    """What a tensor must be: its shape and its dtype in safetensors' words."""

    shape: Shape
    dtype: str

    @property
    def size(self) -> int:
        """Bytes of its elements."""
        return math.prod(self.shape) * np.dtype(_NAMES[self.dtype]).itemsize

    def __str__(self) -> str:
        return f"{_NAMES[self.dtype]}{list(self.shape)}"


def model_tensors(architecture: Architecture, precision: str) -> dict[str, Tensor]:
    """Every parameter and buffer of a network, in network order."""
    shapes = parameter_shapes(architecture) | buffer_shapes(architecture)
    return {name: Tensor(shape, _float(precision)) for name, shape in shapes.items()}


def optimizer_tensors(architecture: Architecture, optimizer: Optimizer, precision: str) -> dict[str, Tensor]:
    """The state of an optimizer: the count of its steps, and every slot of every parameter."""
    slots = {
        f"{name}.{slot}": Tensor(shape, _float(precision))
        for name, shape in parameter_shapes(architecture).items()
        for slot in optimizer.slots
    }
    return {STEP: Tensor((), "I64"), **slots}


def check_arrays(
    architecture: Architecture, optimizer: Optimizer, precision: str, parameters: Arrays, optimizer_state: Arrays
) -> None:
    """Raise ValueError unless these are exactly the arrays that a checkpoint of that network and optimizer holds."""
    for arrays, expected in (
        (parameters, model_tensors(architecture, precision)),
        (optimizer_state, optimizer_tensors(architecture, optimizer, precision)),
    ):
        if odd := arrays.keys() ^ expected.keys():
            raise ValueError(f"{min(odd)[:80]!a} is missing or surplus")
        for name, tensor in expected.items():
            given = f"{arrays[name].dtype}{list(arrays[name].shape)}"
            if given != str(tensor):
                raise ValueError(f"{name!r} is {given}, not {tensor}")


def write_tensors(file: Path, arrays: Arrays) -> None:
    """Write the arrays; elements of an array lie in C order whatever its own was."""
    contiguous = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    file.write_bytes(save(contiguous))  # the library's own file could be read by its owner alone


def read_tensors(file: Path, expected: Mapping[str, Tensor], *, owner: str) -> Arrays:
    """The arrays of a file, once every name, shape and dtype is known to be what ``owner`` (in words) needs.

    No memory is taken for them before. Raises RequestError naming the file and the tensor.
    """
    try:
        allowed = MOST_HEADER_BYTES + sum(tensor.size for tensor in expected.values())
        size = file.stat().st_size
        if size > allowed:
            raise RequestError(f"{file}: {size:,} bytes, more than {owner} can fill")
        with safe_open(file, framework="numpy") as opened:
            found = set(opened.keys())
            for name in expected:
                if name not in found:
                    raise RequestError(f"{file}: lacks the tensor {name!r} that {owner} has")
            if surplus := sorted(found - expected.keys()):
                raise RequestError(f"{file}: holds the tensor {surplus[0][:80]!a}, which {owner} does not have")
            for name, tensor in expected.items():
                part = opened.get_slice(name)
                shape, dtype = tuple(part.get_shape()), part.get_dtype()
                if (shape, dtype) != (tensor.shape, tensor.dtype):
                    given = f"{_NAMES.get(dtype, dtype)}{list(shape)}"
                    raise RequestError(f"{file}: tensor {name!r} is {given}, {owner} needs {tensor}")
            return {name: opened.get_tensor(name) for name in expected}
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{file}: truncated, damaged or not a safetensors file: {reason!a}") from None
    except OSError as error:
        raise RequestError(f"{file}: cannot be read: {error.strerror or error}") from None


def _float(precision: str) -> str:
    """Arrays cross the contract as float64 in that precision, else as float32."""
    return "F64" if precision == "float64" else "F32"
