"""In what manner a framework is used, from the words of a user to those of the contract."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from backends.registry import MANNERS, Manner, Registration
from harness.processes.launcher import Refused
from specs.errors import unknown

ALL = "all"
"""Stands for every manner that a backend has."""
FORMER: dict[str, Manner] = {"on": "expert", "off": "default"}
"""What the words were before there were three."""


def manner(word: str) -> Manner:
    """One of MANNERS, a former word told on stderr. Raises RequestError for any other."""
    if word in FORMER:
        print(f"note: --tuning {word} is called {FORMER[word]} now", file=sys.stderr)
        return FORMER[word]
    for known in MANNERS:
        if word == known:
            return known
    raise unknown("tuning", word, MANNERS)


def manners(words: Iterable[str]) -> tuple[str, ...]:
    """Each once in the order of MANNERS, or ALL alone. Raises RequestError."""
    given = set(words)
    if ALL in given:
        return (ALL,)
    if unknown_words := sorted(given - {*MANNERS, *FORMER}):
        raise unknown("tuning", unknown_words[0], [*MANNERS, ALL])
    chosen = {manner(word) for word in given}
    return tuple(word for word in MANNERS if word in chosen)


def manners_of(backend: Registration, chosen: tuple[str, ...]) -> tuple[Manner, ...]:
    """The manners in which a study runs a backend; of ALL those that it has."""
    return backend.create().manners if chosen == (ALL,) else tuple(word for word in MANNERS if word in chosen)


def check_manner(backend: Registration, word: str) -> None:
    """Raise Refused unless the backend has this manner."""
    has = backend.create().manners
    if word not in has:
        raise Refused(f"backend {backend.subject!r} has no {word} manner; --tuning may be {' or '.join(has)}")
