"""``cluster``: make this machine one of a cluster's, and look at those there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.planning import options

if TYPE_CHECKING:
    from harness.execution.cluster.place import Place

app = typer.Typer(help="Machines that share the runs of a comparison (see docs/cluster.md).")

Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler", help="Its address, tcp://HOST:PORT or tls://HOST:PORT, or a YAML file.", metavar="ADDRESS|FILE"
    ),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Take one without TLS though other computers can reach it.")]


@app.command()
def worker(
    scheduler: Scheduler,
    name: Annotated[str | None, typer.Option(help="What the machine is called; default: its host name.")] = None,
    insecure: Insecure = False,
) -> int:
    """Have this machine carry out runs, one at a time, until it is stopped; one such process a machine.

    Example: `python -m harness cluster worker --scheduler tcp://127.0.0.1:8786`
    """
    import asyncio
    import socket
    import sys

    place = _place(scheduler, insecure=insecure)
    from harness.execution.cluster.connecting import connected
    from harness.execution.cluster.having import what_is_here
    from harness.execution.cluster.serving import serve

    with connected(place, insecure=insecure):
        """It answers, and tells where it listens, which the address that was typed does not."""
    called = name or socket.gethostname()
    has = what_is_here()
    made = ", ".join(has["backends"]) or "no environment yet: they are made when they are needed"
    print(f"{called}: {has['cpu']}, {has['cores']} CPUs, {has['ram_gb']} GiB; {made}", file=sys.stderr)
    takes = f"takes orders from {place.scheduler} until Ctrl-C"
    asyncio.run(serve(place, called, lambda: print(takes, file=sys.stderr)))
    print(f"the connection to {place.scheduler} has ended", file=sys.stderr)
    return 0


@app.command()
def status(scheduler: Scheduler, insecure: Insecure = False, json: options.Json = False) -> int:
    """List the machines of a cluster, what each has, what it does and since when.

    Example: `python -m harness cluster status --scheduler tcp://127.0.0.1:8786`
    """
    import json as json_module

    place = _place(scheduler, insecure=insecure)
    from harness.execution.cluster.connecting import connected
    from harness.execution.cluster.serving import machines

    with connected(place, insecure=insecure) as client:
        found = machines(client)
    if json:
        print(json_module.dumps(found, indent=2))
    else:
        _print(found)
    return 0


def _place(scheduler: str, *, insecure: bool) -> Place:
    from harness.execution.cluster.place import check_installed, check_secure, read_place
    from specs.errors import RequestError

    place = read_place(scheduler)
    if place.local_workers is not None:
        raise RequestError(f"--scheduler {scheduler}: that one lives no longer than its comparison")
    check_installed()
    check_secure(place.scheduler, insecure=insecure)
    return place


def _print(found: list[dict[str, Any]]) -> None:
    from harness.cli.sweep_display import duration
    from harness.cli.tables import print_table
    from results.formatting import plain

    rows = []
    for one in found:
        if "problem" in one:
            rows.append([plain(one["name"]), "", "", "", plain(f"no answer: {one['problem']}"), ""])
            continue
        now = one["now"]
        doing = f"{now.get('unit', '')}: {now.get('doing', '')} {now.get('note', '')}" if now else "free"
        rows.append(
            [
                plain(one["name"]),
                plain(f"{one['cpu']}, {one['cores']} CPUs, {one['ram_gb']} GiB"),
                ", ".join(one["backends"]),
                plain(now.get("comparison", "")),
                plain(doing),
                duration(one["busy_s"]) if now else "",
            ]
        )
    print_table("Machines", ("machine", "has", "environments", "comparison", "doing", "for"), rows, right=())
