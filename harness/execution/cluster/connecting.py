"""Connections to a cluster, and a small one on this machine for a try."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, Security, SpecCluster

from harness.execution.cluster.place import Place, check_secure
from harness.execution.cluster.tasks import RESOURCE
from specs.errors import RequestError

CONNECT_S = 10.0
LOGGED = logging.CRITICAL
"""What Dask says below that is told in the harness's own words, or is no matter of the user's."""
PLAIN = ("msgpack",)
"""What a driver reads of results: a pickle is refused, which could have it execute anything."""
QUIET: dict[str, Any] = {
    # Its profiler looks at every thread 100 times a second, on the machine that is being measured.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
"""What Dask does on a machine beside what it is asked for, made less."""


@contextmanager
def connected(place: Place, *, insecure: bool = False) -> Iterator[Client]:
    """A client of the cluster; one that was started here ends with it.

    Raises RequestError where nobody answers, and where others can reach it and it does not speak TLS.
    """
    logging.getLogger("distributed").setLevel(LOGGED)
    with ExitStack() as stack:
        address = place.scheduler
        if place.local_workers is not None:
            address = stack.enter_context(local_cluster(place.local_workers)).scheduler_address
        check_secure(address, insecure=insecure)
        try:
            client = stack.enter_context(
                Client(address, security=security(place), timeout=CONNECT_S, deserializers=PLAIN, set_as_default=False)
            )
            listens_at = str(client.scheduler_info()["address"])
        except (OSError, TimeoutError, ValueError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise RequestError(f"{address}: no scheduler answers: {reason}") from None
        check_secure(listens_at, insecure=insecure)
        yield client


def security(place: Place) -> Security:
    """TLS by the files of the place, or by those of Dask's own configuration."""
    if not place.encrypted:
        return Security(require_encryption=False)
    if place.ca is None:
        return Security(require_encryption=True)
    own = {f"tls_{role}_{part}": file for role in ("client", "worker") for part, file in _pair(place)}
    return Security(require_encryption=True, tls_ca_file=place.ca, **own)


def _pair(place: Place) -> tuple[tuple[str, str | None], ...]:
    return ("cert", place.certificate), ("key", place.key)


def local_cluster(workers: int) -> AbstractContextManager[SpecCluster]:
    """A scheduler and so many workers on this machine, which nobody else can reach."""
    return cluster_of([{}] * workers)


@contextmanager
def cluster_of(workers: Sequence[Mapping[str, Any]]) -> Iterator[SpecCluster]:
    """The same of workers each with options of its own for Dask's Nanny."""
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}}
    spec = {
        f"here-{number}": {"cls": Nanny, "options": {**machine_options(), **options}}
        for number, options in enumerate(workers, start=1)
    }
    with dask.config.set(QUIET), SpecCluster(workers=spec, scheduler=scheduler, silence_logs=LOGGED) as cluster:
        yield cluster


def machine_options() -> dict[str, Any]:
    """What makes a worker of Dask's the one of a machine: a Nanny's options."""
    return {
        "nthreads": 1,
        "resources": {RESOURCE: 1},
        "memory_limit": 0,  # it is of Dask's own process, which holds nothing
        "config": QUIET,
        "silence_logs": LOGGED,
    }
