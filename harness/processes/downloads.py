"""What a set-up would install, resolved by pip without installing it, and how much of it must be downloaded."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.processes.pins import Pins
from specs.versioned import version_order

LEAST_PIP = "25.3"
"""An older pip downloads whatever it resolves, in a dry run too."""


@dataclass(frozen=True)
class Package:
    """What pip would install. ``size``: bytes to download, 0 of what lies on a disk, None where the index is silent."""

    name: str
    version: str
    size: int | None

    @property
    def of_cuda(self) -> bool:
        """Whether it belongs to CUDA."""
        return self.name.lower().replace("_", "-").startswith(("nvidia-", "cuda-"))


def able() -> bool:
    """Whether the pip of the running interpreter resolves without downloading."""
    try:
        return version_order(importlib.metadata.version("pip")) >= version_order(LEAST_PIP)
    except importlib.metadata.PackageNotFoundError:
        return False


def resolved(pins: Pins, run: Callable[[list[str], Path], object]) -> list[Package]:
    """All that an empty environment would be given, by the running interpreter's pip: it has the same Python.

    ``run`` takes pip's command and the place of pip's own log, and raises what it will where that fails.
    """
    with TemporaryDirectory() as place:
        folder = Path(place)
        report, log = folder / "report.json", folder / "pip.log"
        words = ["--dry-run", "--ignore-installed", "--use-feature=fast-deps", "--report", str(report)]
        command = [sys.executable, "-I", "-m", "pip", "install", *words, "--log", str(log), *pins.options(folder)]
        run(command, log)
        found = json.loads(report.read_text())["install"]
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(_bytes, [item["download_info"]["url"] for item in found]))
    named = [(item["metadata"]["name"], item["metadata"]["version"]) for item in found]
    return [Package(*name, size) for name, size in zip(named, sizes, strict=True)]


def told(packages: list[Package]) -> str:
    """How much it is, in words, with the three largest."""
    sizes = {package.name: package.size / 2**20 for package in packages if package.size}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    count = f"{len(packages)} packages" if len(packages) > 1 else "1 package"
    said = f"{count}, at most {sum(sizes.values()):,.0f} MiB to download"
    if largest:
        said += f" (the largest: {', '.join(f'{name} {sizes[name]:,.0f}' for name in largest)})"
    silent = sum(package.size is None for package in packages)
    return f"{said}, and {silent} of which the index tells no size" if silent else said


def _bytes(url: str) -> int | None:
    """What the index says of the file's size; a failure to say is none of the set-up."""
    import requests

    if url.startswith("file:"):
        return 0
    try:
        answer = requests.head(url, allow_redirects=True, timeout=20, verify=os.environ.get("PIP_CERT") or True)
    except requests.RequestException:
        return None
    size = answer.headers.get("Content-Length", "")
    return int(size) if answer.ok and size.isdecimal() and "Content-Encoding" not in answer.headers else None
