"""A machine that takes part in a cluster, and what those that do say of themselves."""

from __future__ import annotations

from typing import Any

import dask
from distributed import Client, Nanny

from harness.execution.cluster.connecting import machine_options, security
from harness.execution.cluster.looking import workers_of
from harness.execution.cluster.place import Place
from harness.execution.cluster.tasks import standing


async def serve(place: Place, name: str) -> None:
    """Take orders from the scheduler of a place until it ends or this process is interrupted.

    A worker process that dies is started anew.
    """
    with dask.config.set(machine_options()["config"]):
        async with Nanny(place.scheduler, name=name, security=security(place), **machine_options()) as nanny:
            await nanny.finished()


def machines(client: Client) -> list[dict[str, Any]]:
    """Of each machine its name, what it has, and what it does ``now`` since how many seconds; in order of names."""
    named = {address: str(worker["name"]) for address, worker in workers_of(client).items()}
    said = client.run(standing, workers=list(named)) if named else {}
    found = [{"name": named[address], **one} for address, one in said.items()]
    return sorted(found, key=lambda one: str(one["name"]))
