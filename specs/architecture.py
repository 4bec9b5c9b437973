"""An architecture: an input shape and a network, written as a nest of layers, that ends in one logit per class."""

from __future__ import annotations

from dataclasses import dataclass

from specs import nest
from specs.errors import FieldError

MOST_NODES = 1_000
MOST_DEPTH = 8


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network. ``input`` is [channels, height, width]; the last layer gives ``classes`` features."""

    name: str
    title: str = ""
    source: str = ""
    input: tuple[int, int, int]
    classes: int
    layers: nest.Sequence

    def __post_init__(self) -> None:
        if len(self.input) != 3 or min(self.input) < 1:
            raise FieldError(
                "input", f"must be three positive integers [channels, height, width], got {list(self.input)}"
            )
        if self.classes < 2:
            raise FieldError("classes", f"must be at least 2, got {self.classes}")
        if not self.layers:
            raise FieldError("layers", "must not be empty")
        if (levels := nest.depth(self.layers)) > MOST_DEPTH:
            raise FieldError("layers", f"are nested {levels} levels deep, at most {MOST_DEPTH} are allowed")
        if (nodes := nest.count_nodes(self.layers)) > MOST_NODES:
            raise FieldError("layers", f"are {nodes:,} with all repeats, at most {MOST_NODES:,} are allowed")
        object.__setattr__(self, "input", tuple(self.input))
        object.__setattr__(self, "layers", tuple(self.layers))
