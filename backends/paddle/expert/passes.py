"""Rewriting of a static program of Paddle's older graph, where Paddle's own choice of operation is slow on a CPU.

Each pass replaces operations by others that compute the same. They work on the finished program: the gradients are
those of ``append_backward``.
"""

from __future__ import annotations

from typing import Any

_BACKWARD = {"op_role": 1}


class Block:
    """The global block of a program, with the look-ups that rewriting needs."""

    def __init__(self, program: Any) -> None:
        self._block = program.global_block()

    def of_type(self, *kinds: str) -> list[Any]:
        """The operations of these types, in order."""
        return [op for op in self._block.ops if op.type in kinds]

    def consumers(self, name: str) -> list[Any]:
        """The operations that read a variable, in order."""
        return [op for op in self._block.ops if name in op.input_arg_names]

    def producer(self, name: str) -> Any | None:
        """The operation that computes a variable; None for a parameter and what else the program is given."""
        if self._block.var(name).persistable:
            return None
        return next(op for op in self._block.ops if name in op.output_arg_names)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a variable."""
        return tuple(self._block.var(name).shape)

    def variable(self, like: str, shape: tuple[int, ...], suffix: str) -> str:
        """A new variable of the type of ``like``; returns its name."""
        dtype = self._block.var(like).dtype
        return str(self._block.create_var(name=f"{like}{suffix}", shape=shape, dtype=dtype).name)

    def insert_after(
        self, op: Any, kind: str, inputs: dict[str, Any], outputs: dict[str, Any], attrs: dict[str, Any]
    ) -> None:
        """Insert an operation of type ``kind``."""
        index = self._block.ops.index(op) + 1
        self._block._insert_op(index, type=kind, inputs=inputs, outputs=outputs, attrs=attrs)

    def remove(self, *ops: Any) -> None:
        """Remove operations. Their inputs and outputs must have been read before."""
        for op in ops:
            self._block._remove_op(self._block.ops.index(op))


def sum_bias_gradients(block: Block, ones: str) -> None:
    """Replace the gradient of every addition of a bias by the sum that it is.

    Paddle's own copies the arriving gradient besides and reduces it element by element. For features the sum is a
    product with ``ones``, a variable float32[batch] of ones.
    """
    for gradient in block.of_type("elementwise_add_grad"):
        (arriving,), bias = gradient.input("Out@GRAD"), gradient.output("Y@GRAD")
        if len(block.shape(gradient.input("Y")[0])) != 1:
            continue
        if len(block.shape(arriving)) == 4:
            attrs = {"dim": [0, 1, 2], "keep_dim": False, "reduce_all": False}
            block.insert_after(gradient, "reduce_sum", {"X": [arriving]}, {"Out": bias}, attrs | _BACKWARD)
        else:
            attrs = {"trans_x": False, "trans_y": False}
            block.insert_after(gradient, "matmul_v2", {"X": [ones], "Y": [arriving]}, {"Out": bias}, attrs | _BACKWARD)
        for leaving in gradient.output("X@GRAD"):
            for op in block.consumers(leaving):
                op._rename_input(leaving, arriving)
        block.remove(gradient)


def fuse_linear(block: Block) -> None:
    """Add the bias of a linear layer, and apply a ReLU that follows, inside the operation that multiplies."""
    for add in block.of_type("elementwise_add"):
        product, output = block.producer(add.input("X")[0]), add.output("Out")
        if product is None or product.type != "matmul_v2" or len(block.shape(add.input("Y")[0])) != 1:
            continue
        following = [op for op in block.consumers(output[0]) if not op.type.endswith("_grad")]
        relu = following[0] if [op.type for op in following] == ["relu"] else None
        inputs = {"Input": product.input("X"), "W": product.input("Y"), "Bias": add.input("Y")}
        attrs = {"in_num_col_dims": 1, "activation_type": "relu" if relu else ""}
        block.insert_after(add, "fc", inputs, {"Out": relu.output("Out") if relu else output}, attrs)
        block.remove(product, add, *([relu] if relu else []))


def use_onednn(block: Block) -> None:
    """Run convolution and pooling of images in NHWC on oneDNN, with plain arrays between the operations.

    oneDNN would hand its own blocked layouts from operation to operation; the gradient of its pooling does not take
    them, so every convolution's results are given back as plain arrays by sharing them with a variable of their own.
    NHWC is what oneDNN's forward convolution gives by itself, so that most of these need no copy.

    The places of a max pooling's maxima are kept in memory that Paddle looks up by the shape of the output alone, so
    that of several with one shape only the first may run on oneDNN.
    """
    for op in block.of_type("conv2d", "conv2d_grad"):
        op._set_attr("use_mkldnn", True)
    first: dict[tuple[int, ...], str] = {}
    for op in block.of_type("pool2d", "pool2d_grad"):
        (output,) = op.output("Out") if op.type == "pool2d" else op.input("Out")
        if op.attr("pooling_type") != "max" or first.setdefault(block.shape(output), output) == output:
            op._set_attr("use_mkldnn", True)
    for op in block.of_type("conv2d", "conv2d_grad"):
        for name in op.output("Output" if op.type == "conv2d" else "Input@GRAD"):
            blocked = block.variable(name, block.shape(name), "@BLOCKED")
            op._rename_output(name, blocked)
            block.insert_after(op, "share_data", {"X": [blocked]}, {"Out": [name]}, {"op_role": op.attr("op_role")})
    for op in block.of_type("conv2d_grad"):
        # Among images in NHWC, Paddle gives the gradient of the weights back in O, H, W, I order too.
        for name in op.output("Filter@GRAD"):
            o, i, h, w = block.shape(name)
            permuted, shape = (
                block.variable(name, (o, h, w, i), "@OHWI"),
                block.variable(name, (0, o, h, w, i), "@SHAPE"),
            )
            op._rename_output(name, permuted)
            outputs = {"Out": [name], "XShape": [shape]}
            block.insert_after(op, "transpose2", {"X": [permuted]}, outputs, {"axis": [0, 3, 1, 2]} | _BACKWARD)
