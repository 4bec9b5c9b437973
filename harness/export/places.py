"""Where frameworks write what they export: some take only the plainest of paths."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLAIN = re.compile(r"[0-9A-Za-z@_./-]+")  # MindSpore 2.10 refuses every other character in a path
_PLACES = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def plain_folder() -> Iterator[Path]:
    """A temporary folder without blanks and letters beyond ASCII in its path, where the machine has a place for one."""
    places = [
        place for place in (tempfile.gettempdir(), *_PLACES) if _PLAIN.fullmatch(place) and os.access(place, os.W_OK)
    ]
    with tempfile.TemporaryDirectory(dir=places[0] if places else None) as name:
        yield Path(name)
