"""The result sets of a folder: found by name, and deleted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from results.files import explained
from results.store import ResultSet
from specs.errors import RequestError, nearest

PARTS = (
    *("runs", "checkpoints", "images", "races", "plots", "tables", "compared"),
    *("report.html", "report.md", "conformance.json", "study.yaml", "samples.jsonl", "records.jsonl"),
    *(".lock", ".claim", "set.json"),
)
"""What a set is made of, set.json last: one that was deleted half way is a set still, and can be deleted again."""


def sets_in(folder: Path) -> Iterator[Path]:
    """The folders of the sets: ``folder`` itself, where single runs are recorded, and those in it, by name."""
    if (folder / "set.json").is_file():
        yield folder
    if folder.is_dir():
        yield from sorted(place.parent for place in folder.glob("*/set.json"))


def find_set(name: str, folder: Path) -> Path:
    """The set of that name in ``folder``, or at that path. Raises RequestError, naming the nearest."""
    if (folder / name / "set.json").is_file():
        return folder / name
    if (Path(name) / "set.json").is_file():
        return Path(name)
    names = [place.name for place in sets_in(folder)]
    if name in names:  # the folder's own
        return folder
    hint = nearest(name, names)
    raise RequestError(
        f"there is no result set {name!r} in {folder}"
        + (f"; did you mean {hint!r}?" if hint else f" (there are: {', '.join(names[:20])})" if names else "")
    )


def delete(results: ResultSet) -> list[str]:
    """Delete a set, and nothing else that lies in its folder: what is left there is returned, by name.

    Links are deleted and not followed. Raises RequestError where a comparison is at work in it, and StoreError.
    """
    with results.claim(), explained("delete", results.path):
        for part in PARTS:
            place = results.path / part
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
    with explained("delete", results.path):
        left = sorted(place.name for place in results.path.iterdir())
        if not left and not results.path.is_symlink():
            results.path.rmdir()
    return left
