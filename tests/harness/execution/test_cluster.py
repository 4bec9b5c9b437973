"""Units on two machines of a real cluster, with the fake backends: each once, in pairs, whatever dies on the way."""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' (Dask) is not installed")

import dask
from distributed import get_worker

from harness.cli.cluster_runs import _home
from harness.execution.cluster import serving
from harness.execution.cluster.connecting import connected
from harness.execution.cluster.looking import workers_of
from harness.execution.cluster.members import Member, Members
from harness.execution.cluster.place import Place
from harness.execution.engine import Interrupted
from harness.execution.identity import fingerprint_of
from harness.execution.noting import RaceNotes
from harness.execution.orders import Keep, Order
from harness.execution.sweep import Sweep
from harness.execution.units import units_of
from harness.measuring.machine import machine as this_machine
from harness.racing.cases import RaceTask
from harness.racing.plans import before_the_start
from harness.racing.race import Rules
from results.openings import LEAST_OPENINGS
from results.race import Race
from tests.harness.execution.clusters import (
    Watch,
    comparison,
    engine_of,
    ignore,
    machine,
    rounds,
    small_cluster,
    trainers,
)
from tests.harness.plans import dataset
from tests.reliability.test_stopping import ctrl_c, gone, wait_for

STEP_S = 0.002
__all__ = ["ctrl_c"]


@pytest.fixture(scope="module")
def intervals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every training leaves when it began and ended, and on which machine."""
    return tmp_path_factory.mktemp("intervals")


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there no training goes on."""
    return tmp_path_factory.mktemp("hold") / "hold"


@pytest.fixture(scope="module")
def client(intervals: Path, hold: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two machines, whose caches are their own; every test leaves both there."""
    behaviour = {"step_s": STEP_S, "intervals_to": str(intervals), "held_by": str(hold)}
    caches = [str(tmp_path_factory.mktemp(f"cache-{number}")) for number in range(2)]
    with small_cluster(*(machine(behaviour, XDG_CACHE_HOME=cache) for cache in caches)) as found:
        yield found


@pytest.fixture
def mortal(client: Any) -> Iterator[Any]:
    """The same, one of which will be killed; it is there again before another test begins."""
    yield client
    wait_for(lambda: len(workers_of(client)) == 2, 60)


@pytest.fixture(autouse=True)
def fresh(intervals: Path, hold: Path) -> None:
    for file in (*intervals.iterdir(), hold):
        file.unlink(missing_ok=True)


def carried_out(client: Any, folder: Path, count: int, watch: Watch | None = None, **more: Any) -> Sweep:
    """So many rounds of pairs, carried out on the cluster; every run has its record once."""
    with comparison(folder, rounds(count), **more) as sweep:
        sweep.run(ignore, ignore, engine=engine_of(client, sweep, watch or Watch()))
        check_whole(sweep)
    return sweep


def check_whole(sweep: Sweep) -> None:
    rows, damaged = sweep.results.rows()
    assert damaged == []
    assert Counter(row.run_id for row in rows) == Counter(name for name, _ in sweep.plans), "every run exactly once"
    assert sweep.remaining() == []


def check_never_two_at_once(intervals: Path) -> int:
    """No training on a machine begins before the one before it there has ended; how many machines had any."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for file in intervals.iterdir():
        interval = json.loads(file.read_text())
        found[interval["machine"]].append((interval["begin"], interval["end"]))
    for spans in found.values():
        ordered = sorted(spans)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered))
    return len(found)


def test_every_unit_once_and_its_pair_on_one_machine_at_a_time(client: Any, intervals: Path, tmp_path: Path) -> None:
    watch = Watch()
    sweep = carried_out(client, tmp_path / "set", 4, watch)
    assert sorted(watch.joined_) == ["here-1", "here-2"]
    assert {row.status for row in sweep.results.rows()[0]} == {"ok"}
    assert check_never_two_at_once(intervals) == 2
    home = _home(sweep.results.rows()[0])
    homes = [home(unit) for unit in units_of(rounds(5))]
    assert homes == [*[fingerprint_of(this_machine())] * 4, None], "a round that was begun is continued where it was"
    places = {(doing, name) for name, doing, _ in watch.notes if not doing.startswith(("setup", "data"))}
    for number in range(4):
        own = {name for run, name in places if run.endswith(f"-r{number}")}
        assert len(own) == 1, "a pair is made on one machine"


def check_form(one: Any, other: Any, where: str = "") -> None:
    """The same keys and types all the way down; what is unknown may be of any type, a list of any length."""
    if one is None or other is None:
        return
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            check_form(value, other[key], f"{where}.{key}")
    elif isinstance(one, list):
        for mine, its in zip(one, other, strict=False):
            check_form(mine, its, f"{where}[]")


