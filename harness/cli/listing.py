"""``list``: everything that may be asked for by name."""

from __future__ import annotations

from typing import Any

from harness.planning import options
from specs.program import PROGRAM


def list_(json: options.Json = False) -> None:
    """Models, recipes, data sets and backends that may be asked for by name.

    Example: `python -m harness list`
    """
    import json as json_module

    catalogue = _catalogue()
    if json:
        print(json_module.dumps(catalogue, indent=2))
    else:
        _print(catalogue)


def _catalogue() -> dict[str, list[dict[str, Any]]]:
    from backends.registry import BACKENDS
    from harness.datasets import NAMES
    from specs.loading import architecture_names, load_architecture, load_recipe, recipe_names
    from specs.shapes import parameter_count

    models = [load_architecture(name) for name in architecture_names()]
    recipes = [load_recipe(name) for name in recipe_names()]
    return {
        "models": [{"name": m.name, "title": m.title, "parameters": parameter_count(m)} for m in models],
        "recipes": [
            {"name": r.name, "title": r.title, "epochs": r.epochs, "targets": dict(r.targets)} for r in recipes
        ],
        "datasets": [{"name": name, "title": title} for name, title in NAMES.items()],
        "backends": [
            {"name": b.name, "title": b.title, "aliases": list(b.aliases), "export_format": b.create().export_format}
            for b in BACKENDS.values()
        ],
    }


def _print(catalogue: dict[str, list[dict[str, Any]]]) -> None:
    from harness.cli.tables import print_table

    print_table(
        "Models (or the path of a YAML file of your own)",
        ("name", "title", "parameters"),
        [(m["name"], m["title"], f"{m['parameters']:,}") for m in catalogue["models"]],
        right={"parameters"},
    )
    print_table(
        "Recipes (or a YAML file)",
        ("name", "title", "epochs", "target"),
        [(r["name"], r["title"], str(r["epochs"]), _target(r["targets"])) for r in catalogue["recipes"]],
        right={"epochs"},
    )
    print_table(
        "Data sets (or a folder of IDX files, or an .npz file)",
        ("name", "title"),
        [(d["name"], d["title"]) for d in catalogue["datasets"]],
    )
    print_table(
        f"Backends ({PROGRAM} doctor says which work here)",
        ("name", "title", "also", "exports"),
        [(b["name"], b["title"], ", ".join(b["aliases"]), b["export_format"] or "") for b in catalogue["backends"]],
    )


def _target(targets: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in targets.items())
