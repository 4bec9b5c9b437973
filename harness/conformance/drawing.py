"""Numbers to draw cases from, the same in every process and with every version of Python, NumPy and all else."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from specs.layers import Pair

T = TypeVar("T")


class Draw:
    """A stream of choices that depends on its name alone: the SHA-256 of the name and of a counter."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def integer(self, least: int, most: int) -> int:
        """From ``least`` to ``most``, both included."""
        self._count += 1
        digest = hashlib.sha256(f"{self._name} {self._count}".encode()).digest()
        return least + int.from_bytes(digest[:8], "big") % (most - least + 1)

    def pair(self, least: int, most: int) -> Pair:
        """Two of them."""
        return self.integer(least, most), self.integer(least, most)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def flag(self) -> bool:
        """True or False."""
        return bool(self.integer(0, 1))


def distinct(name: str, make: Callable[[Draw], T], *, key: Callable[[T], str] = repr) -> Iterator[T]:
    """Things that differ in ``key``, without end, each made from a stream of its own."""
    seen: set[str] = set()
    for number in itertools.count(1):
        thing = make(Draw(f"{name} {number}"))
        if key(thing) not in seen:
            seen.add(key(thing))
            yield thing
