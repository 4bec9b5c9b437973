"""How a network is written: layers in sequence, and among them residuals, branches and repeats that hold sequences.

Only ``specs`` sees the nest; everyone else works on the nodes that ``specs.shapes.infer`` makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from specs.errors import FieldError
from specs.layers import JOINS, LAYERS, Layer


@dataclass(frozen=True, kw_only=True)
class Residual:
    """The sum of what ``layers`` and ``shortcut`` give for the same input; an empty shortcut is the identity.

    He et al. 2016, Deep residual learning for image recognition, equation 1 (identity) and 2 (projection).
    """

    kind: ClassVar[str] = "residual"
    layers: tuple[Item, ...]
    shortcut: tuple[Item, ...] = ()

    def __post_init__(self) -> None:
        if not self.layers:
            raise FieldError("layers", "must not be empty")


@dataclass(frozen=True, kw_only=True)
class Branches:
    """What the ``paths`` give for the same input, joined by "add" or "concat"; one path may be empty, the identity."""

    kind: ClassVar[str] = "branches"
    join: str
    paths: tuple[tuple[Item, ...], ...]

    def __post_init__(self) -> None:
        if self.join not in JOINS:
            raise FieldError("join", f"must be {' or '.join(JOINS)}, got {self.join!r}")
        if len(self.paths) < 2:
            raise FieldError("paths", f"must be at least 2, got {len(self.paths)}")
        if sum(not path for path in self.paths) > 1:
            raise FieldError("paths", "may hold one empty path (the identity), not more")


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """``layers`` one after another, ``times`` times, each time with parameters of its own."""

    kind: ClassVar[str] = "repeat"
    times: int
    layers: tuple[Item, ...]

    def __post_init__(self) -> None:
        if self.times < 1:
            raise FieldError("times", f"must be at least 1, got {self.times}")
        if not self.layers:
            raise FieldError("layers", "must not be empty")


Nest = Residual | Branches | Repeat
Item = Layer | Nest
Sequence = tuple[Item, ...]

NESTS: dict[str, type] = {nest.kind: nest for nest in get_args(Nest)}
ITEMS: dict[str, type] = LAYERS | NESTS


def sequences(item: Item) -> tuple[Sequence, ...]:
    """The sequences that an item holds; none for a layer."""
    match item:
        case Residual():
            return (item.layers, item.shortcut)
        case Branches():
            return item.paths
        case Repeat():
            return (item.layers,)
        case _:
            return ()


def count_nodes(items: Sequence) -> int:
    """How many nodes a sequence becomes, without making them."""
    total = 0
    for item in items:
        inner = sum(map(count_nodes, sequences(item)))
        total += item.times * inner if isinstance(item, Repeat) else inner + 1
    return total


def depth(items: Sequence) -> int:
    """How many nests lie around the innermost layer."""
    return max((1 + max(map(depth, sequences(item))) for item in items if isinstance(item, Nest)), default=0)


def unrolled(items: Sequence) -> Sequence:
    """The items with repeats written out; nests within residuals and branches stay as they are."""
    return tuple(
        one for item in items for one in (unrolled(item.layers) * item.times if isinstance(item, Repeat) else (item,))
    )
