"""The environments that were made here: which of them something still leads to, and the removing of the others."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.registry import BACKENDS, Registration, find
from harness.processes.managed import STAMP, Environment
from harness.processes.places import root
from specs.errors import RequestError

_FOLDER = re.compile(r"(.+)-[0-9a-f]{10}")


@dataclass(frozen=True)
class MadeEnvironment:
    """An environment on disk. ``subject`` is what it was made for, None of one that is half-made."""

    directory: Path
    subject: str | None

    @property
    def name(self) -> str:
        """The backend's."""
        found = _FOLDER.fullmatch(self.directory.name)
        return found[1] if found else self.directory.name

    @property
    def current(self) -> bool:
        """Whether what it was made for still leads to it: the pins and this Python are the same."""
        if self.subject is None:
            return False
        try:
            return Environment(find(self.subject)).directory == self.directory
        except RequestError:  # of a backend that is registered no more
            return False

    def size_mb(self) -> float:
        """MiB that its files take."""
        sizes = (os.lstat(Path(place, file)).st_size for place, _, files in os.walk(self.directory) for file in files)
        return sum(sizes) / 2**20

    def remove(self) -> bool:
        """Delete it and its log; False where a set-up of this backend is under way."""
        with (root() / f"{self.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            # The stamp first: what is left of an interrupted removing must not pass for an environment.
            (self.directory / STAMP).unlink(missing_ok=True)
            shutil.rmtree(self.directory)
            self.directory.with_name(f"{self.directory.name}.log").unlink(missing_ok=True)
        return True


def made() -> Iterator[MadeEnvironment]:
    """All that are here, half-made ones too."""
    for folder in sorted(root().glob("*-*")):
        if _FOLDER.fullmatch(folder.name) and folder.is_dir():
            yield MadeEnvironment(folder, _subject(folder))


def versions_made() -> list[Registration]:
    """The backends in versions of their own that are ready here."""
    return [find(one.subject) for one in made() if one.subject is not None and "@" in one.subject and one.current]


def unnamed(named: Iterable[Registration]) -> list[MadeEnvironment]:
    """Those that neither the pins of a backend nor one of ``named`` leads to."""
    kept = {Environment(registration).directory for registration in (*BACKENDS.values(), *named)}
    return [one for one in made() if one.directory not in kept]


def _subject(folder: Path) -> str | None:
    try:
        stamp = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return None
    # One that was made before versions could be named has its backend's pins.
    return str(stamp.get("subject") or folder.name.rpartition("-")[0])
