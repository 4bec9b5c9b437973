"""Whether the quick scope catches a mistake in a real adapter: in a worker that has it, by the product's own checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from harness.conformance.judge import Candidate
from harness.conformance.outcome import CheckOutcome
from harness.conformance.running import Workplace
from harness.conformance.suite import Check, Suite
from harness.processes import launcher
from tests.conformance.mistakes.patch import Mistake


def checks_of(suite: Suite, mistake: Mistake) -> tuple[Check, ...]:
    """Those that have to catch it."""
    return tuple(check for check in suite.checks([mistake.level]) if check.name.startswith(mistake.check))


def outcomes_of(
    checks: tuple[Check, ...], mistake: Mistake, tree: Path, *, python: Path | None = None
) -> Iterator[CheckOutcome]:
    """What the checks say, one after another, of a worker started from ``tree``, in which the mistake was planted."""
    with (
        mock.patch.object(launcher, "CODE", tree),
        Workplace(mistake.backend, mistake.manner, python=python) as workplace,
    ):
        candidate = Candidate(name=str(mistake), open=workplace.open, train=workplace.train, play=workplace.play)
        for check in checks:
            yield from check.run(candidate)


def catches(outcome: CheckOutcome) -> bool:
    """Whether it says that something is wrong; that something broke is easier and does not count."""
    return outcome.status == "fail" and outcome.quantity != "completion"
