"""What a result set says of itself beside its records: set.json and conformance.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from backends.registry import Manner
from results.files import read_bounded, write_atomic
from results.formatting import plain
from results.record import SCHEMA, Command, Count, Name, Schema, Text
from specs.errors import RequestError

SIZE_LIMIT = 8 * 2**20
"""Bytes of the largest file that is read here."""


class Earlier(BaseModel):
    """What was asked of a set until it grew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: Name  # UTC, ISO 8601
    command: Command | None = None
    study: dict[str, Any] = Field(default_factory=dict)


class SetManifest(BaseModel):
    """set.json. ``study`` holds the choices of the set, as plain data; ``command`` makes it again.

    ``history`` has those that held before the set grew, the oldest first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Schema = Field(default=SCHEMA, alias="schema")
    name: Name
    created: Name  # UTC, ISO 8601
    command: Command | None = None
    study: dict[str, Any] = Field(default_factory=dict)
    history: tuple[Earlier, ...] = Field(default=(), max_length=1000)

    @classmethod
    def new(cls, name: str, study: Mapping[str, Any], command: str | None) -> SetManifest:
        """The manifest of a set made now."""
        return cls(name=name, created=_now(), command=command, study=dict(study))

    def grown(self, study: Mapping[str, Any], command: str) -> SetManifest:
        """The manifest of the set when more is asked of it."""
        earlier = Earlier(until=_now(), command=self.command, study=self.study)
        return self.model_copy(
            update={"study": dict(study), "command": command, "history": (*self.history, earlier)[-1000:]}
        )

    @classmethod
    def read(cls, file: Path) -> SetManifest:
        """Raises RequestError for another schema and for anything that ``write`` did not write."""
        text = read_bounded(file, SIZE_LIMIT)
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{file}: not JSON: {error}") from error
        if isinstance(data, dict) and data.get("schema") not in get_args(Schema):
            raise RequestError(f"{file}: {other_schema(data.get('schema'))}")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise RequestError(f"{file}: not a result set: {first_problem(error)}") from error

    def write(self, file: Path) -> None:
        """Write set.json whole. Raises StoreError."""
        write_atomic(file, self.model_dump_json(by_alias=True, indent=2) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class BackendConformance(BaseModel):
    """What the conformance suite last said of one backend; ``failures`` names the checks that failed.

    It holds for this version and manner alone; ``tuning`` is None where it was kept before there were three.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Name | None = None  # the name it is kept under, where that is None
    framework_version: Name
    tuning: Manner | None = None
    checked_at: Name  # UTC, ISO 8601
    passed: Count
    unsupported: Count = 0
    failures: tuple[Text, ...] = Field(default=(), max_length=10_000)


Conformance = Annotated[dict[Name, BackendConformance], Field(max_length=100)]
_CONFORMANCE: TypeAdapter[dict[str, BackendConformance]] = TypeAdapter(Conformance)


def write_conformance(file: Path, conformance: Mapping[str, BackendConformance]) -> None:
    """Replace conformance.json. Raises StoreError."""
    write_atomic(file, _CONFORMANCE.dump_json(dict(conformance), indent=2) + b"\n")


def read_conformance(file: Path) -> dict[str, BackendConformance]:
    """What the file says per backend; empty where it is not there. Raises RequestError for anything else in it."""
    if not file.is_file():
        return {}
    try:
        return _CONFORMANCE.validate_json(read_bounded(file, SIZE_LIMIT))
    except ValidationError as error:
        raise RequestError(f"{file}: {first_problem(error)}") from error


def other_schema(found: object) -> str:
    """Why something written under another schema is refused."""
    if isinstance(found, int) and found > SCHEMA:
        return f"written under schema {found}, this harness knows {SCHEMA}: upgrade the harness to read it"
    return f"no known schema ({found!r:.40}), this harness knows {SCHEMA}"


def first_problem(error: ValidationError) -> str:
    """The first problem of a failed validation in one line: where and what."""
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = plain(".".join(str(part) for part in detail["loc"]), 200)  # an unknown key is a stranger's word
    return f"{where}: {detail['msg']}" if where else detail["msg"]
