"""What the command shows, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli.conform import conform
from harness.conformance import running, standing
from harness.conformance.outcome import LEVELS, BackendReport, CheckOutcome
from harness.conformance.table import ConformanceTable, drawn, lines, to_json, write_report
from specs.errors import RequestError

PASSED = CheckOutcome(
    level="layers", check="conv2d", quantity="logits", precision="float32", status="pass",
    error=1.2e-7, limit=1e-5, worst_case="conv2d on 3x3x8x8", where="logits", cases=10,
)  # fmt: skip
BETTER = CheckOutcome(
    level="layers", check="conv2d", quantity="loss", precision="float32", status="pass",
    error=1e-8, limit=1e-5, worst_case="conv2d <odd> on 1x1x1x1", cases=10,
)  # fmt: skip
FAILED = CheckOutcome(
    level="networks", check="bundled architectures", quantity="gradients", precision="float32", status="fail",
    error=0.3, limit=1e-4, worst_case="lenet5", where="conv2d_1.weight", cases=5, detail="first differs at conv2d_1",
)  # fmt: skip
REFUSED = CheckOutcome(
    level="layers", check="conv2d", quantity="completion", precision="float64", status="unsupported",
    unsupported=(("conv2d on 3x3x8x8", "no float64"), ("conv2d on 1x3x6x7", "no float64")), detail="no float64",
)  # fmt: skip


def table(*outcomes: CheckOutcome) -> ConformanceTable:
    report = BackendReport(
        backend="torch",
        tuning="expert",
        framework_version="2.13.0",
        packages={"torch": "2.13.0"},
        outcomes=outcomes,
        seconds=12.3,
    )
    return ConformanceTable(scope="full", levels=LEVELS, reports=(report,), notes=("MNIST is not here",))


def shown(found: ConformanceTable) -> str:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(*drawn(found))
    return capture.get()


def test_a_cell_shows_the_worst_quantity() -> None:
    text = shown(table(PASSED, BETTER))
    assert "1.2e-07/1.0e-05 pass" in text
    assert "1.0e-08" not in text


def test_unsupported_and_failed_are_shown_as_such() -> None:
    text = shown(table(PASSED, REFUSED, FAILED))
    assert "unsupported" in text
    assert "0.3/1.0e-04 fail" in text


def test_lines_name_failures_reasons_and_notes() -> None:
    said = list(lines(table(PASSED, REFUSED, FAILED)))
    assert said == [
        "torch, expert: networks: bundled architectures, gradients in float32: fail; error 0.3/1.0e-04; "
        "in lenet5 (conv2d_1.weight); first differs at conv2d_1",
        "torch, expert: unsupported in 2 cases: no float64",
        "MNIST is not here",
    ]


def test_json_holds_everything() -> None:
    data = json.loads(to_json(table(PASSED, REFUSED, FAILED)))
    (backend,) = data["backends"]
    assert data["passed"] is False
    assert [outcome["status"] for outcome in backend["outcomes"]] == ["pass", "unsupported", "fail"]
    assert backend["outcomes"][0]["worst_case"] == "conv2d on 3x3x8x8"


def test_json_of_an_infinite_error_is_valid() -> None:
    infinite = CheckOutcome(
        level="layers", check="c", quantity="loss", precision="float32", status="fail", error=float("inf"), limit=1e-5
    )
    assert json.loads(to_json(table(infinite)), parse_constant=pytest.fail)["passed"] is False


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_report_holds_the_table_worst_cases_and_reasons(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    write_report(table(PASSED, BETTER, REFUSED, FAILED), path)
    text = path.read_text()
    for expected in (
        "1.2e-07/1.0e-05",
        "conv2d on 3x3x8x8",
        "lenet5 (conv2d_1.weight)",
        "no float64",
        "2.13.0",
        "1e-05",
    ):
        assert expected in text
    assert ("&lt;odd&gt;" in text) == (suffix == ".html")
    assert "http" not in text.replace("http-equiv", "")


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """``conform`` with the suite replaced by given outcomes; what it was asked for is noted."""
    asked: dict[str, Any] = {"outcomes": (PASSED,), "remembered": []}

    def run_suite(suite: Any, pythons: Any, manners: Any, *, levels: Any, progress: Any) -> tuple[BackendReport, ...]:
        asked.update({"manners": manners, "levels": levels, "scope": suite.scope.name})
        return table(*asked["outcomes"]).reports

    monkeypatch.setattr(running, "run_suite", run_suite)
    monkeypatch.setattr(standing, "remember", lambda report: asked["remembered"].append(report.framework_version))
    monkeypatch.setenv("HARNESS_PYTHON_TORCH", "python3")
    return asked


def test_exit_status_says_whether_all_passed(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(backend=["pytorch"], quiet=True) == 0
    assert "1.2e-07/1.0e-05 pass" in capsys.readouterr().out
    judged["outcomes"] = (PASSED, FAILED)
    assert conform(backend=["torch"], quiet=True) == 1


def test_json_alone_on_stdout(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(backend=["torch"], json=True, quick=True, quiet=True) == 0
    assert json.loads(capsys.readouterr().out)["scope"] == "quick"


def test_only_a_judgement_on_all_levels_is_remembered(judged: dict[str, Any]) -> None:
    conform(backend=["torch"], level=["2", "layers"], quiet=True)
    assert judged["levels"] == ("layers", "networks")
    assert judged["remembered"] == []
    conform(backend=["torch"], quiet=True)
    assert judged["remembered"] == ["2.13.0"]


def test_manners_are_those_that_a_backend_has(judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    conform(backend=["torch"], quiet=True)
    assert judged["manners"] == {"torch": ("default", "recommended", "expert")}
    conform(backend=["torch"], tuning=["expert,default"], quiet=True)
    assert judged["manners"] == {"torch": ("default", "expert")}
    monkeypatch.setenv("HARNESS_PYTHON_NUMPY", "python3")
    conform(backend=["numpy"], tuning=["default", "expert"], quiet=True)
    assert judged["manners"] == {"numpy": ("default",)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": ["layrs"]}, "did you mean 'layers'"),
        ({"level": ["9"]}, "unknown level '9'"),
        ({"backend": ["torhc"]}, "did you mean 'torch'"),
        ({"tuning": ["expret"]}, "did you mean 'expert'"),
        ({"backend": ["numpy"], "tuning": ["expert"]}, "'numpy' has no expert manner"),
        ({"report": Path("report.pdf")}, "must end in .html or .md"),
        ({"report": Path("nowhere/report.md")}, "no such folder nowhere"),
        ({"python": Path("python3")}, "needs exactly one --backend"),
        ({"python": Path("python3"), "backend": ["torch,keras"]}, "needs exactly one --backend"),
    ],
)
def test_wrong_requests_are_one_line(judged: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        conform(**{"quiet": True, **options})
    assert "\n" not in str(caught.value)
