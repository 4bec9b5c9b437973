"""How each backend looks: one colour, marker and order everywhere. Knows backends by name alone.

The colours start from those of Okabe and Ito (2008, Color Universal Design), with lightness moved so that any two stay
25 apart in CIELAB for readers with protanopia or deuteranopia too; markers and hatches say the same again for readers
of a grey print.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_KNOWN = {
    "torch": ("#D55E00", "o"),
    "keras": ("#0072B2", "s"),
    "paddle": ("#12A165", "^"),
    "mindspore": ("#D98CB2", "D"),
    "numpy": ("#5A5A5A", "v"),
}
_OTHERS = (("#B8860B", "P"), ("#56B4E9", "X"), ("#8C564B", "h"), ("#5B5EA6", "<"), ("#6B8E23", ">"))
_DASHES = ("-", "--", "-.", ":")
_HATCHES = ("", "///", "...", "xxx")


@dataclass(frozen=True)
class Look:
    """Colour as #RRGGBB, matplotlib marker, line style and hatch."""

    colour: str
    marker: str
    dash: str = "-"
    hatch: str = ""


def look(backend: str, variant: int = 0) -> Look:
    """The look of a backend. ``variant`` tells its versions, sets and tunings apart by line style and hatch."""
    colour, marker = _KNOWN.get(backend) or _OTHERS[sum(backend.encode()) % len(_OTHERS)]
    return Look(colour, marker, _DASHES[variant % len(_DASHES)], _HATCHES[variant % len(_HATCHES)])


def in_order(backends: Iterable[str]) -> list[str]:
    """Each once: the known ones in the usual order, then the others by name."""
    order = {name: number for number, name in enumerate(_KNOWN)}
    return sorted(set(backends), key=lambda name: (order.get(name, len(order)), name))
