"""The data sets' place in the user's cache: whole files or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def folder(name: str) -> Path:
    """A named folder of the cache; it may not exist yet."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("framework-harness")) / "data" / name


def write(path: Path, chunks: Iterable[Any]) -> bool:
    """Write a file whole, by way of a temporary one; False when the cache cannot be written to, which does no harm."""
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
            partial = Path(file.name)
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        if partial is not None:
            partial.unlink(missing_ok=True)
        return False
    return True
