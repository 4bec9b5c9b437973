"""Drivers in processes of their own: killed and resumed, with TLS as documented, and the try on one machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' (Dask) is not installed")

from results.store import ResultSet
from tests.harness.execution.clusters import machine, small_cluster, trainers
from tests.reliability.test_stopping import ROOT, wait_for

CHOICES = (
    "--models mlp --datasets digits --epochs 1 --batch-size 20 --limit-train 100 --limit-test 20 --no-proof --quiet"
)
DOCUMENT = (ROOT / "docs" / "cluster.md").read_text()


class Commands:
    """The command line in processes that end with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on; its output is kept."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self._folder / "cache")}
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of a command that ends."""
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def end(self) -> None:
        """Whatever still runs."""
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    found = Commands(tmp_path)
    yield found
    found.end()


@pytest.mark.long
def test_a_driver_that_is_killed_leaves_no_training_and_is_resumed(commands: Commands, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    behaviour = {"step_s": 0.3, "held_by": str(hold)}
    with small_cluster(*[machine(behaviour, XDG_CACHE_HOME=str(tmp_path / "theirs"))] * 2) as client:
        address = client.scheduler.address
        words = f"compare --backends fake --repeats 4 --no-race --name mine --cluster {address} {CHOICES}"
        driver = commands.start("tests.reliability.cli_with_fakes", "{}", *shlex.split(words))
        records = tmp_path / "results" / "runs" / "mine" / "records.jsonl"
        wait_for(lambda: driver.poll() is not None or records.exists())
        hold.touch()  # what trains now has no end of its own
        wait_for(lambda: driver.poll() is not None or trainers())
        assert driver.poll() is None, driver.communicate()
        driver.send_signal(signal.SIGKILL)
        wait_for(lambda: not trainers(), 30)
        hold.unlink()
        status, _, err = commands.run("tests.reliability.cli_with_fakes", "{}", *shlex.split(words), "--resume")
    assert status == 0, err
    rows, damaged = ResultSet.open(records.parent).rows()
    assert damaged == []
    assert Counter(row.run_id for row in rows) == Counter(f"fake-mlp-digits-s0-r{number}" for number in range(4))


@pytest.mark.parametrize("training", [False, True], ids=["while its workers start", "while it trains"])
def test_ctrl_c_at_the_terminal_of_a_try_ends_it_in_the_harness_own_words(commands: Commands, training: bool) -> None:
    """A terminal has every process of the group hear it, Dask's too."""
    words = "--models mlp --datasets digits --epochs 10000 --no-proof --no-race --quiet --cluster local:1"
    driver = commands.start(*shlex.split(f"harness compare --backends numpy {words}"))
    here = psutil.Process(driver.pid)
    wait_for(lambda: driver.poll() is not None or (trainers(driver.pid) if training else len(here.children()) > 1))
    assert driver.poll() is None, driver.communicate()
    own = here.children(recursive=True)
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert (driver.returncode, [line.split()[0] for line in err.splitlines()]) == (130, ["interrupted;", "python"]), err
    wait_for(lambda: not any(process.is_running() for process in own), 30)


def test_the_documented_try_on_one_machine(commands: Commands, tmp_path: Path) -> None:
    (line,) = re.findall(r"python -m (harness compare .*--cluster local:2)$", DOCUMENT, flags=re.MULTILINE)
    status, _, err = commands.run(*shlex.split(line), *shlex.split("--limit-train 100 --limit-test 20 --name mine"))
    assert status == 0, err
    place = tmp_path / "results" / "runs" / "mine"
    assert [row.status for row in ResultSet.open(place).rows()[0]] == ["ok", "ok"]
    assert (place / "report.html").exists()
    assert "takes part" in err


