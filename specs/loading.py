"""Architectures and recipes from YAML: the bundled ones by name, anyone's own by path; clear errors out.

Files may come from strangers: their size, depth and numbers are bounded before anything is allocated. Imported by the
parent process only.
"""

from __future__ import annotations

import dataclasses
import math
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from specs import nest
from specs.architecture import Architecture
from specs.document import Document, beside, read_document
from specs.errors import FieldError, RequestError, unknown
from specs.foreign import EXPECTED, EXPLAINED, FOREIGN
from specs.form import MNIST, FormOf, closed
from specs.initializers import DISTRIBUTIONS, Distribution
from specs.layers import Padding, Pair
from specs.nodes import Place, place_text
from specs.optimizers import OPTIMIZERS, Optimizer
from specs.recipe import Recipe
from specs.schedule import SCHEDULES, Schedule
from specs.shapes import ShapeMismatch, infer

ARCHITECTURES = Path(__file__).parent / "architectures"
RECIPES = Path(__file__).parent / "recipes"
DEFAULT_RECIPE = "default"

MOST_PARAMETERS = 2_000_000_000
MOST_FEATURES = 1_000_000_000  # numbers that one layer gives for one sample

# What is written as a bare name or {name: {fields}}: what it is called, and its types by name.
_CHOICES: dict[Any, tuple[str, dict[str, type]]] = {
    nest.Item: ("layer", nest.ITEMS),
    Optimizer: ("optimizer", OPTIMIZERS),
    Schedule: ("learning rate schedule", SCHEDULES),
    Distribution: ("initializer", DISTRIBUTIONS),
}

T = TypeVar("T")


def architecture_names() -> tuple[str, ...]:
    """Names of the bundled architectures, sorted."""
    return _names(ARCHITECTURES)


def recipe_names() -> tuple[str, ...]:
    """Names of the bundled recipes, sorted."""
    return _names(RECIPES)


