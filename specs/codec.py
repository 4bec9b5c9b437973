"""One codec between dataclasses and plain data for JSON and YAML: each field under its name.

A dataclass with a class variable ``kind`` (a layer, an optimizer, a schedule) becomes {kind: {every field}}, so that a
union of such classes is told apart; a class with ``to_dict`` and ``from_dict`` of its own is asked. A field that came
``later`` is left out at its default, so that what was written and hashed before it came stays valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Malformed(ValueError):
    """Data that does not fit a type: the message says where and what."""


def later(default: Any) -> Any:
    """The field of a dataclass that files and fingerprints written earlier do not have, with what they meant."""
    return field(default=default, metadata={"later": True})


def to_plain(value: Any) -> Any:
    """Dicts, lists, strings, numbers, booleans and None of a value."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        content = {one.name: to_plain(getattr(value, one.name)) for one in fields(value) if _written(one, value)}
        return {value.kind: content} if hasattr(value, "kind") else content
    match value:
        case Mapping():
            return {key: to_plain(one) for key, one in value.items()}
        case list() | tuple():
            return [to_plain(one) for one in value]
        case Path():
            return str(value)
        case _:
            return value


def _written(one: Field[Any], value: Any) -> bool:
    return not (one.metadata.get("later") and getattr(value, one.name) == one.default)


def from_plain(cls: type[T], data: Any) -> T:
    """The inverse of ``to_plain``: a ``cls`` of data that a stranger may have written.

    Raises Malformed for fields that are missing, surplus or of another type, and whatever the class itself raises.
    """
    return cast(T, _read(cls, data, cls.__name__))


def _read(hint: Any, data: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return data
    if origin is Literal:
        return data if data in arguments else _refuse(data, where)
    if origin in (Union, UnionType):
        return _one_of(arguments, data, where)
    if origin is tuple:
        return _tuple(arguments, data, where)
    if origin in (dict, Mapping):
        if not isinstance(data, dict):
            _refuse(data, where)
        return {_read(arguments[0], k, where): _read(arguments[1], v, f"{where}.{k}"[:200]) for k, v in data.items()}
    if hasattr(hint, "from_dict"):
        return hint.from_dict(data)
    if is_dataclass(hint):
        return from_fields(hint, data, where)
    if hint is float:
        return float(data) if type(data) in (int, float) else _refuse(data, where)
    if hint is Path:
        return Path(data) if isinstance(data, str) else _refuse(data, where)
    return data if type(data) is hint else _refuse(data, where)


def _one_of(hints: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and NoneType in hints:
        return None
    kinds = {hint.kind: hint for hint in hints if hasattr(hint, "kind")}
    if kinds:
        kind = next(iter(data)) if isinstance(data, dict) and len(data) == 1 else None
        if kind not in kinds:
            raise Malformed(f"{where}: nothing is called {str(kind)[:80]!r} here; known: {', '.join(sorted(kinds))}")
        return _read(kinds[kind], data, where)
    for hint in (hint for hint in hints if hint is not NoneType):
        try:
            return _read(hint, data, where)
        except Malformed:
            continue
    return _refuse(data, where)


def _tuple(hints: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        _refuse(data, where)
    if len(hints) == 2 and hints[1] is Ellipsis:
        return tuple(_read(hints[0], one, f"{where}[{place}]") for place, one in enumerate(data))
    if len(hints) != len(data):
        _refuse(data, where)
    pairs = enumerate(zip(hints, data, strict=True))
    return tuple(_read(hint, one, f"{where}[{place}]") for place, (hint, one) in pairs)


def from_fields(cls: Any, data: Any, where: str) -> Any:
    """A dataclass of its fields, for a class too whose ``from_dict`` has more to do. Raises like ``from_plain``."""
    if hasattr(cls, "kind"):
        data = data.get(cls.kind) if isinstance(data, dict) and len(data) == 1 else None
    if not isinstance(data, dict):
        _refuse(data, where)
    hints, known = _hints(cls), {one.name: one for one in fields(cls)}
    if surplus := sorted(set(data) - set(known), key=str):
        raise Malformed(f"{where}: no field is called {str(surplus[0])[:80]!r}")
    for name, one in known.items():
        if name not in data and one.default is MISSING and one.default_factory is MISSING:
            raise Malformed(f"{where}: {name} is missing")
    return cls(**{name: _read(hints[name], value, f"{where}.{name}") for name, value in data.items()})


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _refuse(data: Any, where: str) -> Any:
    raise Malformed(f"{where}: {type(data).__name__} {str(data)[:60]!r} does not fit")
