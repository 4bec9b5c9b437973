"""``show``: a model's layers, shapes, parameters and FLOPs, and how it is trained by default."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.planning import options

if TYPE_CHECKING:
    from specs.architecture import Architecture
    from specs.nodes import Node
    from specs.recipe import Recipe


def show(
    model: Annotated[str, typer.Argument(help="A model's name or YAML file.", metavar="NAME|PATH")],
    json: options.Json = False,
) -> None:
    """The layer table of a model: output shapes, parameters, FLOPs; and its default recipe.

    Example: `python -m harness show lenet5`
    """
    import json as json_module

    from specs.loading import default_recipe, load_architecture

    architecture = load_architecture(model)
    recipe = default_recipe(architecture.name)
    if json:
        print(json_module.dumps(_description(architecture, recipe), indent=2))
    else:
        _print(architecture, recipe)


def _description(architecture: Architecture, recipe: Recipe) -> dict[str, Any]:
    from harness.planning.notices import notices
    from specs.codec import to_plain
    from specs.shapes import forward_flops, infer, parameter_count, train_flops

    return {
        "architecture": to_plain(architecture),
        "layers": [
            {
                "name": node.name,
                "kind": node.layer.kind,
                "options": asdict(node.layer),
                "inputs": node.inputs,
                "input_shapes": node.input_shapes,
                "output_shape": node.output_shape,
                "parameters": node.parameter_count,
                "forward_flops": node.forward_flops,
            }
            for node in infer(architecture)
        ],
        "parameters": parameter_count(architecture),
        "forward_flops_per_sample": forward_flops(architecture),
        "train_flops_per_sample": train_flops(architecture),
        "recipe": to_plain(recipe),
        "notices": notices(architecture),
    }


def _print(architecture: Architecture, recipe: Recipe) -> None:
    from harness.cli.tables import print_table
    from harness.planning.notices import notices
    from specs.nodes import is_chain
    from specs.outline import outline
    from specs.shapes import forward_flops, infer, parameter_count, train_flops

    columns = ("layer", "inputs", "options", "output shape", "parameters", "FLOPs")
    rows: list[tuple[str, ...]] = [("input", "", "", _shape(architecture.input), "", "")]
    rows += [("  " * depth + text, *_cells(node)) for depth, text, node in outline(architecture)]
    footer = ("total", "", "", "", f"{parameter_count(architecture):,}", f"{forward_flops(architecture):,}")
    # In a chain every layer takes the one above it, which need not be said.
    shown = [c for c, name in enumerate(columns) if name != "inputs" or not is_chain(infer(architecture))]
    print_table(
        f"{architecture.name}: {architecture.title}" if architecture.title else architecture.name,
        [columns[c] for c in shown],
        [[row[c] for c in shown] for row in rows],
        right={"parameters", "FLOPs"},
        footer=[footer[c] for c in shown],
    )
    print("FLOPs are of one sample's forward pass, a multiply-add counted as two;")
    print(f"a training step takes {train_flops(architecture):,} per sample in its matrix products.")
    for notice in notices(architecture):
        print(f"Note: {notice}.")
    if architecture.source:
        print(f"Source: {architecture.source}.")
    print()
    print(f"Default recipe {recipe.name}: {', '.join(_recipe(recipe))}.")


def _cells(node: Node | None) -> tuple[str, ...]:
    """Inputs, options, output shape, parameters and FLOPs; of a heading nothing."""
    if node is None:
        return ("",) * 5
    return (
        ", ".join(node.inputs),
        ", ".join(_options(node.layer)),
        _shape(node.output_shape),
        f"{node.parameter_count:,}" if node.parameters else "",
        f"{node.forward_flops:,}" if node.forward_flops else "",
    )


def _options(spec: Any, *, but: tuple[str, ...] = ()) -> list[str]:
    """The fields of a layer or optimizer that are not at their defaults, in words."""
    return [
        f"{field.name.replace('_', ' ')} {_value(value)}"
        for field in fields(spec)
        if field.name not in but and (value := getattr(spec, field.name)) != field.default
    ]


def _value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return "x".join(map(str, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _recipe(recipe: Recipe) -> list[str]:
    phrases = [
        f"{recipe.dataset}",
        f"{recipe.epochs} epochs",
        f"batches of {recipe.batch_size}",
        f"{recipe.optimizer.kind}",
        f"{recipe.learning_rate_schedule.kind} learning rate {recipe.optimizer.learning_rate:g}",
        *_options(recipe.optimizer, but=("learning_rate",)),
        f"weights {recipe.initializer.weights.kind}, biases {recipe.initializer.biases.kind}",
        *(["augmented"] if recipe.augmentation.active else []),
    ]
    return phrases + [f"target {name.replace('_', ' ')} {value:g}" for name, value in recipe.targets.items()]
