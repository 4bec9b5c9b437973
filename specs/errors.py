"""The one error that means "the request was wrong"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path


class RequestError(ValueError):
    """The user's request cannot be carried out as stated.

    The message is one line that says what, where and how to fix it; the command line prints it
    without a traceback and exits with status 2.
    """


class FieldError(RequestError):
    """A field of a spec has a value that it cannot have; the message is ``field``, ``joint`` and ``reason``."""

    def __init__(self, field: str, reason: str, *, joint: str = " ") -> None:
        super().__init__(f"{field}{joint}{reason}")
        self.field = field


class FileError(RequestError):
    """A file cannot be used; the message is ``file`` and ``reason``."""

    def __init__(self, file: Path | str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.reason = reason


def unknown(
    kind: str, name: str, choices: Iterable[str], *, where: str = "", meant: Mapping[str, str] | None = None
) -> RequestError:
    """A RequestError for a name that is not among ``choices``, naming the one that is likely meant, if any.

    ``meant`` has names that others use, in small letters and digits alone, and the choice that they stand for.
    """
    names = sorted(choices)
    hint = (meant or {}).get(_plain(name)) or nearest(name, names)
    prefix = f"{where}: " if where else ""
    asked = f"; did you mean {hint!r}?" if hint in names else ""
    return RequestError(f"{prefix}unknown {kind} {name!r}{asked} (known: {', '.join(names)})")


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that ``name`` is a slip or a short form of; None where another thing may as well be meant.

    A slip changes one letter in four at most and not the first one, unless it swaps it with the second. Digits must
    be the choice's own, or absent: conv1d is no slip of conv2d. A short form has three letters of the beginning, or at
    least half of the letters as whole words.
    """
    wanted = _plain(name)
    found = []
    for choice in choices:
        plain = _plain(choice)
        digits = "".join(sorted(re.findall(r"\d", wanted)))
        if digits not in ("", "".join(sorted(re.findall(r"\d", plain)))):
            continue
        slips = _slips(wanted, plain)
        if slips == 0:
            return choice
        begins = wanted[:1] == plain[:1] or wanted[:2] == plain[1::-1]
        if len(wanted) >= 3 and begins and slips <= max(1, len(plain) // 4):
            found.append((slips, len(plain), choice))
        elif (len(wanted) >= 3 and plain.startswith(wanted)) or _shortened(name, choice):
            found.append((len(plain), len(plain), choice))
    return min(found)[2] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _shortened(name: str, choice: str) -> bool:
    """Whether one is made of whole words of the other that are at least half of its letters."""
    words = [set(re.findall(r"[a-z0-9]+", text.lower())) for text in (name, choice)]
    common = words[0] & words[1]
    return common in words and 2 * sum(map(len, common)) >= max(len(_plain(name)), len(_plain(choice)))


def _slips(one: str, other: str) -> int:
    """Letters added, left out, replaced or swapped with their neighbour (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, counterpart in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != counterpart))
            if i > 1 and j > 1 and letter == other[j - 2] and counterpart == one[i - 2]:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
