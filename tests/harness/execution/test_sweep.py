"""A sweep: interleaved, resumable, and not stopped by a run that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from backends.registry import find, frameworks
from harness.execution import local
from harness.execution import sweep as sweep_module
from harness.execution.engine import Interrupted
from harness.execution.sweep import Sweep
from harness.planning.finished import remaining
from harness.planning.study import Study, load_study, plans_of
from harness.running.events import RunEvent
from harness.worker.reports import EpochReport
from results.record import Record
from results.store import ResultSet
from specs.errors import RequestError
from specs.initializers import Initializer, Normal
from specs.layers import Flatten, Linear
from specs.loading import architecture_names
from tests.fakes import registered
from tests.harness.plans import TINY, dataset, plan


def planned(fake: Any, repeats: int = 3, names: tuple[str, ...] = ("a", "b")) -> list[tuple[str, Any]]:
    """``repeats`` rounds of runs that differ in their seeds."""
    seeds = list(enumerate(names))
    return [(f"{n}-r{r}", plan(fake, epochs=1, seed=s, round=r)) for r in range(repeats) for s, n in seeds]


@contextmanager
def tiny_sweep(folder: Path, fake: Any, *, retry_noisy: int = 0, open_set: bool = False) -> Iterator[Sweep]:
    study = Study(name="tiny", datasets=("tiny",), retry_noisy=retry_noisy)
    results = ResultSet.open(folder) if open_set else ResultSet.create(folder, name="tiny", study=study.to_dict())
    with patch.object(sweep_module, "load_dataset", lambda name, data_dir: dataset()):
        yield Sweep(study, planned(fake), results)


def ignore(event: object) -> None:
    """Hear nothing."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_rounds_are_interleaved() -> None:
    study = Study(name="s", backends=("torch", "keras"), models=("mlp", "lenet5"), datasets=("digits",), repeats=2)
    names = [run_id for run_id, _ in plans_of(study)]
    assert names == [
        "torch-mlp-digits-s0-r0",
        "keras-mlp-digits-s0-r0",
        "torch-lenet5-digits-s0-r0",
        "keras-lenet5-digits-s0-r0",
        "torch-mlp-digits-s0-r1",
        "keras-mlp-digits-s0-r1",
        "torch-lenet5-digits-s0-r1",
        "keras-lenet5-digits-s0-r1",
    ]
    assert len(names) == study.runs


def test_all_and_aliases() -> None:
    study = Study(name="s", backends=("all", "pytorch", "np"), models=("all",), tuning=("all",), seeds=(0, 1))
    assert study.backends == (*frameworks(), "numpy")
    assert study.models == architecture_names()
    manners = sum(len(find(name).create().manners) for name in study.backends)
    assert study.runs == len(plans_of(study)) == manners * len(study.models) * 2 * 3
    assert Study.from_dict(study.to_dict()) == study


def test_a_study_file_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("name: mine\nbackends: [torch, keras]\nmodels: [lenet5]\nrepeats: 2\n")
    assert load_study(file).backends == ("torch", "keras")
    file.write_text("name: mine\nbackens: [torch]\n")
    with pytest.raises(RequestError, match=r"study.yaml:2: unknown field .*'backens'; did you mean 'backends'\?"):
        load_study(file)
    file.write_text("name: mine\nbackends: [torhc]\n")
    with pytest.raises(RequestError, match=r"did you mean 'torch'\?"):
        load_study(file)


