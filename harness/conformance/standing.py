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
from specs.versioned import Versioned


def remember(report: BackendReport) -> None:
    """Keep the standing of a backend: it holds for its manner, version and this state of adapters and suite alone."""
    standing = BackendConformance(
        framework_version=report.framework_version,
        checked_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        passed=sum(outcome.status == "pass" for outcome in report.outcomes),
        unsupported=sum(outcome.status == "unsupported" for outcome in report.outcomes),
        failures=tuple(
            f"{report.tuning}: {outcome.level}: {outcome.check} ({outcome.quantity}, {outcome.precision})"
            for outcome in report.outcomes
            if outcome.status == "fail"
        ),
    )
    file = _file(Versioned.parse(report.backend).name, report.tuning, report.framework_version)
    write_atomic(file, standing.model_dump_json(indent=2) + "\n")


def standings(rows: Iterable[Row]) -> dict[str, BackendConformance]:
    """The standing of each backend in every version and manner that ran, as far as one was remembered."""
    ran = dict.fromkeys(
        (row.backend, row.tuning.manner, row.framework_version) for row in rows if row.framework_version is not None
    )
    found = {}
    for backend, tuning, version in ran:
        if (standing := _standing(backend, tuning, version)) is not None:
            found[f"{backend} {version} {tuning}"] = standing.model_copy(update={"backend": backend, "tuning": tuning})
    return found


def _standing(backend: str, tuning: str, version: str) -> BackendConformance | None:
    file = _file(backend, tuning, version)
    if not file.is_file():
        return None
    try:
        return BackendConformance.model_validate_json(file.read_bytes())
    except ValidationError:  # a damaged file is as good as none: the report says "not checked"
        return None


def _file(backend: str, tuning: str, framework_version: str) -> Path:
    """Named after backend and manner and a digest of what a standing depends on: version, specs, adapters and suite."""
    import platformdirs

    digest = hashlib.sha256(f"{backend} {tuning} {framework_version}".encode())
    for room in ("specs", "backends", "harness/conformance"):
        for source in sorted((CODE / room).rglob("*.py")):
            digest.update(str(source.relative_to(CODE)).encode() + source.read_bytes())
    folder = Path(platformdirs.user_cache_dir("framework-harness")) / "conformance"
    return folder / f"{backend}-{tuning}-{digest.hexdigest()[:16]}.json"
