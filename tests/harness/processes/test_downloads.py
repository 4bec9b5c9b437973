"""What a set-up would download is resolved by pip without downloading it, and counted by what the index says."""

from __future__ import annotations

import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.processes.downloads import LEAST_PIP, Package, able, resolved, told
from harness.processes.pins import Pins

needs_pip = pytest.mark.skipif(not able(), reason=f"this Python's pip is older than {LEAST_PIP}: make setup")


class Index(SimpleHTTPRequestHandler):
    """A package index on loopback that keeps what it was asked for."""

    asked: list[tuple[str, str]]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append((self.command, self.path.rpartition("/")[2]))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, type[Index]]]:
    """Its options for pip, and the handler; it has "frame", which needs "base"."""
    for name, needed, size in (("frame", "Requires-Dist: base\n", 3 * 2**20), ("base", "", 2**20)):
        folder = tmp_path / "simple" / name
        folder.mkdir(parents=True)
        file = folder / f"{name}-1.0-py3-none-any.whl"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needed}"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{name}.bin", os.urandom(size))
            archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        file.with_name(f"{file.name}.metadata").write_text(metadata)
        (folder / "index.html").write_text(
            f'<!doctype html><a href="{file.name}" data-dist-info-metadata="true">{file.name}</a>'
        )
    handler = type("Own", (Index,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"--index-url http://127.0.0.1:{server.server_port}/simple", handler
        server.shutdown()
        thread.join()


def run(command: list[str], log: Path) -> None:
    subprocess.run(command, check=True, env={**os.environ, "PIP_CONFIG_FILE": os.devnull}, capture_output=True)


@needs_pip
def test_nothing_is_downloaded_to_find_out(index: tuple[str, type[Index]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    options, handler = index
    found = resolved(Pins((options, "frame==1.0"), ("base==1.0",)), run)
    assert {(package.name, package.version) for package in found} == {("frame", "1.0"), ("base", "1.0")}
    assert {package.name: round((package.size or 0) / 2**20) for package in found} == {"frame": 3, "base": 1}
    assert ("HEAD", "frame-1.0-py3-none-any.whl") in handler.asked
    assert not [path for method, path in handler.asked if method == "GET" and path.endswith(".whl")]
    assert told(found) == "2 packages, at most 4 MiB to download (the largest: frame 3, base 1)"


@needs_pip
def test_what_lies_on_a_disk_is_not_downloaded(tmp_path: Path, index: tuple[str, type[Index]]) -> None:
    places = (f"--find-links {tmp_path / 'simple' / name}" for name in ("frame", "base"))
    found = resolved(Pins(("--no-index", *places, "frame"), ()), run)
    assert [package.size for package in found] == [0, 0]
    assert told(found) == "2 packages, at most 0 MiB to download"


def test_an_index_that_tells_no_size_is_said_to() -> None:
    found = [Package("frame", "1.0", 2**20), Package("base", "1.0", None)]
    said = "2 packages, at most 1 MiB to download (the largest: frame 1), and 1 of which the index tells no size"
    assert told(found) == said
