"""The machines that runs come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from results.findings.finding import NAMED, Analysis, Finding
from results.formatting import cell, figure, plain
from results.machines import Machine
from results.record import Hardware

_DIFFERING = ("cpu_quota", "os", "governor", "gpu")


def machines(analysis: Analysis) -> Iterator[Finding]:
    """What the machines are, where a set was made on several; else in what those of several sets differ."""
    if analysis.labels.machines:
        yield analysis.say("machine_kinds", "agreement", what="; ".join(_kinds(analysis)))
        return
    runs = analysis.results.runs
    for column in ("cpu", "cores", "os"):
        found = [plain(str(value)) for value in runs[column].dropna().unique()]
        if len(found) > 1:
            yield analysis.say(
                "machines",
                "warning",
                what=analysis.words(f"machine_{column}"),
                values=analysis.words.join(found[:NAMED]),
            )


def _kinds(analysis: Analysis) -> Iterator[str]:
    kinds: dict[str, list[Machine]] = {}
    for machine in analysis.results.machines:
        kinds.setdefault(machine.kind, []).append(machine)
    every = [own[0].facts.hardware for own in kinds.values()]
    for own in kinds.values():
        names = analysis.words.join([plain(machine.name) for machine in own])
        yield analysis.words("machine_is", names=names, what=", ".join(_facts(analysis, own[0].facts.hardware, every)))


def _facts(analysis: Analysis, hardware: Hardware, every: Sequence[Hardware]) -> Iterator[str]:
    """Processor, cores and memory, and what else the kinds of machine differ in."""
    yield plain(hardware.cpu or analysis.words("unknown"))
    if hardware.cores is not None:
        count = cell("cores", hardware.cores)
        yield analysis.words("one_core") if hardware.cores == 1 else analysis.words("cores_count", count=count)
    if hardware.ram_gib is not None:
        yield f"{hardware.ram_gib} GiB"
    for name in _DIFFERING:
        value = getattr(hardware, name)
        if value is not None and len({getattr(other, name) for other in every}) > 1:
            yield f"{analysis.words(f'column_{name}')} {plain(figure(name, value) if name == 'cpu_quota' else value)}"
    if more := _own_instructions(hardware, every):
        yield f"{analysis.words('column_instruction_sets')} {more}"


def _own_instructions(hardware: Hardware, every: Sequence[Hardware]) -> str:
    """The instruction sets that not all have."""
    common = frozenset.intersection(*(_instructions(one) for one in every))
    return plain(" ".join(sorted(_instructions(hardware) - common)), 120)


def _instructions(hardware: Hardware) -> frozenset[str]:
    return frozenset((hardware.instruction_sets or "").split())