def test_paths_in_a_study_are_looked_for_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then from the current folder; a name stays a name, whatever lies beside the study."""
    study, here = tmp_path / "studies", tmp_path / "here"
    for folder in (study, here, study / "mlp"):
        folder.mkdir()
    monkeypatch.chdir(here)
    for place in (study / "near.yaml", here / "far.yaml", study / "both.yaml", here / "both.yaml", study / "data.npz"):
        place.write_text("")
    text = "name: mine\nmodels: [near.yaml, far.yaml, both.yaml, mlp]\ndatasets: [digits, data.npz, /far/off.npz]\n"
    (study / "study.yaml").write_text(text)
    for path in (study / "study.yaml", Path("../studies/study.yaml")):
        loaded = load_study(path)
        assert loaded.models == (str(path.parent / "near.yaml"), "far.yaml", str(path.parent / "both.yaml"), "mlp")
        assert loaded.datasets == ("digits", str(path.parent / "data.npz"), "/far/off.npz")
    (study / "study.yaml").write_text(text.replace("far.yaml", "nowhere.yaml"))
    with pytest.raises(RequestError) as caught:
        load_study(study / "study.yaml")
    assert str(caught.value) == (f"{study / 'study.yaml'}: nowhere.yaml: no such file in {study} or in {here}")


def test_a_run_that_crashes_does_not_stop_the_others(tmp_path: Path) -> None:
    with registered(train="segfault", after_steps=3) as fake, tiny_sweep(tmp_path / "set", fake) as runs:
        runs.run(ignore, ignore)
        rows, damaged = runs.results.rows()
    assert [row.run_id for row in rows] == [run_id for run_id, _ in runs.plans]
    assert {row.status for row in rows} == {"crashed"}
    assert damaged == []


def test_interrupted_then_resumed_every_run_is_there_once(tmp_path: Path) -> None:
    finished: list[Record] = []

    def stop_in_the_third(event: RunEvent) -> None:
        if isinstance(event, EpochReport) and len(finished) == 2:
            raise KeyboardInterrupt

    with registered() as fake:
        with tiny_sweep(tmp_path / "set", fake) as runs, pytest.raises(Interrupted):
            runs.run(stop_in_the_third, finished.append)
        assert [record.run_id for record in finished] == ["a-r0", "b-r0"]
        with tiny_sweep(tmp_path / "set", fake, open_set=True) as runs:
            assert [run_id for run_id, _ in runs.remaining()] == ["a-r1", "b-r1", "a-r2", "b-r2"]
            runs.run(ignore, ignore)
            rows, _ = runs.results.rows()
            assert runs.remaining() == []
    assert [row.run_id for row in rows] == [run_id for run_id, _ in planned(fake)]
    assert {row.status for row in rows} == {"ok"}


def test_what_changed_under_its_name_is_run_under_another(tmp_path: Path) -> None:
    """A model's file that was edited, say: the records of the set are of another training."""
    with registered() as fake, tiny_sweep(tmp_path / "set", fake) as runs:
        runs.run(ignore, ignore)
        run_id, first = runs.plans[0]
        assert remaining([(run_id, first)], runs.results.rows()[0], lambda name: dataset()) == []
        wider = replace(first, architecture=replace(TINY, layers=(Flatten(), Linear(out_features=3, bias=False))))
        for changed in (
            wider,
            replace(first, recipe=replace(first.recipe, batch_size=4)),
            replace(first, recipe=replace(first.recipe, initializer=Initializer(weights=Normal(std=0.5)))),
            replace(first, limit_train=30),
            replace(first, seed=7),
            replace(first, threads=2),
            replace(first, tuning="default"),
        ):
            left = remaining([(run_id, changed)], runs.results.rows()[0], lambda name: dataset())
            assert left == [(f"{run_id}-2", changed)]
        renamed = replace(first, architecture=replace(TINY, name="other"), recipe=replace(first.recipe, name="other"))
        assert remaining([("other-r0", renamed)], runs.results.rows()[0], lambda name: dataset()) == []
        other_images = replace(dataset(), train_images=255 - dataset().train_images, sha256="inverted")
        assert remaining([(run_id, first)], runs.results.rows()[0], lambda name: other_images) == [
            (f"{run_id}-2", first)
        ]


def test_records_without_the_fingerprint_of_a_training_are_known_by_their_inputs(tmp_path: Path) -> None:
    with registered() as fake, tiny_sweep(tmp_path / "set", fake) as runs:
        runs.run(ignore, ignore)
        old = [
            row.model_copy(update={"fingerprints": row.fingerprints.model_copy(update={"training": None})})
            for row in runs.results.rows()[0]
        ]
        assert remaining(runs.plans, old, lambda name: dataset()) == []
        run_id, first = runs.plans[0]
        faster = replace(first, recipe=replace(first.recipe, batch_size=4))
        assert remaining([(run_id, faster)], old, lambda name: dataset()) == [(f"{run_id}-2", faster)]


def test_a_noisy_run_is_repeated_and_both_are_kept(tmp_path: Path) -> None:
    execute = local.execute
    calls = 0

    def noisy_at_first(*arguments: Any, **more: Any) -> Record:
        nonlocal calls
        calls += 1
        record = execute(*arguments, **more)
        noise = record.noise.model_copy(update={"noisy": calls == 1})
        return record.model_copy(update={"noise": noise})

    with (
        registered() as fake,
        tiny_sweep(tmp_path / "set", fake, retry_noisy=2) as runs,
        patch.object(local, "execute", noisy_at_first),
    ):
        runs.run(ignore, ignore)
        rows, _ = runs.results.rows()
    assert [(row.run_id, row.attempt) for row in rows][:3] == [("a-r0", 1), ("a-r0-a2", 2), ("b-r0", 1)]


def test_a_set_is_never_silently_replaced(tmp_path: Path) -> None:
    with registered() as fake:
        with tiny_sweep(tmp_path / "set", fake):
            pass
        with pytest.raises(RequestError, match="already holds a result set"), tiny_sweep(tmp_path / "set", fake):
            pass


def test_a_model_that_does_not_suit_the_data_is_told_before_any_run(tmp_path: Path) -> None:
    study = Study(name="s", backends=("numpy",), models=("lenet5",), datasets=("digits",))
    plans = plans_of(study)
    with (
        patch.object(sweep_module, "load_dataset", lambda name, data_dir: dataset()),
        pytest.raises(RequestError, match=r"takes images \[1, 28, 28\], dataset 'tiny' has \[1, 4, 4\]"),
    ):
        Sweep.check(plans)
    assert TINY.input == (1, 4, 4)
