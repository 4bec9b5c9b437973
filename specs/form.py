"""What an architecture may leave to the data set: the shape of the images and the number of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

WIDTHS = ("out_features", "out_channels")
CLASSES = "classes"
"""What a width is written as that is the number of classes."""


@dataclass(frozen=True)
class Form:
    """Images [channels, height, width] and the number of classes of a data set."""

    input: tuple[int, int, int]
    classes: int


MNIST = Form((1, 28, 28), 10)

FormOf = Callable[[str], Form]
"""The form of the data set that an architecture of this name is trained on."""


def closed(given: dict[str, Any], form_of: FormOf) -> dict[str, Any]:
    """The fields of an architecture with ``input`` and ``classes``, and with every width as a number."""
    if "input" not in given or "classes" not in given:
        form = form_of(str(given.get("name")))
        given = {"input": form.input, "classes": form.classes, **given}
    return {name: _with_widths(value, given["classes"]) for name, value in given.items()}


def _with_widths(value: Any, classes: Any) -> Any:
    match value:
        case dict():
            return {
                key: classes if key in WIDTHS and inner == CLASSES else _with_widths(inner, classes)
                for key, inner in value.items()
            }
        case tuple():
            return tuple(_with_widths(inner, classes) for inner in value)
        case _:
            return value
