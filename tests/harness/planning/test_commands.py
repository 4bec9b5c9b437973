"""The command in a record is read again as the plan that it was recorded of."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from harness.checkpoints import read_checkpoint
from harness.cli.choosing import Chosen, takes
from harness.planning.choices import Choices, ComparisonChoices, RunChoices, command_line, table
from harness.planning.resolve import plan_run
from harness.planning.study import Study, plans_of
from results.record import Record
from tests.harness.cli.commands import assert_one_line, harness

NET = """
name: mine
input: [1, 4, 4]
classes: 3
layers: [flatten, linear: {out_features: 3}]
"""
RECIPE = """
name: slow
epochs: 2
batch_size: 8
optimizer: {sgd: {learning_rate: 0.1}}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, a recipe and a data set of one's own, in the current folder, whose name has a space."""
    folder = tmp_path / "my files"
    folder.mkdir()
    (folder / "net.yaml").write_text(NET)
    (folder / "recipe.yaml").write_text(RECIPE)
    rng = np.random.default_rng(0)
    parts = {
        f"{kind}_{part}": rng.integers(0, 256 if kind == "x" else 3, (20, 4, 4) if kind == "x" else 20, dtype=np.uint8)
        for kind in "xy"
        for part in ("train", "test")
    }
    np.savez(folder / "data.npz", **parts)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def parsed(cls: type[Choices], command: str) -> Any:
    """What the command line's own parser makes of it."""
    heard: list[Any] = []

    def run(chosen: Chosen[Any]) -> int:
        heard.append(chosen.made())
        return 0

    def compare(chosen: Chosen[Any], out: str | None = None, resume: bool = False) -> int:
        return run(chosen)

    app = typer.Typer()
    app.command()(takes(cls)(run if cls is RunChoices else compare))
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "harness"]
    typer.main.get_command(app).main(words[4:], standalone_mode=False)
    return heard[0]


OWN = "--backend numpy --model net.yaml --recipe recipe.yaml --dataset data.npz"
RUNS = {
    "bundled": "--backend numpy --model mlp",
    "own files": OWN,
    "everything": "--backend torch --model lenet5 --recipe lenet5 --dataset digits --epochs 3 --batch-size 7 --seed 5 "
    "--threads 1 --device cuda:0 --precision float64 --tuning expert --limit-train 70 --limit-test 30 "
    "--data-dir 'some where' --python /usr/bin/python3 --timeout 100.5 --stall-timeout 9 --memory-limit 900 "
    "--out 'an other' --no-save --no-proof --stop-after 2",
    "large seed": f"--backend numpy --model mlp --seed {2**63 - 1}",
}


@pytest.mark.parametrize("words", RUNS.values(), ids=RUNS)
def test_a_recorded_command_plans_the_same_run(words: str, files: Path) -> None:
    plan, _ = plan_run(parsed(RunChoices, f"python -m harness run {words}"))
    again, _ = plan_run(parsed(RunChoices, plan.command()))
    assert again == plan
    assert again.command() == plan.command()
    expected = parsed(RunChoices, plan.command("0123456789abcdef0123")).expect
    assert expected == ("0123456789abcdef" if "net.yaml" in words else None)


@pytest.mark.parametrize("cls", [RunChoices, ComparisonChoices])
def test_every_option_is_written_and_read(cls: type[Choices]) -> None:
    values: dict[str, Any] = {}
    for name, _, default in table(cls):
        hint = str(cls.__dataclass_fields__[name].type)
        number = any(word in name for word in ("epochs", "batch", "limit", "threads", "seed", "timeout", "repeats"))
        values[name] = {
            "save": False, "proof": False, "race": False, "budget": 7.5, "precision_target": 2.5,
            "device": "cuda:1", "retry_noisy": 2, "stop_after": 3, "seeds": (3, 1), "memory_limit": 7,
            "data_dir": Path("a b"), "python": Path("p"), "out": Path("o"), "resume": Path("r"),
        }.get(name, 4 if number else ("one", "two") if isinstance(default, tuple) else "word")  # fmt: skip
        assert hint
    choices = cls(**values)
    if cls is RunChoices:
        assert parsed(cls, command_line("run", choices)) == choices
    else:
        assert parsed(cls, command_line("compare", choices, "--resume")) == choices


