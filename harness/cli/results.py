"""``results``: the result sets that are there, what one holds, and deleting them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.planning import options

if TYPE_CHECKING:
    from results.store import ResultSet

app = typer.Typer(help="List result sets, look into them, delete them.")

Name = Annotated[str, typer.Argument(help="A set's name or folder.")]
Where = Annotated[Path | None, typer.Option("--out", help="Where result sets lie; default: results/runs.")]


@app.command("list")
def list_(out: Where = None, json: options.Json = False) -> None:
    """Every result set, with what it compares and how its runs ended.

    Example: `python -m harness results list`
    """
    import json as json_module

    from harness.cli.tables import print_table
    from results.sets import sets_in
    from results.store import ResultSet
    from specs.errors import RequestError

    found = []
    for place in sets_in(out or options.SETS):
        try:
            found.append(_about(ResultSet.open(place)))
        except RequestError as problem:  # one set that cannot be read hides no other
            print(f"warning: {problem}", file=sys.stderr)
    if json:
        print(json_module.dumps(found, indent=2))
        return
    if not found:
        print(f"there are no result sets in {out or options.SETS}", file=sys.stderr)
        return
    print_table(
        "Result sets",
        ("name", "created", "runs", "backends", "models", "folder"),
        [
            (s["name"], s["created"], _ended(s), ", ".join(s["backends"]), ", ".join(s["models"]), s["folder"])
            for s in found
        ],
    )


@app.command()
def show(name: Name, out: Where = None, json: options.Json = False) -> None:
    """What a set was asked for, how its runs ended, and the commands that continue it or show it.

    Example: `python -m harness results show mine`
    """
    import json as json_module

    from results.sets import find_set
    from results.store import ResultSet
    from specs.program import PROGRAM

    results = ResultSet.open(find_set(name, out or options.SETS))
    about = _about(results)
    about["history"] = [earlier.model_dump() for earlier in results.manifest.history]
    about["study"] = results.manifest.study
    about["failed"] = [
        {"run_id": row.run_id, "status": row.status, "message": row.error.message if row.error else None}
        for row in results.rows()[0]
        if row.status != "ok"
    ]
    if json:
        print(json_module.dumps(about, indent=2))
        return
    lines = [(key, ", ".join(about[key])) for key in ("backends", "models", "datasets")]
    lines += [("created", about["created"]), ("runs", _ended(about)), ("folder", about["folder"])]
    lines += [("until " + earlier["until"], earlier["command"] or "") for earlier in about["history"]]
    lines += [("made by", about["command"])] if about["command"] else []
    lines += [(f"{run['status']}", f"{run['run_id']}: {run['message'] or ''}") for run in about["failed"]]
    lines += [("damaged", line) for line in about["damaged"]]
    lines += [("report", f"{PROGRAM} report {about['folder']}")]
    print(about["name"])
    for key, text in lines:
        print(f"  {key:<12} {' '.join(text.split())}")


@app.command()
def delete(
    names: Annotated[list[str], typer.Argument(help="Names or folders of sets.")],
    out: Where = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Delete sets with their records, checkpoints and reports; anything else in their folders stays.

    Example: `python -m harness results delete mine --yes`
    """
    from results.sets import delete as delete_set
    from results.sets import find_set
    from results.store import ResultSet
    from specs.errors import RequestError

    chosen = [ResultSet.open(find_set(name, out or options.SETS)) for name in names]
    for results in {one.path.resolve(): one for one in chosen}.values():
        about = _about(results)
        kept = sum(1 for _ in results.path.glob("checkpoints/*"))
        question = f"delete {about['folder']} with {_ended(about)}, {kept} checkpoints?"
        if not yes:
            if not (sys.stdin and sys.stdin.isatty()):
                raise RequestError(f"{question[:-1]}: nobody can be asked here: give --yes")
            if not typer.confirm(question, err=True):
                return 1
        left = delete_set(results)
        print(f"deleted {about['folder']}" + (f"; left there: {', '.join(left[:10])}" if left else ""), file=sys.stderr)
    return 0


def _about(results: ResultSet) -> dict[str, Any]:
    from collections import Counter

    rows, damaged = results.rows()
    return {
        "name": results.manifest.name,
        "folder": str(results.path),
        "created": results.manifest.created,
        "command": results.manifest.command,
        "runs": dict(Counter(row.status for row in rows)),
        "backends": list(dict.fromkeys(row.backend for row in rows)),
        "models": list(dict.fromkeys(row.model for row in rows)),
        "datasets": list(dict.fromkeys(row.dataset for row in rows)),
        "damaged": [str(line) for line in damaged],
    }


def _ended(about: dict[str, Any]) -> str:
    """As "12 runs (2 failed)"."""
    total = sum(about["runs"].values())
    others = ", ".join(f"{number} {status}" for status, number in about["runs"].items() if status != "ok")
    return f"{total} run{'' if total == 1 else 's'}" + (f" ({others})" if others else "")
