"""What a framework's programs look like: the lines that a reproduction for an upstream report is put together from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FrameworkSource:
    """A framework's own lines, as formats.

    ``imports`` come first. ``tensor`` makes one of {array}, ``constant`` one that no gradient is taken of (running
    statistics). ``layers`` has an expression per kind: of {x}, or of {all} or {sum} for joins, with the layer's fields
    and parameters by name (``no_bias`` for a bias that it has not), {mask} and {keep} of dropout, {training}, and
    {features}, the axis of the features. The lines of ``logits`` and ``gradients`` make ``result`` of
    ``network(*arrays)``, the second with respect to {where}, the array at {position}.
    """

    title: str
    imports: tuple[str, ...]
    tensor: str
    constant: str
    no_bias: str
    layers: Mapping[str, str]
    logits: tuple[str, ...]
    gradients: tuple[str, ...]
