"""Which checks there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from harness.conformance import (
    contract,
    drawn_layers,
    graph_cases,
    join_cases,
    layer_cases,
    network_cases,
    optimizer_cases,
    trajectories,
)
from harness.conformance.case import ConformanceCase
from harness.conformance.contract import Scripts
from harness.conformance.dropout import native_dropout
from harness.conformance.family_cases import FIRST, FURTHER, family_cases, single_cases
from harness.conformance.judge import Candidate, judge
from harness.conformance.locate import first_difference
from harness.conformance.loop import LoopRuns
from harness.conformance.outcome import LEVELS, CheckOutcome
from harness.conformance.reference import Reference
from harness.conformance.runs import DigitRuns
from harness.conformance.special_values import judge_special_values
from harness.conformance.tolerances import PRECISIONS
from harness.datasets import Dataset
from specs.layers import JOINS, LAYERS, Tanh
from specs.loading import architecture_names, default_recipe, load_architecture
from specs.optimizers import OPTIMIZERS, SGD, Adam

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the table: one thing of one level in one precision."""

    level: str
    name: str
    precision: str
    run: Callable[[Candidate], list[CheckOutcome]]

    def __str__(self) -> str:
        return f"{self.level}-{self.name}-{self.precision}".replace(" ", "_")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much of everything is judged.

    ``single_layers`` are the kinds that are judged alone, besides those of a family side by side. Beside others small
    errors of tanh, which is nearly flat where it saturates, do not show.
    ``every_option`` asks for all options of every optimizer, for recurrent layers and fifty steps under each of them,
    and for both precisions of drawn networks and optimizers too. ``recipes`` name the bundled architectures as well.
    ``dropout`` are the probabilities that the framework's own masks are judged at: 0.999 shows how many random bits
    decide.
    """

    name: str
    single_layers: tuple[str, ...]
    drawn_layers_per_kind: int
    drawn_networks: int
    drawn_graphs: int
    every_option: bool
    recipes: tuple[str, ...]
    dropout: tuple[float, ...]
    scripts: Scripts


FULL = Scope(
    name="full",
    single_layers=tuple(LAYERS | JOINS),
    drawn_layers_per_kind=3,
    drawn_networks=24,
    drawn_graphs=40,
    every_option=True,
    recipes=architecture_names(),
    dropout=(0.1, 0.25, 0.3, 0.5, 0.9, 0.999),
    scripts=contract.MANY_SCRIPTS,
)
QUICK = Scope(
    name="quick",
    single_layers=(Tanh.kind,),
    drawn_layers_per_kind=0,
    drawn_networks=4,
    drawn_graphs=1,
    every_option=False,
    recipes=("mlp", "lenet5"),
    dropout=(0.25, 0.5, 0.999),
    scripts=contract.FEW_SCRIPTS,
)


class Suite:
    """The checks of a scope, with the cases and the reference's observations that all backends share.

    Level 4 also trains on ``mnist`` where it is given. Cases are made when first needed. Several threads may run the
    checks of one suite on different subjects.
    """

    def __init__(self, scope: Scope = FULL, *, mnist: Dataset | None = None) -> None:
        self.scope = scope
        self.reference = Reference()
        self._mnist = mnist
        self._runs = DigitRuns()
        self._loop_runs = LoopRuns()

    def checks(self, levels: Sequence[str] = LEVELS) -> tuple[Check, ...]:
        """The checks of some levels, in the order of LEVELS."""
        makers = {
            "layers": self._layers,
            "networks": self._networks,
            "optimizers": self._optimizers,
            "trajectories": self._trajectories,
            "runs": self._digits,
            "loop": self._loop,
            "contract": self._contract,
            "special": self._special_values,
        }
        return tuple(check for level in LEVELS if level in levels for check in makers[level]())

    def notes(self, levels: Sequence[str] = LEVELS) -> tuple[str, ...]:
        """What the checks of these levels leave out, and why."""
        notes = []
        left_out = [name for name in self.scope.recipes if trajectories.too_large(load_architecture(name))]
        if "trajectories" in levels and self._mnist is None:
            notes.append("level trajectories: MNIST is not here, so it ran on random data alone (data fetch mnist)")
        elif "trajectories" in levels and left_out:
            names = ", ".join(left_out)
            notes.append(f"level trajectories: {names} on random data alone: too large to keep clear of kinks")
        if "special" in levels and not self.scope.every_option:
            notes.append("level special: in the full scope alone")
        return tuple(notes)

    def _layers(self) -> Iterator[Check]:
        cases = _Lazy(self._layer_cases)
        families = {which: _Lazy(partial(family_cases, which)) for which in (FIRST, FURTHER)}
        singles = {which: _Lazy(partial(single_cases, which)) for which in families}
        for precision, networks in (("float32", (FIRST, FURTHER)), ("float64", (FIRST,))):
            for which in networks:
                for family in (*layer_cases.FAMILIES, "joins"):
                    whole, parts = (partial(_of, made[which], family) for made in (families, singles))
                    yield self._side_by_side(f"{family} {which}", precision, whole, parts)
            for kind in self.scope.single_layers:
                yield self._check("layers", kind, precision, partial(_of, cases, kind), explained=False)

    def _side_by_side(
        self,
        name: str,
        precision: str,
        one_network: Callable[[], Sequence[ConformanceCase]],
        each_alone: Callable[[], Sequence[ConformanceCase]],
    ) -> Check:
        """The layers of a family in one network; each alone where a backend lacks one of them."""
        whole, parts = (self._check("layers", name, precision, cases) for cases in (one_network, each_alone))

        def run(candidate: Candidate) -> list[CheckOutcome]:
            outcomes = whole.run(candidate)
            lacking = all(outcome.status == "unsupported" for outcome in outcomes)
            return parts.run(candidate) if lacking else outcomes

        return replace(whole, run=run)

    def _layer_cases(self) -> dict[str, Sequence[ConformanceCase]]:
        """Of every kind those written by hand and those drawn."""
        fixed = layer_cases.fixed_cases() | join_cases.fixed_cases()
        drawn = drawn_layers.drawn_cases(self.scope.drawn_layers_per_kind)
        return {kind: (*fixed[kind], *drawn.get(kind, ())) for kind in LAYERS | JOINS}

    def _networks(self) -> Iterator[Check]:
        bundled = _Lazy(partial(network_cases.bundled_cases, self.scope.recipes))
        for precision in PRECISIONS if self.scope.every_option else ():  # trajectories begin with the same
            yield self._check("networks", "bundled architectures", precision, bundled)
        drawn = _Lazy(partial(network_cases.drawn_cases, self.scope.drawn_networks))
        graphs = _Lazy(partial(graph_cases.graph_cases, self.scope.drawn_graphs))
        corners = _Lazy(network_cases.corner_cases)
        for precision in self._precisions:
            yield self._check("networks", "corners", precision, corners)
            yield self._check("networks", "drawn chains", precision, drawn)
            yield self._check("networks", "drawn graphs", precision, graphs)

    def _optimizers(self) -> Iterator[Check]:
        check = partial(self._check, "optimizers", explained=False)
        for kind in OPTIMIZERS:
            options = optimizer_cases.options(kind, every=self.scope.every_option)
            probes = [optimizer_cases.probe(optimizer) for optimizer in options]
            fifties = [optimizer_cases.fifty_steps(optimizer) for optimizer in options]
            linear = [optimizer_cases.probe(optimizer, optimizer_cases.LINEAR_NETWORK) for optimizer in options]
            recurrent = [optimizer_cases.probe(optimizer, optimizer_cases.RECURRENT_NETWORK) for optimizer in options]
            for precision in self._precisions:
                yield check(f"{kind} probe", precision, partial(list, probes))
                if self.scope.every_option or kind == Adam.kind:
                    yield check(f"{kind} probe, recurrent layers", precision, partial(list, recurrent))
                if self.scope.every_option or kind == SGD.kind:
                    yield check(f"{kind} 50 steps", precision, partial(list, fifties))
            yield check(f"{kind} probe, linear layers", "float64", partial(list, linear))

    def _trajectories(self) -> Iterator[Check]:
        for name in self.scope.recipes:
            architecture, recipe = load_architecture(name), default_recipe(name)
            random = _Lazy(partial(_one, trajectories.on_random_data, architecture, recipe))
            for precision in PRECISIONS:
                yield self._check("trajectories", f"{name} on random data", precision, random)
            if self._mnist is not None and not trajectories.too_large(architecture):
                digits = _Lazy(partial(_one, trajectories.on_dataset, architecture, recipe, self._mnist))
                for precision in PRECISIONS:
                    yield self._check("trajectories", f"{name} on mnist", precision, digits)
        for precision in ("float32", "bfloat16") if self.scope.every_option else ("float32",):
            run = partial(native_dropout, precision=precision, probabilities=self.scope.dropout)
            yield Check(level="trajectories", name="native dropout", precision=precision, run=run)

    @property
    def _precisions(self) -> tuple[str, ...]:
        return PRECISIONS if self.scope.every_option else PRECISIONS[:1]

    def _digits(self) -> Iterator[Check]:
        for name, run in (("digits", self._runs.equivalence), ("repeated", self._runs.repeatability)):
            yield Check(level="runs", name=name, precision="float32", run=run)

    def _loop(self) -> Iterator[Check]:
        for precision in self._precisions:
            run = partial(self._loop_runs.judge, precision=precision)
            yield Check(level="loop", name="training and resumption", precision=precision, run=run)

    def _contract(self) -> Iterator[Check]:
        scripts = self.scope.scripts
        for name, precision, threads in contract.checks(scripts):
            run = partial(contract.judge_scripts, scripts=scripts, name=name, precision=precision, threads=threads)
            yield Check(level="contract", name=contract.title(name, threads), precision=precision, run=run)

    def _special_values(self) -> Iterator[Check]:
        for precision in self._precisions if self.scope.every_option else ():
            for kind in LAYERS | JOINS:
                run = partial(judge_special_values, kind, precision=precision)
                yield Check(level="special", name=kind, precision=precision, run=run)

    def _check(
        self,
        level: str,
        name: str,
        precision: str,
        cases: Callable[[], Sequence[ConformanceCase]],
        *,
        explained: bool = True,
    ) -> Check:
        def run(candidate: Candidate) -> list[CheckOutcome]:
            explain = partial(
                first_difference, open_session=candidate.open, reference=self.reference, precision=precision
            )
            return judge(
                level,
                name,
                cases(),
                open_session=candidate.open,
                reference=self.reference,
                precision=precision,
                explain=explain if explained else None,
            )

        return Check(level=level, name=name, precision=precision, run=run)


def _of(cases: Callable[[], Mapping[str, Sequence[ConformanceCase]]], name: str) -> Sequence[ConformanceCase]:
    return cases()[name]


def _one(make: Callable[..., ConformanceCase], *arguments: object) -> Sequence[ConformanceCase]:
    return [make(*arguments)]


class _Lazy(Generic[T]):
    """A value made when first asked for, once, whichever thread asks."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]
