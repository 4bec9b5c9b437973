"""Sets that grow, are listed, looked into and deleted."""

import json
import shutil
from pathlib import Path

import pytest

from results.store import ResultSet
from tests.harness.cli.commands import assert_one_line, harness

SMALL = "--datasets digits --limit-train 40 --limit-test 20 --epochs 1 --no-race -q".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a set of one run."""
    place = tmp_path_factory.mktemp("original")
    done = harness(
        *("compare", "--name", "mine", "--backends", "numpy", "--models", "mlp", "--repeats", "1"), *SMALL, cwd=place
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def made(original: Path, tmp_path: Path) -> Path:
    """The same set, the test's own."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results" / "runs" / "mine"


def test_a_set_grows_by_rounds_seeds_and_models(made: Path, tmp_path: Path) -> None:
    first = (made / "records.jsonl").read_bytes()
    resume = ("compare", "--name", "mine", "--resume", "-q")
    assert harness(*resume, "--repeats", "2", "--seeds", "1", cwd=tmp_path).returncode == 0
    net = tmp_path / "net.yaml"
    net.write_text("name: net\ninput: [1, 28, 28]\nclasses: 10\nlayers: [flatten, linear: {out_features: 10}]\n")
    assert harness(*resume, "--models", "net.yaml", cwd=tmp_path).returncode == 0
    rows, damaged = ResultSet.open(made).rows()
    assert damaged == []
    assert (made / "records.jsonl").read_bytes().startswith(first)
    assert sorted((row.model, row.seed, row.round) for row in rows) == [
        (model, seed, number) for model in ("mlp", "net") for seed in (0, 1) for number in (0, 1)
    ]
    manifest = ResultSet.open(made).manifest
    assert (manifest.study["repeats"], manifest.study["seeds"], manifest.study["models"]) == (
        2,
        [0, 1],
        ["mlp", "net.yaml"],
    )
    assert [earlier.study["repeats"] for earlier in manifest.history] == [1, 2]
    again = harness(*resume, "--repeats", "1", "--json", cwd=tmp_path)  # never less, and nothing runs twice
    assert again.returncode == 0, again.stderr
    assert len(ResultSet.open(made).rows()[0]) == 8
    assert ResultSet.open(made).manifest == manifest


def test_what_cannot_be_resumed(made: Path, tmp_path: Path) -> None:
    before = (made / "set.json").read_bytes()
    resume = ("compare", "--resume", "-q")
    assert_one_line(
        harness(*resume, "--name", "mine", "--epochs", "2", cwd=tmp_path), "was made with epochs 1, not 2", "--name"
    )
    assert_one_line(harness(*resume, "--name", "mien", cwd=tmp_path), "no result set 'mien'", "did you mean 'mine'?")
    assert_one_line(harness(*resume, cwd=tmp_path), "--name")
    assert not (made.parent / "mien").exists()
    assert (made / "set.json").read_bytes() == before
    ResultSet.create(made.parent / "single", name="single", study={})
    assert_one_line(harness(*resume, "--name", "single", cwd=tmp_path), "no comparison")


def test_the_study_of_a_set_that_somebody_spoiled(made: Path, tmp_path: Path) -> None:
    for spoiled in ({"repeats": "x"}, {"models": 5}, {"seeds": ["a"]}, {"name": None}, {"colour": 1}):
        file = made / "set.json"
        whole = file.read_text()
        data = json.loads(whole)
        data["study"].update(spoiled)
        if "name" in spoiled:
            del data["study"]["name"]
        file.write_text(json.dumps(data))
        assert_one_line(harness("compare", "--name", "mine", "--resume", cwd=tmp_path), "set.json: not a study")
        file.write_text(whole)


def test_a_study_file_that_grew_is_kept_as_it_is_now(tmp_path: Path) -> None:
    study = "name: s\nbackends: [numpy]\nmodels: [mlp]\ndatasets: [digits]\nepochs: 1\nlimit_train: 40\nrace: false\n"
    for repeats, resume in ((1, ()), (2, ("--resume",))):
        (tmp_path / "s.yaml").write_text(f"{study}repeats: {repeats}\n")
        done = harness("compare", "s.yaml", "-q", *resume, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    place = tmp_path / "results" / "runs" / "s"
    assert (place / "study.yaml").read_text().endswith("repeats: 2\n")
    assert len(ResultSet.open(place).rows()[0]) == 2


def test_sets_are_listed_shown_and_deleted(made: Path, tmp_path: Path) -> None:
    (made / "notes.txt").write_text("mine")
    (made.parent / "broken").mkdir()
    (made.parent / "broken" / "set.json").write_text("{")
    listed = harness("results", "list", "--json", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    (only,) = json.loads(listed.stdout)
    assert (only["name"], only["backends"], only["models"], only["runs"]) == ("mine", ["numpy"], ["mlp"], {"ok": 1})
    assert "broken/set.json: not JSON" in listed.stderr
    shown = harness("results", "show", "mine", cwd=tmp_path)
    assert "compare --backends numpy" in shown.stdout
    assert json.loads(harness("results", "show", "mine", "--json", cwd=tmp_path).stdout)["study"]["epochs"] == 1
    for words in (("show", "mne"), ("delete", "mine", "mne", "--yes")):
        assert_one_line(harness("results", *words, cwd=tmp_path), "did you mean 'mine'?")
    assert_one_line(harness("results", "delete", "mine", cwd=tmp_path), "1 run", "--yes")
    with ResultSet.open(made).claim():
        assert_one_line(harness("results", "delete", "mine", "--yes", cwd=tmp_path), "in use")
    assert len(ResultSet.open(made).rows()[0]) == 1
    gone = harness("results", "delete", "mine", "--yes", cwd=tmp_path)
    assert gone.returncode == 0, gone.stderr
    assert "left there: notes.txt" in gone.stderr
    assert [place.name for place in made.iterdir()] == ["notes.txt"]


def test_deleting_follows_no_link(made: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("kept")
    (made / "checkpoints").symlink_to(elsewhere)
    assert harness("results", "delete", str(made), "--yes", cwd=tmp_path).returncode == 0
    assert not made.exists()
    assert (elsewhere / "precious").read_text() == "kept"
