"""A machine that takes part in a cluster, and what those that do say of themselves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import dask
from distributed import Client, Nanny

from harness.execution.cluster.connecting import machine_options, security
from harness.execution.cluster.logs import be_quiet
from harness.execution.cluster.looking import workers_of
from harness.execution.cluster.place import Place, on_loopback
from harness.execution.cluster.tasks import standing
from specs.errors import RequestError


async def serve(place: Place, name: str, joined: Callable[[], None]) -> None:
    """Take orders from the scheduler of a place until it ends or this process is interrupted.

    ``joined`` is called once it takes part. A worker process that dies is started anew. Raises RequestError where the
    scheduler does not take it.
    """
    options = machine_options(alone=on_loopback(place.scheduler))
    shown = security(place)
    be_quiet()
    with dask.config.set(options["config"]):
        nanny = Nanny(place.scheduler, name=name, security=shown, **options)
        try:
            await nanny
        except Exception as error:  # whatever Dask met, which it tells as the cause
            reason = _reason(error)
            if f"name taken, {name}" in reason:
                reason = f"a machine called {name!r} is there already: give this one another --name"
            raise RequestError(f"{place.scheduler}: cannot take part: {reason}") from None
        joined()
        try:
            await nanny.finished()
        finally:
            await nanny.close()


def machines(client: Client) -> list[dict[str, Any]]:
    """Of each machine its name, what it has, and what it does ``now`` since how many seconds; in order of names.

    Of one that gives no answer, as where the harness is not installed, its name and the ``problem``.
    """
    named = {address: str(worker["name"]) for address, worker in workers_of(client).items()}
    said = client.run(standing, workers=list(named), on_error="return") if named else {}
    found = [{"name": named[address], **_told(one)} for address, one in said.items()]
    return sorted(found, key=lambda one: str(one["name"]))


def _told(answer: dict[str, Any] | Exception) -> dict[str, Any]:
    return {"problem": _reason(answer)} if isinstance(answer, Exception) else answer


def _reason(error: BaseException) -> str:
    """What was at the bottom of it, in one line: a try that was cut off by the time limit says nothing itself."""
    while error.__cause__ is not None and not isinstance(error.__cause__, asyncio.CancelledError):
        error = error.__cause__
    said = " ".join(str(error).split()) or type(error).__name__
    return re.sub("^in <.*>: ", "", said)  # the object of Dask's that met it
