"""Connections to a cluster, and a small one on this machine for a try."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, Security, SpecCluster

from harness.execution.cluster import tasks
from harness.execution.cluster.logs import LOGGED, be_quiet
from harness.execution.cluster.place import Place, check_secure
from harness.running.interrupts import shielded
from specs.errors import RequestError

CONNECT_S = 10.0
LOOPBACK = "127.0.0.1"
PLAIN = ("msgpack",)
"""What a driver reads of results: a pickle is refused, which could have it execute anything."""
QUIET: dict[str, Any] = {
    # Its profiler looks at every thread 100 times a second, on the machine that is being measured.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
"""What Dask does on a machine beside what it is asked for, made less."""
PATIENT: dict[str, Any] = {"distributed.deploy.lost-worker-timeout": "1h"}
"""After so long Dask ends for good what watches over a worker process that was killed and is not there again yet: by
default after 15 s, which starting it anew takes on a busy machine."""


@contextmanager
def connected(place: Place, *, insecure: bool = False) -> Iterator[Client]:
    """A client of the cluster; one that was started here ends with it.

    Raises RequestError where nobody answers, and where others can reach it and it does not speak TLS.
    """
    be_quiet()
    with ExitStack() as stack:
        address = place.scheduler
        if place.local_workers is not None:
            address = stack.enter_context(local_cluster(place.local_workers)).scheduler_address
        check_secure(address, insecure=insecure)
        shown = security(place)
        try:
            client = stack.enter_context(
                Client(address, security=shown, timeout=CONNECT_S, deserializers=PLAIN, set_as_default=False)
            )
            listens_at = str(client.scheduler_info()["address"])
        except (OSError, TimeoutError, ValueError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise RequestError(f"{address}: no scheduler answers: {reason}") from None
        check_secure(listens_at, insecure=insecure)
        for topic in ("print", "warn"):  # Dask would write the one to stdout, and read the other as a pickle
            client.subscribe_topic(topic, _ignore)
        yield client


def _ignore(event: object) -> None:
    """Nothing comes of it."""


def security(place: Place) -> Security:
    """TLS by the files of the place, or by those of Dask's own configuration. Raises RequestError where it has none."""
    if not place.encrypted:
        return Security(require_encryption=False)
    if place.ca is None or place.certificate is None or place.key is None:
        found = Security(require_encryption=True)
        if found.get_connection_args("client").get("ssl_context") is None:
            raise RequestError(f"{place.scheduler}: TLS takes certificates: name a YAML file (see docs/cluster.md)")
        return found
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context.load_verify_locations, place.ca)
    _load(context.load_cert_chain, place.certificate, place.key)
    own = {
        f"tls_{role}_{part}": file
        for role in ("client", "worker")
        for part, file in (("cert", place.certificate), ("key", place.key))
    }
    return Security(require_encryption=True, tls_ca_file=place.ca, **own)


def _load(take: Callable[..., None], *files: str) -> None:
    try:
        take(*files)
    except OSError as error:
        raise RequestError(f"{' and '.join(files)}: no certificates for TLS: {error.strerror or error}") from None


def local_cluster(workers: int) -> AbstractContextManager[SpecCluster]:
    """A scheduler and so many workers on this machine, which nobody else can reach."""
    return cluster_of([{}] * workers)


@contextmanager
def cluster_of(workers: Sequence[Mapping[str, Any]]) -> Iterator[SpecCluster]:
    """The same of workers each with options of its own for Dask's Nanny."""
    scheduler = {"cls": Scheduler, "options": {"host": LOOPBACK, "port": 0, "dashboard_address": f"{LOOPBACK}:0"}}
    spec = {
        f"here-{number}": {"cls": Nanny, "options": {**machine_options(alone=True), **options}}
        for number, options in enumerate(workers, start=1)
    }
    with dask.config.set({**QUIET, **PATIENT}), ExitStack() as stack:
        with shielded(), _deaf_children():
            cluster = stack.enter_context(SpecCluster(workers=spec, scheduler=scheduler, silence_logs=LOGGED))
        yield cluster


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Have processes that are started meanwhile not hear Ctrl-C: half made, they would end with a traceback.

    ``tasks.dask_setup`` has it ignored for good.
    """
    resource_tracker.ensure_running()  # one that is started later lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def machine_options(*, alone: bool) -> dict[str, Any]:
    """What makes a worker of Dask's the one of a machine: a Nanny's options.

    A worker listens too, and executes what it is told: on every interface, unless it is ``alone`` on this computer.
    """
    return {
        "host": LOOPBACK if alone else None,
        "preload": tasks.__name__,
        "nthreads": 1,
        "resources": {tasks.RESOURCE: 1},
        "memory_limit": 0,  # it is of Dask's own process, which holds nothing
        "config": QUIET,
        "silence_logs": LOGGED,
    }
