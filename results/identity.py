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

ABSENT = object()
"""In place of a value where a recipe or a network has no such field."""

_LABELS = frozenset({"name", "title", "source", "dataset", "architecture", "targets"})
"""Fields of a recipe or a network that decide nothing of a training."""


class InputFingerprints(NamedTuple):
    """What one run was given, as far as its record says."""

    architecture: str | None
    data: str | None
    schedule: str | None
    initial_weights: str | None

    @property
    def whole(self) -> bool:
        """Whether all of it is known."""
        return None not in self


class TrainingTerms(NamedTuple):
    """What a record says of its training in words and numbers, the seed apart."""

    recipe: str
    batch_size: int | None
    epochs: int | None
    stop_after: int | None
    resumed: bool


def inputs(row: Row) -> InputFingerprints:
    """The fingerprints of a run."""
    known = row.fingerprints
    return InputFingerprints(known.architecture, known.data, known.schedule, known.initial_weights)


def told(row: Row) -> TrainingTerms:
    """The recipe of a run by its name and the numbers of its command."""
    numbers = {name: _number(name, row.command or "") for name in ("batch-size", "epochs", "stop-after")}
    return TrainingTerms(
        row.recipe, numbers["batch-size"], numbers["epochs"], numbers["stop-after"], row.resumed_from is not None
    )


def _number(option: str, command: str) -> int | None:
    found = re.search(rf"(?:^| )--{option} (\d+)(?: |$)", command)
    return int(found[1]) if found else None


def differences(first: Record, second: Record) -> Iterator[tuple[str, object, object]]:
    """What two records say differently of their trainings: the name of each fact and both values.

    Of records that hold their specs, every field of recipe and network, ABSENT where one has no such field; else what
    ``told`` has, None for what is unknown.
    """
    held = first.specs is not None and second.specs is not None
    mine, its = (_facts(record, held=held) for record in (first, second))
    for name in dict.fromkeys([*mine, *its]):
        if mine.get(name) != its.get(name):
            missing = ABSENT if held else None
            yield name, mine.get(name, missing), its.get(name, missing)


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
    if spec == {}:  # a layer without options: that it is there is all there is to say
        yield at, True
    elif isinstance(spec, dict):
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
    read = [_Read.of(row) for row in rows]
    whole = [one for one in read if one.inputs.whole]
    shared = _shared_by_seeds(whole)
    groups = _Groups()
    for one in whole:
        groups.join(one.inputs, one.recipe if one.recipe in shared else one.inputs)
    named: dict[Hashable, dict[Hashable, InputFingerprints]] = {}
    for one in whole:
        named.setdefault(one.names, {}).setdefault(groups.of(one.inputs), one.inputs)
    found: list[Hashable] = []
    for one in read:
        if one.inputs.whole:
            found.append(groups.of(one.inputs))
            continue
        fitting = [group for group, member in named.get(one.names, {}).items() if _fits(one.inputs, member)]
        found.append(fitting[0] if len(fitting) == 1 else (one.inputs, one.names))
    digests = {key: hashlib.sha256(repr(key).encode()).hexdigest()[:12] for key in dict.fromkeys(found)}
    return [digests[key] for key in found]


class _Read(NamedTuple):
    """What identifies a run, read from its record once: ``recipe`` stands for the training whatever the seed."""

    inputs: InputFingerprints
    seed: int
    recipe: Hashable
    names: Hashable

    @classmethod
    def of(cls, row: Row) -> _Read:
        known, said = inputs(row), told(row)
        recipe = row.fingerprints.training or (known.architecture, known.data, said)
        return cls(known, row.seed, recipe, (row.model, row.dataset, said))


def _shared_by_seeds(read: Iterable[_Read]) -> set[Hashable]:
    """What holds the seeds of a training together; not where one seed shows that it stands for several trainings."""
    seen: dict[tuple[Hashable, int], InputFingerprints] = {}
    several = {one.recipe for one in read if seen.setdefault((one.recipe, one.seed), one.inputs) != one.inputs}
    return {recipe for recipe, _ in seen} - several


def _fits(part: InputFingerprints, whole: InputFingerprints) -> bool:
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
