"""The interval of a ratio in words, wherever a sentence, a table or a picture tells one."""

from __future__ import annotations

from results.formatting import interval
from results.statistics import Estimate
from results.words import Words


def bounds(size: Estimate, words: Words) -> str:
    """The bounds of a ratio's interval; where it is too wide to tell anything, that; empty where there is none."""
    return words("disturbed") if size.disturbed else interval("ratio", size.low, size.high)
