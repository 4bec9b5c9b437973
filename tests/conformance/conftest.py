"""Options and shared suites of the conformance tests.

``pytest tests/conformance --backend paddle`` judges one backend; without the option all installed ones are judged and
the others are skipped with their reason. ``--manner expert`` judges one manner of using it; without the option all that
it has are judged. ``--scope full`` asks for everything that ``conform`` does by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from backends.registry import MANNERS, Manner, find, frameworks
from harness.conformance.judge import Candidate
from harness.conformance.running import Workplace
from harness.conformance.suite import FULL, QUICK, Check, Suite
from harness.datasets import find_mnist
from harness.processes.environments import find_python
from specs.errors import RequestError

_SUITE = pytest.StashKey[Suite]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--backend", action="append", help="Judge this backend (repeatable); default: all installed.")
    group.addoption("--manner", action="append", choices=MANNERS, help="Judge this manner; default: all it has.")
    group.addoption("--scope", choices=("quick", "full"), default="quick", help="How much is judged.")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SUITE] = Suite(FULL if config.getoption("scope", "quick") == "full" else QUICK, mnist=find_mnist())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every check on every backend in every manner; all checks of one in a row, so that one worker serves them."""
    if "used" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("manner") or MANNERS
        used = [(name, m) for name in _chosen(metafunc.config) for m in find(name).create().manners if m in wanted]
        metafunc.parametrize("used", used, ids="-".join, scope="module")
    if "check" in metafunc.fixturenames:
        metafunc.parametrize("check", metafunc.config.stash[_SUITE].checks(), ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("scope", "quick") == "full" or config.getoption("backend", None):
        return
    for item in items:
        params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        if {"used", "check"} <= params.keys() and _left_out(params["used"], params["check"]):
            reason = f"computed alike in another manner, or compiled for minutes: --backend {params['used'][0]} runs it"
            item.add_marker(pytest.mark.skip(reason=reason))


OWN_LAYERS = {
    ("jax", "expert"): {"poolings side by side"},
    ("mindspore", "expert"): {"poolings side by side", "recurrent side by side"},
}
"""The families with layers that a backend which compiles every network anew computes otherwise in another manner."""


def _left_out(used: tuple[str, Manner], check: Check) -> bool:
    """What a quick run leaves to ``--scope full``: what is the same in another manner, and compilations."""
    backend, manner = used
    if check.level == "layers":
        return manner == "default" or check.name not in OWN_LAYERS.get(used, {check.name})
    if check.level == "runs":
        return manner != "recommended"
    if backend == "jax":
        return manner != "recommended" or check.level == "networks"
    return check.level == "networks" and (manner == "default") != (backend == "mindspore")


def _chosen(config: pytest.Config) -> list[str]:
    try:
        named = [find(name).name for name in config.getoption("backend", None) or ()]
        for name in named:
            find_python(name)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from None
    return named or list(frameworks())


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The reference computes while the worker does, and leaves it its processor."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")  # and no longer: its worker would stand beside the tests of other files
def candidate(used: tuple[str, Manner], backend_python: Callable[[str], Path]) -> Iterator[Candidate]:
    """A backend in one manner, in a worker of its own environment; skipped with the reason where there is none."""
    backend, manner = used
    backend_python(backend)
    with Workplace(backend, manner) as workplace:
        yield Candidate(name=f"{backend}, {manner}", open=workplace.open, train=workplace.train, play=workplace.play)
