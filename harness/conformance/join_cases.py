"""Level 1: Add and Concat, each of values that are made from one image."""

from __future__ import annotations

from harness.conformance.case import NetworkCase, network_case
from harness.conformance.layer_cases import HEAD, HEAD_CLASSES
from specs import layers as L
from specs.architecture import Architecture
from specs.nest import Branches, Item, Residual
from specs.nodes import Shape
from specs.shapes import infer

_CONV = L.Conv2d(out_channels=3, kernel_size=(3, 3), padding=(1, 1))
_NARROW = L.Conv2d(out_channels=2, kernel_size=(1, 1))
_LINEAR = L.Linear(out_features=4)
_SAME = L.Linear(out_features=4, bias=False)


def fixed_cases() -> dict[str, tuple[NetworkCase, ...]]:
    """Two and three values, the identity first and last, images and features, and what works in place below."""
    return {
        "add": (
            _case(Branches(join="add", paths=((), (L.Tanh(),), (_CONV,))), (3, 5, 4)),
            _case(Residual(layers=(_CONV,)), (3, 4, 6)),
            _case(Residual(layers=(_LINEAR,), shortcut=(_LINEAR,)), (7,), batch=1),
            # Each of these may overwrite the gradient that it is given, which both are given.
            _case(Residual(layers=(_CONV, L.ReLU()), shortcut=(_CONV, L.ReLU())), (2, 5, 4)),
            _case(Residual(layers=(_CONV, L.ReLU()), shortcut=(_CONV, L.Dropout(p=0.5))), (2, 5, 4)),
            _case(Residual(layers=(L.LayerNorm(), L.MultiHeadAttention(heads=2))), (5, 6)),
            # What hands a gradient on as it is must not let others overwrite it.
            _case(Residual(layers=(L.ReLU(), L.PositionEmbedding()), shortcut=(L.ReLU(),)), (4, 6)),
        ),
        "concat": (
            _case(Branches(join="concat", paths=((), (_NARROW,), (_CONV,))), (4, 3, 5)),
            _case(Branches(join="concat", paths=((_CONV,), ())), (1, 4, 3), batch=1),
            _case(Branches(join="concat", paths=((_LINEAR,), (), (L.Tanh(),))), (5,)),
            _case(Branches(join="concat", paths=((), (L.ClassToken(),), (_SAME,))), (3, 4)),
        ),
    }


def _case(nest: Branches | Residual, shape: Shape, *, batch: int = 3) -> NetworkCase:
    """A linear layer behind it shows the order of what it gives, in logits and gradients."""
    image = shape if len(shape) == 3 else (shape[-1], *shape[:-1], 1, 1)[:3]
    around: dict[int, list[Item]] = {
        1: [L.Flatten(), nest],
        2: [L.ToTokens(), nest, L.Flatten()],
        3: [nest, L.Flatten()],
    }
    architecture = Architecture(
        name=nest.kind,
        input=(image[0], image[1], image[2]),
        classes=HEAD_CLASSES,
        layers=(*around[len(shape)], HEAD),
    )
    join = next(node for node in infer(architecture) if len(node.inputs) > 1)
    values = " and ".join(
        f"{name} {'x'.join(map(str, taken))}" for name, taken in zip(join.inputs, join.input_shapes, strict=True)
    )
    return network_case(f"{join.layer.kind} of {values}, batch of {batch}", architecture, batch=batch)
