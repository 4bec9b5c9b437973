"""A mistake as a patch of one file of an adapter, and a source tree that has it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from backends.registry import Manner
from specs.program import CODE

ROOMS = ("specs", "harness", "results")
"""What a worker imports beside the adapters, unchanged."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """``right``, which stands exactly once in ``file`` of the backend's folder, becomes ``wrong``; ``more`` likewise.

    ``level`` of the quick scope has to catch it in ``manner``, in a check whose name starts with ``check``.
    """

    name: str
    backend: str
    file: str
    right: str
    wrong: str
    level: str
    check: str = ""
    manner: Manner = "recommended"
    more: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.backend}-{self.name}".replace(" ", "_")

    @property
    def path(self) -> Path:
        """The file within the source tree."""
        return Path("backends", self.backend, self.file)

    def mistaken(self) -> str:
        """The file's text with the mistake in it. Raises ValueError where ``right`` does not stand there once."""
        text = (CODE / self.path).read_text()
        for right, wrong in ((self.right, self.wrong), *self.more):
            if (count := text.count(right)) != 1:
                raise ValueError(f"{self}: {right!r} stands {count} times in {self.path}")
            text = text.replace(right, wrong)
        return text

    def plant(self, tree: Path) -> None:
        """Make the empty folder ``tree`` a source tree that has the mistake."""
        for room in ROOMS:
            (tree / room).symlink_to(CODE / room, target_is_directory=True)
        shutil.copytree(CODE / "backends", tree / "backends", ignore=shutil.ignore_patterns("__pycache__"))
        (tree / self.path).write_text(self.mistaken())
