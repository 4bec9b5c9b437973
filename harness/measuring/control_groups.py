"""Where a controller of this process's control groups keeps its files, in version 1 and version 2.

The process's group and every group above it may have a limit, and the tightest counts. Sources: the kernel's
Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/, proc(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

Controller = Literal["cpu", "memory"]


@dataclass(frozen=True)
class _Mount:
    """``root`` is the group that is seen at ``point``; ``version`` 1 is of a hierarchy with the controller."""

    version: int
    root: PurePosixPath
    point: PurePosixPath


def folders(controller: Controller, system: Path = Path("/")) -> list[tuple[int, Path]]:
    """Of the process's group and all above it the version and the folder; empty where there are no groups.

    ``system`` stands for the root of the file system.
    """
    try:
        groups = _groups((system / "proc/self/cgroup").read_text(), controller)
        mounts = list(_mounts((system / "proc/self/mountinfo").read_text(), controller))
    except OSError:
        return []
    return [
        (mount.version, system / folder.relative_to("/"))
        for mount in mounts
        if mount.version in groups
        for folder in _folders(mount, groups[mount.version])
    ]


def _groups(text: str, controller: Controller) -> dict[int, PurePosixPath]:
    """The process's group in version 2, and in version 1 that of the controller."""
    groups = {}
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            groups[2] = PurePosixPath(path)
        elif controller in controllers.split(","):
            groups[1] = PurePosixPath(path)
    return groups


def _mounts(text: str, controller: Controller) -> Iterator[_Mount]:
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        if not rest:
            continue
        kind, _, options = (*rest.split(), "", "")[:3]
        root, point = (PurePosixPath(_unescaped(field)) for field in fields.split()[3:5])
        if kind == "cgroup2":
            yield _Mount(2, root, point)
        elif kind == "cgroup" and controller in options.split(","):
            yield _Mount(1, root, point)


def _unescaped(field: str) -> str:
    """Blanks and backslashes stand as octal numbers in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _folders(mount: _Mount, group: PurePosixPath) -> Iterator[PurePosixPath]:
    """The folders of the group and of all above it that the mount shows; of one that it does not show, its top."""
    shown = group.is_relative_to(mount.root) and ".." not in group.parts
    within = group.relative_to(mount.root) if shown else PurePosixPath()
    yield mount.point / within
    for above in within.parents:
        yield mount.point / above
