"""How each backend looks: one colour, marker and order everywhere, by its place in the registry.

The colours start from those of Okabe and Ito (2008, Color Universal Design), with lightness moved so that any two stay
25 apart in CIELAB for readers with protanopia or deuteranopia too; markers and hatches say the same again for readers
of a grey print. The reference is grey. A backend that is not registered (a stranger's record) has one of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backends.registry import BACKENDS, REFERENCE, frameworks

_REFERENCE_LOOK = ("#5A5A5A", "v")
_IN_TURN = (("#D55E00", "o"), ("#0072B2", "s"), ("#12A165", "^"), ("#D98CB2", "D"), ("#6A3DE8", "P"), ("#8C3C1E", "h"))
_OTHERS = (("#B8860B", "X"), ("#56B4E9", "<"), ("#6B8E23", ">"), ("#A0522D", "p"), ("#708090", "*"))
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
    """The look of a backend. ``variant`` tells its versions and manners apart by line style and hatch."""
    colour, marker = _own(backend)
    return Look(colour, marker, _DASHES[variant % len(_DASHES)], _HATCHES[variant % len(_HATCHES)])


def _own(backend: str) -> tuple[str, str]:
    if backend == REFERENCE:
        return _REFERENCE_LOOK
    registered = frameworks()
    if backend in registered and registered.index(backend) < len(_IN_TURN):
        return _IN_TURN[registered.index(backend)]
    return _OTHERS[sum(backend.encode()) % len(_OTHERS)]


def in_order(backends: Iterable[str]) -> list[str]:
    """Each once: those of the registry in its order, then the others by name."""
    order = {name: number for number, name in enumerate(BACKENDS)}
    return sorted(set(backends), key=lambda name: (order.get(name, len(order)), name))
