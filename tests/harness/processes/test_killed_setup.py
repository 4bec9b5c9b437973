"""A set-up that is killed or told to stop leaves nobody writing, and the next one repairs what it left."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.processes.managed import Environment, SetupInterrupted
from tests.harness.processes.test_environments import Pinned

ROOT = Path(__file__).parents[3]
SETUP = """
import sys
from pathlib import Path
from harness.processes.managed import Environment
from tests.harness.processes.test_environments import Pinned
tiny = Pinned(name="tiny", title="Tiny", adapter="none:None", framework="json", pins=Path(sys.argv[1]))
Environment(tiny).ensure(print)
"""


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Requirements from an index that takes connections and never answers: pip waits for as long as the test likes."""
    monkeypatch.setenv("HARNESS_ENVS", str(tmp_path / "envs"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with socket.create_server(("127.0.0.1", 0)) as index:
        file = tmp_path / "pins.txt"
        file.write_text(f"--index-url http://127.0.0.1:{index.getsockname()[1]}/simple\nno-such-distribution==0.0\n")
        yield file


def environment(pins: Path) -> Environment:
    return Environment(Pinned(name="tiny", title="Tiny", adapter="none:None", framework="json", pins=pins))


def at_work(folder: Path) -> dict[int, str]:
    """The processes whose command line names the folder."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # it has just ended
            continue
        if str(folder) in words and state != "Z":
            found[int(entry.name)] = words
    return found


def wait_for(what: str, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not any(what in words for words in at_work(folder).values()):
        assert time.monotonic() < deadline, f"no {what} was seen"
        time.sleep(0.01)


def settled(folder: Path) -> dict[int, str]:
    """Who is still at work after a moment."""
    deadline = time.monotonic() + 3
    while at_work(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    return at_work(folder)


@pytest.mark.parametrize("moment", ["-m ensurepip", "-m pip install"])
def test_killed(moment: str, pins: Path, tmp_path: Path) -> None:
    made = environment(pins)
    parent = subprocess.Popen([sys.executable, "-c", SETUP, str(pins)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_for(moment, made.directory)
        with (tmp_path / "envs" / "tiny.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert settled(made.directory) == {}
    pins.write_text(pins.read_text().replace("no-such-distribution==0.0", ""))
    whole = Environment(made.registration)
    whole.directory = made.directory  # the pins that can be had are another environment: repair the one that was left
    whole.python = made.python
    said: list[str] = []
    assert whole.ensure(said.append)
    assert "removing a half-made environment" in said
    assert whole.ready()


def test_told_to_stop(pins: Path) -> None:
    made = environment(pins)
    outcome: list[BaseException] = []

    def ensure() -> None:
        try:
            made.ensure(lambda line: None)
        except SetupInterrupted as error:
            outcome.append(error)

    thread = threading.Thread(target=ensure)
    thread.start()
    try:
        wait_for("-m pip install", made.directory)
    finally:
        made.stop()
        thread.join(10)
    assert not thread.is_alive()
    assert "setup tiny makes it anew" in str(outcome[0])
    assert settled(made.directory) == {}
    assert not made.ready()
