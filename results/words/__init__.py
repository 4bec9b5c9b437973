"""The words of tables, findings and reports, in English and Chinese.

Keys are the same in every language, and so are the fields in braces; a test holds both to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.formatting import plain
from results.identity import ABSENT
from results.words import chinese, english
from specs.errors import unknown

_JOINTS = frozenset({"comma", "and"})  # their spaces count
LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": english.TEXTS, "zh": chinese.TEXTS}


class Words:
    """The words of one language. Call with a key and the values of its fields."""

    def __init__(self, language: str = "en") -> None:
        if language not in LANGUAGES:
            raise unknown("language", language, LANGUAGES, where="--lang")
        self.language = language
        self._texts = LANGUAGES[language]

    def __call__(self, key: str, /, **values: Any) -> str:
        text = self._texts[key].format(**values)
        return text if key in _JOINTS else text.strip()

    def reason(self, code: str) -> str:
        """Why two things are not comparable, from the code of ``results.statistics.Ratio``."""
        key, _, parts = code.partition(": ")
        named = [self(f"input_{part}") for part in parts.split(", ")] if parts else []
        return self(f"reason_{key}", parts=self.join(named)) if key else ""

    def value(self, value: object) -> str:
        """A choice as it is said: yes, no, unknown, absent, or as it is."""
        if value is ABSENT:
            return self("absent")
        if value is None:
            return self("unknown")
        return self("yes" if value else "no") if isinstance(value, bool) else plain(str(value))

    def told(self, name: str) -> str:
        """What a choice of a recipe or a network is called; a place in it, where there is no word for it."""
        key = f"told_{name}"
        return self(key) if key in self._texts else plain(name)

    def join(self, items: Sequence[str]) -> str:
        """ "a, b and c"."""
        if len(items) < 2:
            return "".join(items)
        return self("comma").join(items[:-1]) + self("and") + items[-1]
