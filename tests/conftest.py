"""What every room of the tests may use, and how they share the machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from backends.registry import MANNERS
from harness.processes.environments import find_python
from specs.errors import RequestError


def pytest_configure() -> None:
    """Tests that share the machine have a processor each, and the runs that they start one thread.

    Two runs that both use all processors wait for each other at every barrier of their threads, ten times as long as
    they compute. Started in the background, as by ``nohup make test &``, they would ignore an interrupt, and so would
    whatever they start and interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(worker.removeprefix("gw")) % len(processors)]})


LONG = (
    *("conformance/test_backends.py", "reliability/test_kills.py", "end_to_end/test_checkpoints.py"),
    *("harness/racing/test_workers.py", "harness/processes/test_environments.py", "reliability/test_faults.py"),
    *("conformance/test_planted_mistakes.py", "reliability/test_soak.py", "end_to_end/test_extending.py"),
    *("conformance/test_adapter_mistakes.py", "conformance/test_contract.py", "harness/execution/test_cluster.py"),
    *("harness/execution/test_driver.py", "end_to_end/test_main_line.py", "end_to_end/test_versions.py"),
    *("harness/cli/test_results.py", "harness/cli/test_setup.py"),
)
"""Files that take a minute and more. They come first, so that in the end no processor waits for one of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(str(item.path.relative_to(here)), len(LONG)))


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # pytest-xdist is untyped here
    """A file at a time on each processor; of the checks of all backends those of one in one manner."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        used = re.search(rf"\[(\w+-({'|'.join(MANNERS)}))-", nodeid)
        return f"{file} {used[1]}" if used else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """What shares out the tests, however many processors they have."""
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def backend_python() -> Callable[[str], Path]:
    """``backend_python(name)`` is the interpreter with that framework; without one the test is skipped."""

    def find(name: str) -> Path:
        try:
            return find_python(name)
        except RequestError as error:
            if f"HARNESS_PYTHON_{name.upper()}" in os.environ:
                raise  # one that is named and does not work is a mistake, not an absence
            pytest.skip(str(error))

    return find


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, 2 MiB; where none may be mounted the test is skipped."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many of the planted mistakes were caught, and which were not.

    It stands here because the process that prints it collects no tests when others run them side by side.
    """
    caught: dict[str, int] = Counter()
    missed: dict[str, list[str]] = defaultdict(list)
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        match dict(report.user_properties):
            case {"planted": str(title), "mistake": str(mistake)}:
                caught[title] += report.passed
                missed[title] += [] if report.passed else [mistake]
    for title, count in caught.items():
        terminalreporter.write_line(f"{title}: {count} of {count + len(missed[title])} caught")
        for mistake in missed[title]:
            terminalreporter.write_line(f"  not caught: {mistake}", red=True)
