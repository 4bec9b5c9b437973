"""Made records placed on machines: two alike, and one of another kind."""

from __future__ import annotations

from results.record import MachineRecord, Record
from tests.results.records import record

_XEON = MachineRecord(
    cpu="Xeon 8488C", cores=8, ram_mb=31_800.0, os="Linux-6.1", governor="performance", instruction_sets="avx avx512f",
)  # fmt: skip
_EPYC = MachineRecord(
    cpu="EPYC 7763", cores=8, ram_mb=63_700.0, os="Linux-6.1", governor="schedutil", instruction_sets="avx",
)  # fmt: skip
PLACES = {
    "A1": _XEON.model_copy(update={"machine_id": "a" * 12}),
    "B": _EPYC.model_copy(update={"machine_id": "b" * 12}),
    "A2": _XEON.model_copy(update={"machine_id": "c" * 12, "ram_mb": 31_801.0}),
}
"""Machines by the names that they have where runs come from all of them, in this order."""
FASTER = {"A1": 1.0, "B": 0.5, "A2": 3.0}
"""How fast each is: rates of several of them in one would show."""


def at(place: str, made: Record) -> Record:
    """The record, made on a machine."""
    return made.model_copy(update={"environment": PLACES[place]})


def spread(
    *,
    backends: tuple[str, ...] = ("torch", "paddle"),
    places: tuple[str, ...] = ("A1", "B", "A2"),
    rounds: int = 12,
    on: dict[tuple[str, str], float] | None = None,
) -> list[Record]:
    """A study of lenet5 whose rounds went from machine to machine.

    ``on`` multiplies the speed of a backend on a machine; 0 means that it was not run there.
    """
    records = []
    for repeat in range(rounds):
        place = places[repeat % len(places)]
        for backend in backends:
            factor = (on or {}).get((backend, place), 1.0)
            if factor:
                records.append(at(place, record(backend, "lenet5", repeat=repeat, speed=FASTER[place] * factor)))
    return records
