"""Which workers of a cluster are machines."""

from __future__ import annotations

from typing import Any

from distributed import Client

from harness.execution.cluster.tasks import RESOURCE


def workers_of(client: Client) -> dict[str, dict[str, Any]]:
    """What the scheduler says now of each worker that has the resource, by address. Raises OSError where it is gone.

    It is asked itself: what a client remembers of it is renewed in the background without the workers.
    """
    found: dict[str, dict[str, Any]] = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    return {address: one for address, one in found.items() if one.get("resources", {}).get(RESOURCE, 0) >= 1}
