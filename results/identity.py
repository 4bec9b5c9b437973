"""Which runs are one and the same training: their content decides, and never a name.

Two runs are of one training where they had the same network, data and recipe; seeds may differ. What a run was given is
known by the fingerprints of its inputs, but the schedule's and the initial weights' are those of one seed. So runs of
one seed are told apart by their fingerprints, and runs of several seeds are held together by what is recorded of the
recipe: its fingerprint, or in records of before there was one the recipe's name, and batch size and epochs by the
command.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from results.record import Record, Row

_LABELS = frozenset({"name", "title", "source", "dataset", "architecture", "targets"})
"""Fields of a recipe or a network that decide nothing of a training."""


class Inputs(NamedTuple):
    """What one run was given, as far as its record says."""

    architecture: str | None
    data: str | None
    schedule: str | None
    initial_weights: str | None

    @property
    def whole(self) -> bool:
        """Whether all of it is known."""
        return None not in self


class Told(NamedTuple):
    """What a record says of its training in words and numbers, the seed apart."""

    recipe: str
    batch_size: int | None
    epochs: int | None
    stop_after: int | None
    resumed: bool


def inputs(row: Row) -> Inputs:
    """The fingerprints of a run."""
    known = row.fingerprints
    return Inputs(known.architecture, known.data, known.schedule, known.initial_weights)


def told(row: Row) -> Told:
    """The recipe of a run by its name and the numbers of its command."""
    numbers = {name: _number(name, row.command or "") for name in ("batch-size", "epochs", "stop-after")}
    return Told(
        row.recipe, numbers["batch-size"], numbers["epochs"], numbers["stop-after"], row.resumed_from is not None
    )


def _number(option: str, command: str) -> int | None:
    found = re.search(rf"(?:^| )--{option} (\d+)(?: |$)", command)
    return int(found[1]) if found else None


def differences(first: Record, second: Record) -> Iterator[tuple[str, object, object]]:
    """What two records say differently of their trainings: the name of each fact and both values.

    Of records that hold their specs, every field of recipe and network; else what ``told`` has.
    """
    held = first.specs is not None and second.specs is not None
    mine, its = (_facts(record, held=held) for record in (first, second))
    for name in dict.fromkeys([*mine, *its]):
        if mine.get(name) != its.get(name):
            yield name, mine.get(name), its.get(name)


def _facts(record: Record, *, held: bool) -> dict[str, object]:
    said: dict[str, object] = told(record)._asdict()
    if not held or record.specs is None:
        return said
    flat = dict(_flat({k: v for k, v in record.specs.recipe.items() if k not in _LABELS}))
    flat |= _flat({k: v for k, v in record.specs.architecture.items() if k not in _LABELS})
    flat |= {"train_samples": record.train_samples, "test_samples": record.test_samples}
    return flat | {name: said[name] for name in ("stop_after", "resumed")}


def _flat(spec: object, at: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested plain data with their places, e.g. "layers[2].conv2d.out_channels"."""
    if isinstance(spec, dict):
        for name, part in spec.items():
            yield from _flat(part, f"{at}.{name}" if at else str(name))
    elif isinstance(spec, list) and any(isinstance(part, dict | list) for part in spec):
        for number, part in enumerate(spec):
            yield from _flat(part, f"{at}[{number}]")
    else:
        yield at, spec


def trainings(rows: Sequence[Row]) -> list[str]:
    """For every run the identity of its training: 12 hexadecimal digits, the same for runs that are repeats.

    Seed, backend, version, manner, device, precision and threads are no part of it: it is what runs must share to be
    compared. A run that ended before its inputs were prepared belongs to the one training that its names fit; where
    several fit, or none, it has an identity of its own.
    """
    groups = _Groups()
    shared = _shared_by_seeds(rows)
    for row in rows:
        if inputs(row).whole:
            groups.join(inputs(row), shared.get(_recipe(row), inputs(row)))
    named: dict[Hashable, set[Hashable]] = {}
    for row in rows:
        if inputs(row).whole:
            named.setdefault(_names(row), set()).add(groups.of(inputs(row)))
    members = {groups.of(inputs(row)): inputs(row) for row in reversed(rows) if inputs(row).whole}
    found: list[Hashable] = []
    for row in rows:
        if inputs(row).whole:
            found.append(groups.of(inputs(row)))
            continue
        fitting = [one for one in named.get(_names(row), ()) if _fits(inputs(row), members[one])]
        found.append(fitting[0] if len(fitting) == 1 else (inputs(row), _names(row)))
    digests = {key: hashlib.sha256(repr(key).encode()).hexdigest()[:12] for key in dict.fromkeys(found)}
    return [digests[key] for key in found]


def _recipe(row: Row) -> Hashable:
    known = inputs(row)
    return row.fingerprints.training or (known.architecture, known.data, told(row))


def _names(row: Row) -> Hashable:
    return row.model, row.dataset, told(row)


def _shared_by_seeds(rows: Iterable[Row]) -> dict[Hashable, Hashable]:
    """What holds the seeds of a training together; not where one seed shows that it stands for several trainings."""
    seen: dict[Hashable, dict[int, set[Inputs]]] = {}
    for row in rows:
        if inputs(row).whole:
            seen.setdefault(_recipe(row), {}).setdefault(row.seed, set()).add(inputs(row))
    return {recipe: recipe for recipe, by_seed in seen.items() if all(len(own) == 1 for own in by_seed.values())}


def _fits(part: Inputs, whole: Inputs) -> bool:
    """Whether what is known of a run's network and data agrees with a training."""
    return all(own in (None, other) for own, other in zip(part[:2], whole[:2], strict=True))


class _Groups:
    """Sets of things that are known to be the same, joined as that becomes known."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def of(self, thing: Hashable) -> Hashable:
        """The one that stands for all that are the same as ``thing``."""
        while (parent := self._parents.setdefault(thing, thing)) != thing:
            thing = parent
        return thing

    def join(self, first: Hashable, second: Hashable) -> None:
        """Take two things, and all that are the same as either, for the same; the second one's stands for them."""
        self._parents[self.of(first)] = self.of(second)
