"""What the suite last said of each backend, kept in the user's cache so that a comparison's report can show it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from harness.conformance.outcome import BackendReport
from results.files import write_atomic
from results.manifest import BackendConformance
from results.record import Row
from specs.program import CODE


def remember(report: BackendReport, framework_version: str) -> None:
    """Keep the standing of a backend: it holds for this framework version and for this state of the adapters alone."""
    standing = BackendConformance(
        framework_version=framework_version,
        checked_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        passed=sum(outcome.status == "pass" for outcome in report.outcomes),
        unsupported=sum(outcome.status == "unsupported" for outcome in report.outcomes),
        failures=tuple(
            f"{outcome.level}: {outcome.check} ({outcome.quantity}, {outcome.precision})"
            for outcome in report.outcomes
            if outcome.status == "fail"
        ),
    )
    write_atomic(_file(report.backend, framework_version), standing.model_dump_json(indent=2) + "\n")


def standings(rows: Iterable[Row]) -> dict[str, BackendConformance]:
    """The standing of each backend among these runs, as far as one was remembered for the version that ran."""
    versions = {row.backend: row.framework_version for row in rows if row.framework_version}
    found = {}
    for backend, version in versions.items():
        file = _file(backend, version)
        if file.is_file():
            try:
                found[backend] = BackendConformance.model_validate_json(file.read_bytes())
            except ValidationError:  # a damaged file is as good as none: the report says "not checked"
                continue
    return found


def _file(backend: str, framework_version: str) -> Path:
    """Named after the backend and a digest of what a standing depends on: version, specs and adapters."""
    import platformdirs

    digest = hashlib.sha256(f"{backend} {framework_version}".encode())
    for room in ("specs", "backends"):
        for source in sorted((CODE / room).rglob("*.py")):
            digest.update(str(source.relative_to(CODE)).encode() + source.read_bytes())
    folder = Path(platformdirs.user_cache_dir("framework-harness")) / "conformance"
    return folder / f"{backend}-{digest.hexdigest()[:16]}.json"
