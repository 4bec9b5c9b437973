"""Which machines runs and races come from: told apart by what their records say, and named "A", "B", or "A1", "A2".

A letter is a kind of machine (``results.record.Hardware``): speeds of one kind may be compared. Where several machines
are of one kind, numbers tell them apart by their ids. What a record does not say may be anything: it is of the one kind
that agrees with what it does say; where several do, or none, of a kind of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from string import ascii_uppercase
from typing import NamedTuple, TypeVar

from results.record import Hardware, MachineRecord

_Key = TypeVar("_Key", bound=Hashable)

_FACTS = attrgetter("machine_id", "ram_mb", *(name for name in Hardware._fields if name != "ram_gib"))
TOLD_SINCE = 6
"""The schema of records that say all of their machine."""


@dataclass(frozen=True, eq=False)
class Machine:
    """A machine. ``name`` is "A2", or as ``kind`` "A" where it is the only one of its kind; ``facts`` describe it."""

    name: str
    kind: str
    facts: MachineRecord


class Said(NamedTuple):
    """What a record says of its machine; ``whole``: None stands for what is not there, and not for the unknown."""

    facts: MachineRecord
    whole: bool


def identified(told: Sequence[Said]) -> list[Machine]:
    """The machine of each. Thousands of records say the same few things, so each is looked at once."""
    known = [(_FACTS(facts), whole) for facts, whole in told]
    distinct = dict(zip(reversed(known), reversed(told), strict=True))
    keys = list(dict.fromkeys(known))
    of = dict(zip(keys, _identified([distinct[key] for key in keys]), strict=True))
    return [of[key] for key in known]


def _identified(told: Sequence[Said]) -> list[Machine]:
    kinds = _kinds(told)
    ids: dict[Hardware, dict[str, None]] = {}
    for said, kind in zip(told, kinds, strict=True):
        if said.facts.machine_id is not None:
            ids.setdefault(kind, {})[said.facts.machine_id] = None
    keys = [(kind, _id(said, ids.get(kind, {}))) for said, kind in zip(told, kinds, strict=True)]
    own, of_kind = _fullest(keys, told), _fullest(kinds, told)
    facts = {key: (said if said.whole else of_kind[key[0]]).facts for key, said in own.items()}
    machines = _named({key: said.model_copy(update={"machine_id": key[1]}) for key, said in facts.items()})
    return [machines[key] for key in keys]


def _fullest(keys: Iterable[_Key], told: Iterable[Said]) -> dict[_Key, Said]:
    """Of each key the first that says all, else the first."""
    found: dict[_Key, Said] = {}
    for key, said in zip(keys, told, strict=True):
        if key not in found or (said.whole and not found[key].whole):
            found[key] = said
    return found


def _kinds(told: Sequence[Said]) -> list[Hardware]:
    known = [said.facts.hardware for said in told]
    whole = {hardware for hardware, said in zip(known, told, strict=True) if said.whole}
    every = list(dict.fromkeys(known))
    of = {hardware: hardware if hardware in whole else _only(hardware, every) for hardware in every}
    return [of[hardware] for hardware in known]


def _only(part: Hardware, every: Iterable[Hardware]) -> Hardware:
    """The one kind that says more than ``part`` and agrees with it; itself where there is none, or several."""
    more = [one for one in every if one != part and _agrees(part, one)]
    fullest = [one for one in more if not any(other != one and _agrees(one, other) for other in more)]
    return fullest[0] if len(fullest) == 1 else part


def _agrees(part: Hardware, whole: Hardware) -> bool:
    return all(own in (None, other) for own, other in zip(part, whole, strict=True))


def _id(said: Said, ids: Iterable[str]) -> str | None:
    known = list(ids)
    return known[0] if said.facts.machine_id is None and len(known) == 1 else said.facts.machine_id


def _named(facts: dict[tuple[Hardware, str | None], MachineRecord]) -> dict[tuple[Hardware, str | None], Machine]:
    members: dict[Hardware, list[tuple[Hardware, str | None]]] = {}
    for key in facts:
        members.setdefault(key[0], []).append(key)
    named = {}
    for number, keys in enumerate(members.values()):
        kind = _letter(number)
        for place, key in enumerate(keys, start=1):
            named[key] = Machine(kind if len(keys) == 1 else f"{kind}{place}", kind, facts[key])
    return named


def _letter(number: int) -> str:
    """A to Z, then AA, AB, ..."""
    more, last = divmod(number, len(ascii_uppercase))
    return (_letter(more - 1) if more else "") + ascii_uppercase[last]