def test_a_set_made_on_a_cluster_has_the_form_of_a_local_one(client: Any, tmp_path: Path) -> None:
    there = carried_out(client, tmp_path / "there", 2).results
    with comparison(tmp_path / "here", rounds(2)) as sweep:
        sweep.run(ignore, ignore)
    here = sweep.results

    for results in (there, here):
        for line, record in zip(results.records_file.read_bytes().splitlines(), results.records()[0], strict=True):
            assert record.without_samples().encode() == line, "byte for byte what writing it again gives"
    ours, theirs = (sorted(results.rows()[0], key=lambda row: row.run_id) for results in (here, there))
    assert [row.fingerprints for row in ours] == [row.fingerprints for row in theirs]
    assert [row.command for row in ours] == [row.command for row in theirs]
    mine, its = (sorted(results.records()[0], key=lambda one: one.run_id)[0] for results in (here, there))
    check_form(json.loads(mine.to_json()), json.loads(its.to_json()))
    files = [sorted(str(p.relative_to(results.path)) for p in results.path.rglob("*")) for results in (here, there)]
    assert files[0] == files[1]


def test_a_machine_that_gives_no_answer_is_listed_with_the_reason(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there = workers_of(client)
    monkeypatch.setattr(serving, "workers_of", lambda _: {**there, "tcp://127.0.0.1:1": {"name": "unplugged"}})
    with (
        connected(Place(scheduler=client.scheduler.address)) as looking,
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
    ):
        one, two, unplugged = serving.machines(looking)
    assert (one["now"], two["now"]) == ({}, {})
    assert unplugged["name"] == "unplugged"
    assert unplugged["problem"].startswith(("ConnectionRefusedError: ", "Timed out trying to connect", "TimeoutError"))


def test_nobody_else_reaches_the_workers_of_a_try_on_one_machine(client: Any) -> None:
    """They execute what they are told, and without TLS by anybody."""
    here = psutil.Process()
    listening = {
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def kill_worker_of(name: str, client: Any) -> int:
    """SIGKILL the process of Dask's worker of this name; its process id."""
    pid = worker_of(name, client)
    os.kill(pid, signal.SIGKILL)
    return pid


def worker_of(name: str, client: Any) -> int:
    (pid,) = client.run(os.getpid, workers=[address_of(name, client)]).values()
    return int(pid)


def address_of(name: str, client: Any) -> str:
    return next(address for address, worker in workers_of(client).items() if worker["name"] == name)


def test_a_machine_that_dies_in_mid_run_takes_nothing_with_it(mortal: Any, hold: Path, tmp_path: Path) -> None:
    """Its unit goes elsewhere, and nothing of what it was doing goes on: a training that would have had no end."""
    watch = Watch()
    training: list[str] = []
    ended: list[bool] = []

    def on_note(name: str, doing: str, note: str) -> None:
        if note == "training" and not training:
            hold.touch()
            training.append(name)
            threading.Thread(target=kill).start()

    def kill() -> None:
        try:
            pid = worker_of(training[0], mortal)
            below = psutil.Process(pid).children(recursive=True)
            assert [process for process in below if process in trainers()]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: all(map(gone, below)), 20)
            ended.append(True)
        finally:
            hold.unlink()

    watch.on_note = on_note
    carried_out(mortal, tmp_path / "set", 4, watch)
    assert ended == [True]
    assert [loss[0] for loss in watch.losses] == training
    assert watch.losses[0][1] is not None, "it had a unit, which went elsewhere"


def test_a_worker_process_that_was_killed_comes_back_however_long_that_takes() -> None:
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "100ms"}), small_cluster(machine()) as client:
        killed = workers_of(client).keys()
        kill_worker_of("here-1", client)
        wait_for(lambda: workers_of(client).keys() - killed, 30)
        assert list(client.cluster.workers) == ["here-1"], "Dask has not given it up meanwhile"