@pytest.mark.long
def test_two_real_frameworks_run_and_race(
    commands: Commands, backend_python: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in ("torch", "keras"):
        monkeypatch.setenv(f"HARNESS_PYTHON_{backend.upper()}", str(backend_python(backend)))
    words = "--models mlp --datasets digits --repeats 2 --budget 5 --name mine --cluster local:2"
    status, _, err = commands.run("harness", *shlex.split(f"compare --backends torch,keras {words}"))
    assert status == 0, err
    results = ResultSet.open(tmp_path / "results" / "runs" / "mine")
    rows, damaged = results.rows()
    assert (damaged, [row.status for row in rows], {row.disproved for row in rows}) == ([], ["ok"] * 4, {False})
    for number in range(2):
        spans = sorted(
            (datetime.fromisoformat(row.started_at), row.phases.total_s or 0.0) for row in rows if row.round == number
        )
        (first, took_s), (second, _) = spans  # of a beginning a record has the whole second
        assert (second - first).total_seconds() + 1 > took_s > 1, "a round is of one machine, one run at a time"
    (race,), _ = results.races()
    assert {one.backend for one in race.racers if one.error is None} == {"torch", "keras"}
    assert race.rounds and all(one.quiet + one.disturbed for one in race.racers)
    assert race.training == rows[0].fingerprints.training
    assert "mlp on digits: " in err, "what it came to is told"


def test_a_scheduler_that_is_killed_takes_driver_and_training_with_it(commands: Commands, tmp_path: Path) -> None:
    address = f"127.0.0.1:{_free_port()}"
    host, port = address.split(":")
    scheduler = commands.start(*shlex.split(f"dask scheduler --host {host} --port {port} --no-dashboard"))
    wait_for(lambda: _answers(host, int(port)))
    worker = commands.start(*shlex.split(f"harness cluster worker --scheduler tcp://{address}"))
    words = f"--models mlp --datasets digits --epochs 10000 --no-proof --no-race --quiet --cluster tcp://{address}"
    driver = commands.start(*shlex.split(f"harness compare --backends numpy {words}"))
    wait_for(lambda: driver.poll() is not None or trainers())
    assert driver.poll() is None, driver.communicate()
    scheduler.kill()
    wait_for(lambda: not trainers(), 15)
    _, err = driver.communicate(timeout=60)
    assert (driver.returncode, err) == (
        2,
        "error: the cluster's scheduler is gone; finished units are safe: continue with --resume when it is back\n",
    )
    _, err = worker.communicate(timeout=60)
    assert (worker.returncode, err.splitlines()[1:]) == (
        0,
        [
            f"takes orders from tcp://{address} until Ctrl-C",
            f"the connection to tcp://{address} has ended",
        ],
    ), err


def test_where_no_scheduler_answers_no_set_is_made(commands: Commands, tmp_path: Path) -> None:
    status, _, err = commands.run(
        *shlex.split(f"harness compare --backends numpy --cluster tcp://127.0.0.1:1 {CHOICES}")
    )
    assert (status, len(err.splitlines())) == (2, 1), err
    assert "no scheduler answers" in err
    assert not (tmp_path / "results").exists()


def test_a_scheduler_that_others_can_reach_is_refused_by_whichever_address_it_is_named(commands: Commands) -> None:
    """Its loopback's, say: it is where it listens that counts."""
    port = _free_port()
    commands.start(*shlex.split(f"dask scheduler --host 0.0.0.0 --port {port} --no-dashboard"))
    wait_for(lambda: _answers("127.0.0.1", port))
    address = f"tcp://127.0.0.1:{port}"
    for line in (
        f"cluster worker --scheduler {address}",
        f"cluster status --scheduler {address}",
        f"compare --backends numpy --cluster {address} {CHOICES}",
    ):
        status, _, err = commands.run("harness", *shlex.split(line))
        assert (status, len(err.splitlines())) == (2, 1), err
        assert "must speak TLS" in err


def test_certificates_that_are_none_are_told_in_one_line(commands: Commands, tmp_path: Path) -> None:
    for name in ("ca.pem", "certificate.pem", "key.pem"):
        (tmp_path / name).touch()
    text = "name: lab\nscheduler: tls://127.0.0.1:1\n"
    (tmp_path / "bare.yaml").write_text(text)
    (tmp_path / "empty.yaml").write_text(f"{text}ca: ca.pem\ncertificate: certificate.pem\nkey: key.pem\n")
    for file, command, words in (
        ("bare.yaml", "worker", "TLS takes certificates"),
        ("empty.yaml", "status", "ca.pem: no certificates for TLS"),
    ):
        status, _, err = commands.run(*shlex.split(f"harness cluster {command} --scheduler {file}"))
        assert status == 2
        assert words in err.splitlines()[-1]
        assert "Traceback" not in err


@pytest.mark.long
def test_the_documented_way_with_certificates(commands: Commands, tmp_path: Path) -> None:
    """A scheduler, a machine, its status and a comparison, all by TLS; who has no certificate is not let in."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (script,) = re.findall(r"```sh\n(openssl .*?)```", DOCUMENT, flags=re.DOTALL)
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    (text,) = re.findall(r"```yaml\n(name: .*?)```", DOCUMENT, flags=re.DOTALL)
    address = f"127.0.0.1:{_free_port()}"
    (tmp_path / "cluster.yaml").write_text(text.replace("192.168.1.10:8786", address))
    host, port = address.split(":")
    (line,) = re.findall(r"dask (scheduler .*)$", DOCUMENT, flags=re.MULTILINE)
    commands.start("dask", *shlex.split(line.replace("192.168.1.10", host).replace("8786", port)))
    wait_for(lambda: _answers(host, int(port)))
    commands.start("harness", *shlex.split("cluster worker --scheduler cluster.yaml --name bench-1"))

    def machines() -> Any:
        status, out, err = commands.run("harness", *shlex.split("cluster status --scheduler cluster.yaml --json"))
        assert status == 0, err
        return json.loads(out)

    (found,) = wait_for(machines)
    assert (found["name"], found["now"]) == ("bench-1", {})
    status, _, err = commands.run("harness", *shlex.split("cluster worker --scheduler cluster.yaml --name bench-1"))
    assert (status, err.splitlines()[1:]) == (
        2,
        [
            f"error: tls://{address}: cannot take part: "
            "a machine called 'bench-1' is there already: give this one another --name"
        ],
    )
    strange = tmp_path / "strange"
    strange.mkdir()
    subprocess.run(["sh", "-e", "-c", script], cwd=strange, check=True, capture_output=True)
    shutil.copy(tmp_path / "cluster.yaml", strange)
    status, _, err = commands.run(*shlex.split("harness cluster worker --scheduler strange/cluster.yaml"))
    assert (status, len(err.splitlines())) == (2, 1), err
    assert "no scheduler answers: TLS certificate does not match" in err
    words = f"compare --backends numpy --repeats 1 --no-race --name mine --cluster cluster.yaml {CHOICES}"
    status, _, err = commands.run("harness", *shlex.split(words))
    assert status == 0, err
    status, _, err = commands.run("harness", *shlex.split(f"cluster status --scheduler tcp://{address}"))
    assert (status, len(err.splitlines())) == (2, 1)
    assert "no scheduler answers" in err


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
