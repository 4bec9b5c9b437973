"""``doctor``: which backends work here, and what to type for those that do not."""

from typing import Annotated, Any

import typer

from harness.planning import options


def doctor(
    backends: Annotated[list[str] | None, typer.Argument(help="Which; default: all.", show_default=False)] = None,
    json: options.Json = False,
) -> int:
    """Start every backend's worker, and of every other version that was set up; say what its framework is.

    Example: `python -m harness doctor`
    """
    import json as json_module

    from backends.registry import BACKENDS, find
    from harness.cli.checkpoint_options import tell
    from harness.processes.made import versions_made

    chosen = [find(name) for name in backends] if backends else [*BACKENDS.values(), *versions_made()]
    tell(_quota())
    findings = [examine(registration.subject) for registration in chosen]
    if json:
        print(json_module.dumps(findings, indent=2))
    else:
        _print(findings)
    return 0 if all(finding["works"] for finding in findings) else 1


def examine(name: str) -> dict[str, Any]:
    """What is known of one backend here: works, where its interpreter is, versions, devices, or what to type.

    "installed" has every package of a managed environment, as pip takes them for requirements.
    """
    from backends.registry import find
    from harness.processes.environments import find_interpreter
    from harness.processes.launcher import WorkerFailed
    from harness.processes.managed import Environment
    from harness.processes.remote import open_worker
    from specs.errors import RequestError

    try:
        interpreter = find_interpreter(name)
        with open_worker(name, timeout_s=300) as worker:
            said = worker.loaded
    except (RequestError, WorkerFailed) as error:
        return {"backend": name, "works": False, "problem": str(error)}
    managed = Environment(find(name)) if interpreter.origin == "managed" else None
    return {
        "backend": name,
        "works": True,
        "interpreter": str(interpreter.python),
        "origin": interpreter.origin,
        "variant": managed.variant if managed else None,
        "installed": managed.installed() if managed else None,
        "framework_version": said.framework.framework_version,
        "python": said.python,
        "devices": said.framework.devices,
        "precisions": said.framework.precisions,
        "packages": said.framework.packages,
        "import_s": said.import_s,
    }


def _quota() -> list[str]:
    """What a container's quota of processor time means for the figures, where there is one."""
    from harness.measuring.machine import available_cpus, default_threads
    from harness.measuring.quota import cpu_quota

    quota = cpu_quota()
    if quota is None or quota >= available_cpus():
        return []
    return [
        f"this process may use {available_cpus()} CPUs, and a quota of its control group lets it use the time of "
        f"{quota:g}: --threads is {default_threads()} unless you say otherwise"
    ]


def _print(findings: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.cli.tables import stdout_console

    table = Table("backend", "version", "devices", "precisions", "import", "interpreter")
    for finding in findings:
        if finding["works"]:
            table.add_row(
                finding["backend"],
                finding["framework_version"],
                ", ".join(finding["devices"]),
                ", ".join(finding["precisions"]),
                f"{finding['import_s']:.1f} s",
                f"{_origin(finding)}: {escape(finding['interpreter'])}",
            )
        else:
            table.add_row(finding["backend"], "[red]does not work[/]", "", "", "", escape(finding["problem"]))
    stdout_console().print(table)


def _origin(finding: dict[str, Any]) -> str:
    """Where the interpreter is from, with the variant where it is not the usual one."""
    from harness.processes.pins import VARIANTS

    variant = finding["variant"]
    return finding["origin"] if variant in (None, VARIANTS[0]) else f"{finding['origin']}, {variant}"
