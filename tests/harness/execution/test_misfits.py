"""Machines that cannot take part, and answers that are not what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' (Dask) is not installed")

from harness.execution.cluster import engine as engine_module
from harness.execution.cluster import members
from harness.execution.shipping import packed
from specs.errors import RequestError
from tests.harness.execution.clusters import Watch, comparison, engine_of, ignore, machine, rounds, small_cluster
from tests.harness.plans import dataset


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A machine that trains, where its framework crashes; one without an environment; one of other versions."""
    cache = str(tmp_path_factory.mktemp("cache"))
    with small_cluster(
        machine({"train": "segfault", "after_steps": 3}, XDG_CACHE_HOME=cache),
        machine(XDG_CACHE_HOME=cache, HARNESS_PYTHON_FAKE="/nowhere/python"),
        machine({"version": "2.0"}, XDG_CACHE_HOME=cache),
    ) as found:
        yield found


def test_who_cannot_take_part_is_left_out_and_a_run_that_fails_is_not_tried_again(client: Any, tmp_path: Path) -> None:
    watch = Watch()
    with comparison(tmp_path / "set", rounds(3)) as sweep:
        engine = engine_of(client, sweep, watch, versions="1.0")
        sweep.run(ignore, ignore, engine=engine)
        rows, _ = sweep.results.rows()
    assert watch.joined_ == ["here-1"]
    assert watch.out["here-2"] == "/nowhere/python: not an executable Python interpreter"
    assert watch.out["here-3"] == "it has fake 2.0, and the set is of 1.0"
    assert sorted(row.run_id for row in rows) == sorted(name for name, _ in sweep.plans)
    assert {(row.status, row.error.signal) for row in rows if row.error} == {("crashed", "SIGSEGV")}
    assert watch.losses == []


def test_data_that_were_damaged_on_the_way_are_refused(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(data: Any) -> bytes:
        content = bytearray(packed(data))
        content[len(content) // 2] ^= 1
        return bytes(content)

    def another(data: Any) -> bytes:
        return packed(replace(data, test_labels=data.test_labels[::-1]))

    for number, wrong in enumerate((damaged, another)):
        watch = Watch()
        monkeypatch.setattr(engine_module, "packed", wrong)
        with comparison(tmp_path / f"set-{number}", rounds(1), dataset(30 + number)) as sweep:
            engine = engine_of(client, sweep, watch, versions="1.0")
            with pytest.raises(RequestError, match=r"no machine of the cluster can take part: .*data set"):
                sweep.run(ignore, ignore, engine=engine)
            assert sweep.results.rows()[0] == []
        assert "data set" in watch.out["here-1"]


def test_a_machine_whose_port_the_scheduler_does_not_reach_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes orders, as one behind a firewall or at the other end of a tunnel does."""
    monkeypatch.setattr(members, "FETCH_S", 0.5)
    monkeypatch.setattr(members, "UNREACHABLE_S", 1.0)
    walled = {**machine(XDG_CACHE_HOME=str(tmp_path / "cache")), "contact_address": "tcp://127.0.0.1:1"}
    with small_cluster(walled) as client, comparison(tmp_path / "set", rounds(1)) as sweep:
        with pytest.raises(
            RequestError, match=r"the scheduler does not reach it at tcp://127.0.0.1:1 \(a firewall\?\)"
        ):
            sweep.run(ignore, ignore, engine=engine_of(client, sweep, Watch()))
        assert sweep.results.rows()[0] == []