def test_a_comparison_is_planned_again(files: Path) -> None:
    study = Study(
        name="mine",
        backends=("numpy", "torch"),
        models=("net.yaml",),
        recipe="recipe.yaml",
        datasets=("data.npz",),
        seeds=(3, 1),
        repeats=2,
        tuning=("all",),
        baseline="numpy",
        data_dir=Path("x y"),
    )
    again = Study(**vars(parsed(ComparisonChoices, command_line("compare", study, "--out", "o p", "--resume"))))
    assert again == study
    assert plans_of(again) == plans_of(study)
    for _, plan in plans_of(study):  # each run of it alone
        alone, _ = plan_run(parsed(RunChoices, plan.command()))
        assert alone == replace(plan, round=0)


def ran(*words: str, cwd: Path) -> Record:
    outcome = harness("run", *words, "--json", cwd=cwd)
    assert outcome.returncode == 0, outcome.stderr
    return Record.from_json(outcome.stdout)


def test_a_command_of_changed_files_is_refused(files: Path, tmp_path: Path) -> None:
    """Also for a run that resumes: typed again it gives the same fingerprints, until a file is edited."""
    first = ran(
        *OWN.split(),
        "--stop-after",
        "1",
        "--out",
        "set",
        cwd=files,
    )
    (checkpoint,) = (files / "set" / "checkpoints").iterdir()
    rest = ran("--resume", str(checkpoint.relative_to(files)), "--no-save", "--out", "set", cwd=files)
    for record in (first, rest):
        assert record.command is not None
        words = shlex.split(record.command)[4:]
        assert ran(*words, cwd=files).fingerprints == record.fingerprints
    command = shlex.split(first.command or "")[3:]
    for name, edit in (
        ("net.yaml", lambda file: file.write_text(NET.replace("flatten, linear", "flatten, relu, linear"))),
        ("recipe.yaml", lambda file: file.write_text(RECIPE.replace("0.1", "0.2"))),
        ("data.npz", lambda file: np.savez(file, **{**np.load(file), "x_test": np.zeros((20, 4, 4), np.uint8)})),
    ):
        shutil.copy(files / name, tmp_path / "kept")
        edit(files / name)
        assert_one_line(harness(*command, cwd=files), "--expect", name, "has changed since this command was recorded")
        shutil.copy(tmp_path / "kept", files / name)
    assert harness(*command, cwd=files).returncode == 0


def test_resuming_is_planned_again(files: Path) -> None:
    ran(
        *OWN.split(),
        "--out",
        "set",
        cwd=files,
    )
    (folder,) = (files / "set" / "checkpoints").iterdir()
    plan, _ = plan_run(RunChoices(resume=folder, epochs=4, backend="torch", save=False, threads=1))
    again, _ = plan_run(parsed(RunChoices, plan.command()))
    assert (plan.resumed and plan.resumed.folder) == (again.resumed and again.resumed.folder) == folder
    assert replace(again, resumed=None) == replace(plan, resumed=None)
    assert read_checkpoint(folder).manifest.dataset == "data.npz"


def test_an_option_of_several_may_be_given_several_times() -> None:
    choices = parsed(
        ComparisonChoices, "python -m harness compare --name a --models mlp --models lenet5,cnn --seeds 0 --seeds 2"
    )
    assert (choices.models, choices.seeds) == (("mlp", "lenet5", "cnn"), (0, 2))
    assert_one_line(harness("compare", "--models", "lenet", "--models", "mlp", "--dry-run"), "lenet", "did you mean")


def test_a_study_whose_baseline_takes_no_part_is_refused(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("name: s\nbackends: [numpy]\nmodels: [mlp]\ndatasets: [digits]\nbaseline: keras\n")
    assert_one_line(harness("compare", str(study), "--dry-run"), f"{study}: baseline", "keras", "numpy")
