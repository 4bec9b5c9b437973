"""A comparison that is continued: what is not said is as it was, what is said may add rounds, backends and the like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.planning.study import Study
from results.store import ResultSet
from specs.errors import RequestError

LISTS = ("backends", "models", "datasets", "seeds", "tuning")
"""Choices that may be added to."""
FREE = ("name", "baseline", "timeout", "stall_timeout", "retry_noisy", "proof", "race", "budget", "precision_target")
"""Choices that say nothing of what a run computes from what: they may be replaced."""


def grown(results: ResultSet, given: Mapping[str, Any]) -> Study:
    """The study of ``results`` with what was ``given`` added to it; it never gets less.

    Raises RequestError where the set is of no comparison, and for a choice that would make its runs others.
    """
    if not results.manifest.study:
        raise RequestError(f"--resume: {results.path} holds single runs and is no comparison: choose another --name")
    try:
        before = Study.from_dict(results.manifest.study)
    except (TypeError, ValueError) as error:
        raise RequestError(f"{results.path / 'set.json'}: not a study: {error}") from error
    asked = replace(before, **given)
    more: dict[str, Any] = {name: (*getattr(before, name), *getattr(asked, name)) for name in LISTS}
    whole = replace(asked, **more, repeats=max(before.repeats, asked.repeats))
    _check_same(results.path, before, whole)
    return whole


def _check_same(place: Path, before: Study, after: Study) -> None:
    old, new = before.to_dict(), after.to_dict()
    changed = [name for name in old if name not in (*LISTS, *FREE, "repeats") and old[name] != new[name]]
    if changed:
        differences = " and ".join(
            f"{name.replace('_', '-')} {_said(old[name])}, not {_said(new[name])}" for name in changed
        )
        raise RequestError(
            f"--resume: {place} was made with {differences}: resume it with what it was made with, "
            "or choose another --name"
        )


def _said(value: Any) -> str:
    return "as by default" if value is None else str(value)
