"""Specs, studies, records and datasets come from strangers: nothing in them runs, escapes or paints the terminal."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from harness.cli import progress, sweep_display
from harness.datasets import load_dataset
from harness.inputs.prepare import prepare_data
from harness.planning.study import Study, load_study, plans_of
from results.export import write_tables
from results.files import StoreError
from results.record import Record, RunError
from results.report import build
from results.store import ResultSet
from results.tables import Results
from specs.errors import RequestError
from specs.recipe import Preprocessing
from tests.harness.cli.commands import assert_one_line, harness
from tests.harness.plans import dataset
from tests.results import records

ROOT = Path(__file__).parents[2]
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"
HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>"
MARKUP = "[bold red]markup[/]"
FORMULA = '=HYPERLINK("http://x","y")'


def hostile(text: str) -> list[Record]:
    """Records that say this wherever a stranger can say something."""
    good = records.record("torch", "mlp")
    bad = records.fault("failed", "torch", "mlp", repeat=1)
    error = RunError(kind=text, message=f"{text}\nsecond line", traceback=text, log_tail=text, advice=text)
    words = {"backend": text, "model": text, "dataset": text, "recipe": text, "framework_version": text}
    return [good.model_copy(update=words), bad.model_copy(update={**words, "error": error, "command": text})]


def on_terminal(show: object, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a function prints on a terminal of 300 columns."""
    stream = io.StringIO()
    console = Console(file=stream, width=300, force_terminal=True, color_system=None, highlight=False)
    for module in (progress, sweep_display):
        monkeypatch.setattr(module, "console", console)
    assert callable(show)
    show()
    return stream.getvalue()


def test_escape_sequences_and_markup_do_not_reach_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = records.write(tmp_path / "set", hostile(ESCAPES + MARKUP))
    good, bad = results.records()[0]
    for show in (
        lambda: progress.summary(good, tmp_path / "runs" / "x"),
        lambda: progress.summary(bad, tmp_path / "runs" / "x"),
        lambda: progress.console.print(sweep_display.rows_table(list(results.rows()[0]), 120)),
        lambda: progress.console.print(sweep_display._line(bad)),
    ):
        said = on_terminal(show, monkeypatch)
        assert MARKUP in said
        assert not set("\x1b\x07\x9b\u202e") & set(said), said


def test_escape_sequences_in_a_request_do_not_reach_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_text('name: "\\e[31mred"\ninput: [1, 4, 4]\nclasses: 3\nlayers: [flatten]\n')
    done = harness("show", str(file))
    assert_one_line(done, "control characters")
    assert "\x1b" not in done.stderr
    assert "\x1b" not in harness("show", "\x1b[31mred").stderr


def test_names_are_text_in_the_report(tmp_path: Path) -> None:
    records.write(tmp_path / "set", hostile(HTML))
    page = build([tmp_path / "set"]).html.read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_formulas_are_text_in_the_tables(start: str, tmp_path: Path) -> None:
    records.write(tmp_path / "set", hostile(start + FORMULA))
    results = Results.load([tmp_path / "set"])
    files = write_tables(tmp_path, {"runs": results.runs, "epochs": results.epochs, "summary": results.summary()})
    for file in (path for path in files if path.suffix == ".csv"):
        for row in csv.reader(io.StringIO(file.read_text(), newline="")):
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), (file, cell)
                assert not cell.startswith("-") or float(cell) < 0, (file, cell)


@pytest.mark.parametrize("run_id", ["../../x", "/etc/x", "a/b", ".", "..", "", "a" * 201, "a\nb", "a\0b", "-rf"])
def test_a_run_id_is_no_path(run_id: str) -> None:
    line = records.record().to_json().replace(f'"run_id":"{records.record().run_id}"', f'"run_id":"{run_id}"')
    with pytest.raises(ValueError):
        Record.from_json(line)


def test_links_do_not_lead_out_of_a_set(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    results = records.write(tmp_path / "set", [])
    (results.path / "runs").mkdir()
    (results.path / "runs" / "a").symlink_to(outside)
    (results.path / "runs" / "b").mkdir()
    (results.path / "runs" / "b" / "worker.log").symlink_to(outside / "log")
    (results.path / "images").mkdir()
    (results.path / "images" / "digits").symlink_to(outside)
    for write in (
        lambda: results.run_folder("a"),
        lambda: results.run_folder("b"),
        lambda: results.save_images("digits", {1: b"png"}),
    ):
        with pytest.raises(StoreError, match="is a link that leads out of the result set"):
            write()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["../../evil", "/evil", "..", "a/../../b", "\0", "…"])
def test_a_datasets_name_is_no_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prepared = prepare_data(replace(dataset(), name=name, sha256=name), Preprocessing())
    assert prepared.folder.resolve().is_relative_to(tmp_path / "cache")
    results = ResultSet.create(tmp_path / "set", name="s", study={})
    assert results.image_file(name, 1).resolve().is_relative_to(tmp_path / "set")


def test_a_study_names_no_path_and_runs_nothing(tmp_path: Path) -> None:
    for text in (
        "name: ../../evil\nbackends: [numpy]\n",
        "name: !!python/object/apply:os.system ['touch evil']\n",
        "name: mine\nrepeats: 1000000000\n",
        f"name: mine\nseeds: {list(range(19_000))}\nrepeats: 1000\n",
        "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nname: [*b, *b]\n",
    ):
        file = tmp_path / "study.yaml"
        file.write_text(text)
        with pytest.raises(RequestError) as refused:
            load_study(file)
        assert "\n" not in str(refused.value)


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.yaml").write_text(
            "name: net\ninput: [1, 28, 28]\nclasses: 10\nlayers: [flatten, linear: {out_features: 10}]\n"
        )
    models = tuple(str(tmp_path / folder / "net.yaml") for folder in ("a", "b"))
    with pytest.raises(RequestError, match="two runs would both be called numpy-net-digits-s0-r0"):
        plans_of(Study(name="s", backends=("numpy",), models=models, datasets=("digits",)))


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", train_images=np.array([{"a": 1}], object))
    with pytest.raises(RequestError):
        load_dataset(str(tmp_path / "evil.npz"), None)


# What would run code from data, and the calls that may stay because their input is our own.
FORBIDDEN = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    ("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("os", "system"), ("torch", "load"),
    ("pickle", "load"), ("pickle", "loads"), ("joblib", "load"), ("marshal", "loads"), ("shelve", "open"),
}  # fmt: skip


# Its Unpickler knows NumPy's arrays alone: tests/harness/datasets/test_packaged.py.
UNPICKLER = ROOT / "harness" / "datasets" / "packaged.py"


def test_no_path_executes_code_from_data() -> None:
    """One pickle alone, no eval, exec or unsafe YAML; numpy.load never allows pickles; no subprocess has a shell."""
    for path in sorted(p for room in ("harness", "backends", "results", "specs") for p in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert path == UNPICKLER or not names & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}, path
            if isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name):
                    assert node.func.id not in FORBIDDEN, (path, node.lineno)
                if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                    pair = (node.func.value.id, node.func.attr)
                    safe = pair == ("torch", "load") and "weights_only=True" in ast.unparse(node)
                    assert safe or pair not in FORBIDDEN_ATTRIBUTES, (path, node.lineno)
                for keyword in node.keywords:
                    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                    assert (keyword.arg, value) not in {("allow_pickle", True), ("shell", True)}, (path, node.lineno)


def test_a_hostile_set_still_loads(tmp_path: Path) -> None:
    records.write(tmp_path / "set", hostile(ESCAPES + HTML + MARKUP))
    assert len(Results.load([tmp_path / "set"]).runs) == 2