@pytest.mark.long
def test_a_machine_that_dies_in_mid_transfer_is_sent_it_again(
    mortal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, killed = Members.ask, []

    def dying(self: Members, member: Member, order: Order, unit: str, blob: bytes | None = None) -> None:
        ask(self, member, order, unit, blob)
        if isinstance(order, Keep) and not killed:
            killed.append(kill_worker_of(member.name, mortal))

    monkeypatch.setattr(Members, "ask", dying)
    carried_out(mortal, tmp_path / "set", 4, data=dataset(24))
    assert killed, "a data set of its own was sent"


@pytest.mark.long
def test_a_machine_that_dies_with_its_answer_has_its_unit_made_again(
    mortal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, killed = Members._called, []

    def dying(self: Members, member: Member) -> Callable[[Any], None]:
        put = called(self, member)

        def done(future: Any) -> None:
            if member.unit == 1 and not killed:
                killed.append(kill_worker_of(member.name, mortal))
            put(future)

        return done

    monkeypatch.setattr(Members, "_called", dying)
    carried_out(mortal, tmp_path / "set", 4)
    assert killed


@pytest.mark.long
def test_two_comparisons_share_machines_and_nothing_is_timed_beside_another(
    client: Any, intervals: Path, tmp_path: Path
) -> None:
    """Each machine is given to one driver at a time, by the resource that Dask counts."""
    failed: list[BaseException] = []
    with (
        connected(Place(scheduler=client.scheduler.address)) as other,
        comparison(tmp_path / "a", rounds(3)) as first,
        comparison(tmp_path / "b", rounds(3)) as second,
    ):

        def run(driver: Any, sweep: Sweep) -> None:
            try:
                sweep.run(ignore, ignore, engine=engine_of(driver, sweep, Watch()))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=run, args=pair) for pair in ((client, first), (other, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        for sweep in (first, second):
            check_whole(sweep)
    assert check_never_two_at_once(intervals) == 2


def test_ctrl_c_ends_what_runs_elsewhere_and_keeps_what_is_finished(
    client: Any, hold: Path, tmp_path: Path, ctrl_c: None
) -> None:
    carried_out(client, tmp_path / "set", 2)
    hold.touch()
    listed: list[dict[str, Any]] = []

    def interrupt() -> None:
        try:
            wait_for(trainers)
            listed.extend(serving.machines(client))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    with comparison(tmp_path / "set", rounds(6)) as sweep:
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(Interrupted):
            sweep.run(ignore, ignore, engine=engine_of(client, sweep, Watch()))
        thread.join()
        wait_for(lambda: not trainers(), 30)
        assert len(sweep.results.rows()[0]) == 4
    at_work = [one for one in listed if one["now"].get("unit", "").startswith("tiny on tiny, round ")]
    assert at_work, listed
    assert all(one["now"]["comparison"] == "tiny" and one["busy_s"] > 0 for one in at_work)
    hold.unlink()
    carried_out(client, tmp_path / "set", 6)


@pytest.mark.long
def test_a_race_is_held_on_one_machine_and_anew_where_that_one_is_killed(mortal: Any, tmp_path: Path) -> None:
    watch = Watch()
    placed: list[str] = []
    racing: list[tuple[str, str]] = []

    def on_note(name: str, doing: str, note: str) -> None:
        if note == "placed":
            placed.append(name)
        elif note.endswith(" rounds"):
            if not racing:
                threading.Thread(target=kill_worker_of, args=(name, mortal)).start()
            racing.append((name, placed[-1]))

    watch.on_note = on_note
    with comparison(tmp_path / "set", rounds(1)) as sweep:
        plans = tuple(plan for _, plan in sweep.plans)
        task = RaceTask(plans=plans, rules=Rules(target=1e-6, budget_s=2), baseline="fake")
        (race,) = engine_of(mortal, sweep, watch).race([task], RaceNotes(lambda doing, note: None))
        sweep.results.save_race(race)
        here = before_the_start(plans, sweep.datasets["tiny"], task.rules, baseline="fake", out={})
        (file,) = (sweep.results.path / "races").glob("*.json")
    assert file.read_text() == race.to_json() + "\n" == Race.model_validate_json(file.read_text()).to_json() + "\n"
    check_form(json.loads(here.to_json()), json.loads(file.read_text()))
    assert (race.ended, race.rounds >= LEAST_OPENINGS, race.baseline) == ("budget", True, 0)
    assert [(one.backend, one.framework_version, len(one.rates), one.error) for one in race.racers] == [
        (name, "1.0", race.rounds, None) for name in ("fake", "rival")
    ]
    assert all(one.quiet + one.disturbed >= race.rounds for one in race.racers), "each had its turn in every round"
    assert watch.losses == [(placed[0], "race: tiny on tiny", "it has gone")]
    assert len(placed) == 2
    assert all(name == its for name, its in racing), "by the one machine that it was given to"
    wait_for(lambda: not trainers(), 30)


class _Armed:
    """As a pickle it leaves a file wherever it is read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._file,)


def _warn(file: Path) -> None:
    """As Dask's own ``warn`` does, and then something that is heard after it."""
    for topic, event in (("warn", {"message": pickle.dumps(_Armed(file))}), ("after", {})):
        get_worker().log_event(topic, event)


def test_a_driver_reads_no_pickle(client: Any, tmp_path: Path) -> None:
    heard: list[object] = []
    client.unsubscribe_topic("warn")  # this one is Dask's own
    with connected(Place(scheduler=client.scheduler.address)) as driver:
        future = driver.submit(_Armed, tmp_path / "executed", pure=False)
        with pytest.raises(TypeError, match="only able to deserialize data with"):
            future.result(timeout=30)
        driver.subscribe_topic("after", heard.append)
        driver.submit(_warn, tmp_path / "executed", pure=False).result(timeout=30)
        wait_for(lambda: heard)
    assert not (tmp_path / "executed").exists()


@pytest.mark.long
def test_what_a_lost_machine_was_told_to_do_is_not_counted_as_a_units_failure(client: Any, tmp_path: Path) -> None:
    """A machine's own process that dies, as by lack of memory, is started anew."""
    watch, killed = Watch(), []

    def on_note(name: str, doing: str, note: str) -> None:
        if note == "training" and not killed:
            killed.append(name)
            threading.Thread(target=lambda: [os.kill(p.ppid(), signal.SIGKILL) for p in trainers()[:1]]).start()

    watch.on_note = on_note
    carried_out(client, tmp_path / "set", 4, watch)
    assert [(name, why) for name, _, why in watch.losses] == [(watch.losses[0][0], "its process ended: SIGKILL")]
