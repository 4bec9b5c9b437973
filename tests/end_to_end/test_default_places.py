"""The commands one after another in one folder, without --out, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.cli.commands import assert_one_line, harness

RUN = "run --backend numpy --model mlp --dataset digits --epochs 1 --json"
COMPARE = "compare --backends numpy --models mlp --datasets digits --epochs 1 --repeats 1 --name first --quiet"
ORDERS = [(RUN, COMPARE, RUN), pytest.param((COMPARE, RUN, RUN), marks=pytest.mark.long)]


@pytest.mark.parametrize("order", ORDERS, ids=["run first", "compare first"])
def test_runs_and_comparisons_stand_side_by_side(order: tuple[str, ...], tmp_path: Path) -> None:
    for words in order:
        done = harness(*words.split(), cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr
    sets = tmp_path / "results" / "runs"
    for place, runs in ((sets, 2), (sets / "first", 1)):
        records = [json.loads(line) for line in (place / "records.jsonl").read_text().splitlines()]
        assert [record["status"] for record in records] == ["ok"] * runs
    for name in ("first", "results/runs"):
        done = harness("report", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert Path(tmp_path, done.stdout.splitlines()[-1]).is_file()
    assert_one_line(harness(*COMPARE.split(), cwd=tmp_path), "already holds a result set", "--resume")
