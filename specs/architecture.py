"""An architecture: an input shape and a sequence of layers that ends in one logit per class."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from specs.layers import LAYERS, Layer


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A sequential network. ``input`` is [channels, height, width]; the last layer gives ``classes`` features."""

    name: str
    input: tuple[int, int, int]
    classes: int
    layers: tuple[Layer, ...]
    title: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if len(self.input) != 3 or min(self.input) < 1:
            raise ValueError(f"input must be three positive integers [channels, height, width], got {list(self.input)}")
        if self.classes < 2:
            raise ValueError(f"classes must be at least 2, got {self.classes}")
        if not self.layers:
            raise ValueError("layers must not be empty")
        object.__setattr__(self, "input", tuple(self.input))
        object.__setattr__(self, "layers", tuple(self.layers))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, every default written out; ``from_dict`` reads it back unchanged."""
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "input": list(self.input),
            "classes": self.classes,
            "layers": [{layer.kind: asdict(layer)} for layer in self.layers],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Architecture:
        """The inverse of ``to_dict``. Raises KeyError or TypeError on data that ``to_dict`` did not write."""
        layers = tuple(LAYERS[kind](**fields) for entry in data["layers"] for kind, fields in entry.items())
        return cls(**{**data, "input": tuple(data["input"]), "layers": layers})