def load_architecture(name_or_path: str | Path, form_of: FormOf = lambda _: MNIST) -> Architecture:
    """A bundled architecture by name, or one from a YAML file (anything with a slash or ending in .yaml or .yml).

    ``form_of`` says what the file leaves open: ``input``, ``classes``, and widths that it writes as ``classes``. Raises
    RequestError of one line with file, line and the nearest valid choice. The shapes of the result are known to fit.
    """
    document = read_document(_locate("model", name_or_path, ARCHITECTURES))
    if isinstance(document.value, dict):
        document = dataclasses.replace(document, value=closed(document.value, form_of))
    architecture = _top(document, Architecture)
    try:
        nodes = infer(architecture)
    except ShapeMismatch as error:
        raise RequestError(f"{document.where(error.place)}: {error}") from None
    parameters = 0
    for node in nodes:
        where = f"{document.where(node.place)}: {architecture.name}: {place_text(node.place)} ({node.layer.kind})"
        features = max(math.prod(shape) for shape in (*node.input_shapes, node.output_shape))
        if features > MOST_FEATURES:
            raise RequestError(f"{where}: {features:,} numbers per sample, at most {MOST_FEATURES:,} are allowed")
        parameters += node.parameter_count
        if parameters > MOST_PARAMETERS:
            raise RequestError(f"{where}: {parameters:,} parameters so far, at most {MOST_PARAMETERS:,} are allowed")
    return architecture


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A bundled recipe by name, or one from a YAML file; errors as in ``load_architecture``.

    A data set that it names by a path is looked for beside it first.
    """
    file = _locate("recipe", name_or_path, RECIPES)
    recipe = _top(read_document(file), Recipe)
    return dataclasses.replace(recipe, dataset=beside(file, recipe.dataset))


def load_dataclass(path: Path, cls: type[T]) -> T:
    """A dataclass with a ``name`` from a YAML file of its fields (a study, say); errors as in ``load_architecture``."""
    return _top(read_document(path), cls)


def default_recipe(architecture_name: str) -> Recipe:
    """The recipe of the architecture's own name, else the general one (for a user's own network)."""
    return load_recipe(architecture_name if architecture_name in recipe_names() else DEFAULT_RECIPE)


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def _locate(kind: str, name_or_path: str | Path, folder: Path) -> Path:
    text = str(name_or_path)
    if "\0" in text:
        raise RequestError(f"a {kind}'s name may not hold a NUL character")
    if isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        return Path(text)
    if text not in _names(folder):
        raise unknown(kind, text, _names(folder))
    return folder / f"{text}.yaml"


def _top(document: Document, cls: type[T]) -> T:
    if not isinstance(document.value, dict):
        raise RequestError(f"{document.where(())}: expected a mapping with the fields of {_title(cls)}")
    result = _build(document, (), cls, document.value, _title(cls))
    name = document.value["name"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):  # names become parts of file names
        raise RequestError(f"{document.where(('name',))}: name must be letters, digits, '.', '_' and '-', got {name!r}")
    return result


def _title(cls: type) -> str:
    return f"{'an' if cls is Architecture else 'a'} {cls.__name__.lower()}"


def _build(document: Document, place: Place, cls: type[T], given: dict[str, Any], title: str) -> T:
    """An instance of the dataclass ``cls`` from a mapping of its fields."""
    hints = _hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            if name in EXPLAINED:
                raise RequestError(
                    f"{document.where((*place, name))}: unknown field of {title} {name!r}: {EXPLAINED[name]}"
                )
            raise unknown(f"field of {title}", name, fields, where=document.where((*place, name)), meant=FOREIGN)
    for name, field in fields.items():
        if name not in given and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RequestError(f"{document.where(place)}: {title} needs the field {name!r}")
    values = {name: _value(document, (*place, name), hints[name], value) for name, value in given.items()}
    try:
        return cls(**values)
    except ValueError as error:
        field_place = (*place, error.field) if isinstance(error, FieldError) and error.field in given else place
        raise RequestError(f"{document.where(field_place)}: {title}: {error}") from None


def _value(document: Document, place: Place, hint: Any, value: Any) -> Any:
    if hint in _CHOICES:
        return _choice(document, place, hint, value)
    if hint in (nest.Sequence, tuple[nest.Sequence, ...]):
        if not isinstance(value, tuple):
            raise RequestError(f"{document.where(place)}: {place_text(place)} must be a list")
        item_hint, _ = get_args(hint)
        return tuple(_value(document, (*place, index), item_hint, item) for index, item in enumerate(value))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise RequestError(f"{document.where(place)}: {place[-1]} must be a mapping of fields")
        return _build(document, place, hint, value, str(place[-1]))
    try:
        return _adapter(hint).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        kind, given, inner = first["type"], first["input"], first["loc"]
        wanted = first["ctx"]["expected"] if kind == "literal_error" else EXPECTED.get(kind, first["msg"].lower())
        if kind in ("tuple_type", "missing", "too_long"):
            sizes = [item for item in get_args(hint) if item is not type(None)]
            example = f", such as [{value}]" if isinstance(value, str | int | float) else ""
            wanted = f"a list of {len(sizes)}" if ... not in sizes and len(sizes) > 1 else f"a list{example}"
            given, inner = value, ()
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (place[-1], *inner)).lstrip(".")
        raise RequestError(f"{document.where(place)}: {path} must be {wanted}, got {_shown(given)}") from None


def _choice(document: Document, place: Place, union: Any, value: Any) -> Any:
    """One of several types, written as a bare name or as {name: {fields}}."""
    kind, types = _CHOICES[union]
    entry = {value: {}} if isinstance(value, str) else value
    if not isinstance(entry, dict) or len(entry) != 1:
        raise RequestError(
            f"{document.where(place)}: {_article(kind)} is a name or {{name: {{fields}}}}, got {_shown(value)}"
        )
    ((name, given),) = entry.items()
    if name not in types:
        if name in EXPLAINED:
            raise RequestError(f"{document.where(place)}: unknown {kind} {name!r}: {EXPLAINED[name]}")
        raise unknown(kind, name, types, where=document.where(place), meant=FOREIGN)
    if not isinstance(given, dict):
        raise RequestError(f"{document.where(place)}: {name} takes a mapping of fields, got {_shown(given)}")
    title = f"{place_text(place)} ({name})" if isinstance(place[-1], int) else name
    return _build(document, (*place, name), types[name], given, title)


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _shown(value: Any) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hints(cls: type) -> dict[str, Any]:
    # A pair may also be one integer, padding has more forms: the layers check and normalise them. A path is a text.
    read = {Pair: Any, Padding: Any, Path | None: str | None}
    return {name: read.get(hint, hint) for name, hint in get_type_hints(cls).items()}


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(strict=True))
