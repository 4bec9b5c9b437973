"""A script: calls of the contract, carried out one after another inside the worker, where nothing is copied on the way.

Through a pipe every array arrives as a copy, which hides what a run would meet: arrays that move after they were handed
out, and arrays of the caller's that a session keeps. So what was handed out is looked at again when the script has
ended, and what was handed in is overwritten as soon as its call returns. Training data alone is the session's to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.contract import Arrays, Session, SessionSpec, Unsupported
from harness.worker.calls import Packed, pack, unpack

KEEPS = "set_training_data"
"""The one method whose arrays the session may keep."""

WRITES = ("save", "export")
"""Methods that are given a folder of their own."""

OPENS = "open"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of ``method`` on the session that goes by a number; "open" and "close" begin and end it.

    ``arguments`` are arrays, mappings of arrays and numbers by name. With ``again`` the only argument, of that name, is
    what an earlier call handed out: the very arrays; ``of`` is the place of that call in the script. With ``refused``
    it has to raise KeyError or ValueError, and gives "refused", 1 where it did.
    """

    session: int
    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    again: str = ""
    of: int = 0
    refused: bool = False


@dataclass(frozen=True, kw_only=True)
class Played:
    """The arrays that each call returned, by name, copied at once; and those that changed later and should not have."""

    results: tuple[Arrays, ...]
    changed: tuple[str, ...]


def play(open_session: Callable[[SessionSpec], Session], spec: SessionSpec, calls: Sequence[Call]) -> Played:
    """Carry the calls out on sessions that are all opened with ``spec``. Raises whatever a call raises."""
    with ExitStack() as stack:
        player = _Player(stack, lambda: open_session(spec))
        for place, call in enumerate(calls):
            player.call(f"call {place + 1}, {call.method}", call)
        return player.played()


class _Player:
    def __init__(self, stack: ExitStack, open_session: Callable[[], Session]) -> None:
        self._stack = stack
        self._open = open_session
        self._folder = Path(stack.enter_context(TemporaryDirectory()))
        self._sessions: dict[int, Session] = {}
        self._handed_out: list[Arrays] = []
        self._copies: list[Arrays] = []
        self._kept: list[tuple[str, Arrays, Arrays]] = []
        self._changed: list[str] = []

    def call(self, title: str, call: Call) -> None:
        """Make one call, keep a copy of its result, and overwrite the arrays it was given."""
        if call.method == OPENS:
            self._sessions[call.session] = self._stack.enter_context(closing(self._open()))
            result = None
        elif call.again:
            result = self._invoke(call, {call.again: self._handed_out[call.of]})
        else:
            own = {name: _copied(value) for name, value in call.arguments.items()}
            result = self._invoke(call, own)
            given, left = _flat(call.arguments), _flat(own)
            if call.method == KEEPS:
                self._kept.append((f"{title} was given", left, given))
            else:
                self._changed += _differing(f"{title} was given", left, given)
                for array in left.values():
                    array.fill(np.nan if array.dtype.kind == "f" else 0)
        arrays = _named(result)
        self._handed_out.append(arrays)
        self._copies.append({name: array.copy() for name, array in arrays.items()})
        self._kept.append((f"{title} gave", arrays, self._copies[-1]))

    def played(self) -> Played:
        """The results of all calls. Arrays that were handed out or kept are compared now with the copies made then."""
        late = [name for title, held, copies in self._kept for name in _differing(title, held, copies)]
        return Played(results=tuple(self._copies), changed=(*self._changed, *late))

    def _invoke(self, call: Call, arguments: dict[str, Any]) -> Any:
        method = getattr(self._sessions[call.session], call.method)
        if call.refused:
            return {"refused": np.array(_is_refused(method, arguments), np.int64)}
        if call.method not in WRITES:
            return method(**arguments)
        directory = self._folder / str(len(self._handed_out))
        directory.mkdir()
        with suppress(Unsupported):  # not every network can be exported, and not by every backend
            method(directory)
        return None


def _is_refused(method: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    """Whether it raises what the contract says, and not another error for want of a check of its own."""
    try:
        method(**arguments)
    except (KeyError, ValueError):
        return True
    except Exception:
        return False
    return False


def _copied(value: Any) -> Any:
    match value:
        case np.ndarray():
            return value.copy()
        case Mapping():
            return {name: array.copy() for name, array in value.items()}
        case _:
            return value


def _flat(values: Mapping[str, Any]) -> Arrays:
    """The arrays among the values, those of mappings too."""
    found: Arrays = {}
    for name, value in values.items():
        match value:
            case np.ndarray():
                found[name] = value
            case Mapping():
                found |= {f"{name}: {key}": array for key, array in value.items()}
    return found


def _named(result: Any) -> Arrays:
    """What a method of the contract gave, by name: a loss stands under "loss", arrays without a name under "result"."""
    match result:
        case float(loss), dict(gradients):
            return {"loss": np.asarray(loss), **gradients}
        case np.ndarray():
            return {"result": result}
        case dict():
            return dict(result)
        case _:
            return {}


def _differing(title: str, held: Arrays, copies: Arrays) -> list[str]:
    """Names of arrays that are not what they were, bit for bit but for the kind of a NaN."""
    return [f"{title}: {name}" for name, array in held.items() if not _equal(array, copies[name])]


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def pack_calls(calls: Sequence[Call]) -> Packed:
    """Calls as fields and arrays of a message."""
    plain: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for place, call in enumerate(calls):
        fields, own = pack(call.arguments)
        plain.append({**vars(call), "arguments": fields})
        arrays |= {f"{place}/{name}": array for name, array in own.items()}
    return {"calls": plain}, arrays


def unpack_calls(fields: Mapping[str, Any], arrays: Arrays) -> list[Call]:
    """The inverse of ``pack_calls``."""
    own = _by_place(arrays, len(fields["calls"]))
    return [
        Call(**{**plain, "arguments": unpack(plain["arguments"], own[place])})
        for place, plain in enumerate(fields["calls"])
    ]


def pack_played(played: Played) -> Packed:
    """What was played as fields and arrays of a message."""
    arrays = {f"{place}/{name}": array for place, own in enumerate(played.results) for name, array in own.items()}
    return {"calls": len(played.results), "changed": list(played.changed)}, arrays


def unpack_played(fields: Mapping[str, Any], arrays: Arrays) -> Played:
    """The inverse of ``pack_played``."""
    return Played(results=tuple(_by_place(arrays, fields["calls"])), changed=tuple(fields["changed"]))


def _by_place(arrays: Arrays, count: int) -> list[Arrays]:
    own: list[Arrays] = [{} for _ in range(count)]
    for key, array in arrays.items():
        place, _, name = key.partition("/")
        own[int(place)][name] = array
    return own
