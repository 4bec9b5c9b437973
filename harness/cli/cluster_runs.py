"""A comparison carried out on a cluster: from what ``compare --cluster`` is given to an engine at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.execution.cluster.place import Place
    from harness.execution.sweep import Sweep
    from harness.execution.units import Unit
    from results.record import Row


def check_cluster(address: str | None, *, insecure: bool, reach: bool) -> None:
    """Raise RequestError for what is no cluster, for one that others could reach, and where Dask is not installed.

    ``reach``: also where no scheduler answers, before anything is made for a comparison that cannot begin.
    """
    from harness.execution.cluster.place import check_installed, check_secure, read_place
    from specs.errors import RequestError

    if address is None:
        if insecure:
            raise RequestError("--insecure is of a cluster: name it with --cluster")
        return
    place = read_place(address)
    check_installed()
    if place.local_workers is None:
        check_secure(place.scheduler, insecure=insecure)
        if reach:
            _reach(place, insecure=insecure)


def _reach(place: Place, *, insecure: bool) -> None:
    from harness.execution.cluster.connecting import connected

    with connected(place, insecure=insecure):
        pass


def carry_out(sweep: Sweep, address: str, *, insecure: bool, quiet: bool) -> None:
    """What remains of a comparison, then its races. Raises what its engine and its set do."""
    from harness.cli.cluster_display import ClusterDisplay, RaceLines
    from harness.execution.cluster.admission import Versions
    from harness.execution.cluster.connecting import connected
    from harness.execution.cluster.engine import ClusterEngine
    from harness.execution.cluster.place import read_place
    from harness.execution.races import race_set

    rows, _ = sweep.results.rows()
    backends = dict.fromkeys(plan.backend for _, plan in sweep.plans)
    with (
        connected(read_place(address), insecure=insecure) as client,
        ClusterDisplay(sweep, quiet=quiet) as display,
    ):
        engine = ClusterEngine(
            client,
            sweep.datasets,
            sweep.results.run_folder,
            display,
            comparison=sweep.study.name,
            versions=Versions(backends, rows),
            threads=sweep.plans[0][1].threads,
            estimate=_estimate(sweep, rows),
            home=_home(rows),
        )
        sweep.run(display, display.finished, engine=engine)
        if sweep.study.race:
            race_set(sweep.study, sweep.plans, sweep.results, RaceLines(display), engine)


def _estimate(sweep: Sweep, rows: list[Row]) -> Callable[[Unit], float]:
    """The seconds of a unit."""
    from harness.planning.estimate import Estimator

    estimator = Estimator(rows)

    def seconds(unit: Unit) -> float:
        total = 0.0
        for _, plan in unit.runs:
            data = sweep.datasets[plan.dataset]
            samples = plan.limit_train or len(data.train_labels), plan.limit_test or len(data.test_labels)
            total += estimator.seconds(plan, *samples)
        return total

    return seconds


def _home(rows: list[Row]) -> Callable[[Unit], str | None]:
    """The fingerprint of the machine that other runs of a unit's round were made on."""
    from harness.execution.identity import fingerprint_of

    made_on = {(row.model, row.dataset, row.round): fingerprint_of(row.environment) for row in rows}

    def home(unit: Unit) -> str | None:
        plan = unit.runs[0][1]
        return made_on.get((plan.architecture.name, plan.dataset, plan.round))

    return home
