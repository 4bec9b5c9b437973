"""A command whose options are the fields of a dataclass of choices."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, get_args, get_type_hints

from harness.planning.choices import Choices, table
from specs.errors import RequestError

C = TypeVar("C", bound=Choices)


@dataclass(frozen=True)
class Chosen(Generic[C]):
    """What was given on the command line, by field of ``cls``; the rest is as by default."""

    cls: type[C]
    given: Mapping[str, Any]

    def made(self, **more: Any) -> C:
        """The choices. Raises RequestError for what cannot be chosen."""
        return self.cls(**{**self.given, **more})


def takes(cls: type[C]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of ``cls``: it gets what was given as ``chosen``, beside its own options."""
    hints = get_type_hints(cls, include_extras=True)
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=_typed(hints[name]), default=_default(default)
        )
        for name, _, default in table(cls)
    ]

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        own = inspect.signature(function, eval_str=True)
        mine = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for n, p in own.parameters.items() if n != "chosen"]

        def command(**arguments: Any) -> int:
            given = {}
            for name, names, default in table(cls):
                value = arguments.pop(name)
                if value not in (None, [], _default(default)):
                    given[name] = _read(names[0], hints[name], value)
            return function(chosen=Chosen(cls, given), **arguments)

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__signature__ = inspect.Signature([*parameters, *mine])  # type: ignore[attr-defined]
        command.__annotations__ = {}
        return command

    return decorate


def _typed(hint: Any) -> Any:
    """As typer takes it: several values are words with commas, and None stands for what was not given."""
    kind, option = get_args(hint)[0], hint.__metadata__[0]
    if kind is bool:
        return hint
    return Annotated[list[str] | None if _several(kind) else kind | None, option]


def _default(default: Any) -> Any:
    return default if isinstance(default, bool) else None


def _several(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is tuple


def _read(option: str, hint: Any, value: Any) -> Any:
    kind = get_args(hint)[0]
    if not _several(kind):
        return value
    parts = words(value)
    if get_args(kind)[0] is not int:
        return parts
    if not all(part.isdigit() for part in parts):
        raise RequestError(f"{option} must be integers from 0 on, separated by commas, got {','.join(value)!r}")
    return tuple(int(part) for part in parts)


def words(given: Sequence[str]) -> tuple[str, ...]:
    """Those of an option that takes several, by commas or given again, each once."""
    return tuple(dict.fromkeys(part.strip() for one in given for part in one.split(",") if part.strip()))
