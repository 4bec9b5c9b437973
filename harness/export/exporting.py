"""``export``: write a network in a form, run what was written in a process of its own, and compare."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.export.forms import TOLERANCE, ExportForm, Trained, difference, opened, write
from harness.export.places import plain_folder
from results.files import TEMPORARY, explained
from specs.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Exported:
    """``files`` are within ``folder``; ``largest_difference`` is of the logits, relative to the reference's largest."""

    folder: Path
    format: str
    runner: str
    runner_version: str
    files: list[str]
    largest_difference: float


class Differs(Exception):
    """What was written computes something else; nothing of it is kept."""


def export(form: ExportForm, trained: Trained, folder: Path, *, threads: int) -> Exported:
    """Make ``folder`` with the exported network and export.json, which says what it is; whole or not at all.

    Raises RequestError for a folder that is there, Unsupported or WorkerFailed where the framework cannot, Differs.
    """
    if folder.exists():
        raise RequestError(f"{folder} is already there: name another folder with --out")
    with explained("write", folder):  # before the work, which takes a while
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
    try:
        with plain_folder() as plain:
            exported = _checked(form, trained, plain, folder, threads=threads)
            (plain / "export.json").write_text(json.dumps(description(exported, trained), indent=2) + "\n")
            with explained("write", folder):
                shutil.copytree(plain, partial, dirs_exist_ok=True)
                partial.chmod(0o755)
                partial.rename(folder)
        return exported
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _checked(form: ExportForm, trained: Trained, directory: Path, folder: Path, *, threads: int) -> Exported:
    """Write the network into ``directory``, and run and compare it there."""
    write(form, trained, directory, threads=threads)
    with opened(form, directory, trained.architecture, threads=threads) as (worker, predictor):
        found = difference(predictor, trained)
        version = worker.loaded.framework.framework_version
    if not found <= TOLERANCE:
        raise Differs(f"{form.name}: logits differ by {found:.1e} of the largest, more than {TOLERANCE:g}")
    return Exported(
        folder=folder,
        format=form.name,
        runner=form.runner.name,
        runner_version=version,
        files=sorted(str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()),
        largest_difference=found,
    )


def description(exported: Exported, trained: Trained) -> dict[str, object]:
    """export.json: what a program that runs the form needs to know of it."""
    architecture = trained.architecture
    return {
        **asdict(exported),
        "folder": exported.folder.name,
        "architecture": architecture.name,
        "input": list(architecture.input),
        "classes": architecture.classes,
        "preprocessing": asdict(trained.preprocessing),
    }
