"""``profile``: what every layer of a network costs on a backend, beside the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.planning import options
from specs.program import PROGRAM

if TYPE_CHECKING:
    from pathlib import Path

    from harness.measuring.profile import BackendProfile, Time
    from harness.measuring.profiling import ProfileOutcome, ProfilePlan

MOST_ROUNDS = 100


def profile(
    model: Annotated[str, typer.Option(help="A model's name or YAML file.", metavar="NAME|PATH")],
    backend: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            "--backends",
            help="One: profiled beside all others that are installed. Several: those beside each other. "
            "Default: all that are installed.",
            metavar="A,B,…",
        ),
    ] = None,
    recipe: options.RecipeName = None,
    batch_size: options.BatchSize = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    tuning: options.Manner = "recommended",
    repeats: Annotated[int, typer.Option(help="Interleaved rounds per layer.")] = 5,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a backend may take for one measurement.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Forward and backward time of every layer, beside the same layer on other backends; what is far slower is named.

    Example: `python -m harness profile --backend mindspore --model lenet5 --tuning default`
    """
    import json as json_module

    from harness.measuring.profile import slow_layers
    from harness.measuring.profiling import Profiled, ProfilePlan
    from harness.measuring.profiling import profile as measure
    from harness.planning.choices import Choices
    from harness.planning.manners import manner
    from harness.planning.plan import check_device
    from harness.planning.resolve import resolve_model, resolve_threads
    from specs.errors import RequestError

    if not 2 <= repeats <= MOST_ROUNDS:
        raise RequestError(f"--repeats must be from 2 to {MOST_ROUNDS}, got {repeats}")
    if timeout is not None and not timeout > 0:
        raise RequestError(f"--timeout must be above 0 seconds, got {timeout:g}")
    check_device(device)
    architecture, chosen = resolve_model(model, Choices(recipe=recipe, batch_size=batch_size), None)
    profiled, pythons = _backends(backend)
    used = manner(tuning)
    plan = ProfilePlan(
        architecture=architecture,
        recipe=chosen,
        backends={name: Profiled(name, python, used) for name, python in pythons.items()},
        threads=resolve_threads(threads),
        device=device,
        rounds=repeats,
        timeout_s=timeout,
    )
    peak = _peak(plan)
    with ProfileBar(quiet=quiet) as progress:
        outcome = measure(plan, progress)
    for warning in _warnings(outcome):
        print(warning, file=sys.stderr)
    there = [name for name in profiled if name in outcome.profiles]
    slow = {name: slow_layers(outcome.profiles, name, peak) for name in there}
    if json:
        sentences = {name: [layer.sentence() for layer in layers] for name, layers in slow.items()}
        print(json_module.dumps({"tuning": used, **_document(plan, outcome, peak, sentences)}, indent=2))
    else:
        for name in there:
            _print(plan, outcome, name, peak)
            for layer in slow[name]:
                print(layer.sentence())
            if not slow[name]:
                print(_nothing_slow(name, outcome))
            print()
    return 0 if set(profiled) <= set(there) else 1


def _backends(given: list[str] | None) -> tuple[list[str], dict[str, Path]]:
    """Those to be profiled, and the interpreter of each that is measured: see the help of ``--backend``."""
    from backends.registry import find, frameworks
    from harness.cli.choosing import words
    from harness.processes.environments import distinct_python, find_python
    from specs.errors import RequestError

    named = list(dict.fromkeys(find(name).subject for name in words(given or ())))
    taken: dict[tuple[str, Path], str] = {}
    pythons = {name: distinct_python(name, taken) for name in named}
    if len(named) > 1:
        return named, pythons
    for name in frameworks():
        if name in pythons:
            continue
        try:
            pythons[name] = find_python(name)
        except RequestError as error:
            print(f"not beside it: {error}", file=sys.stderr)
    if not pythons:
        raise RequestError(f"no framework is installed here; type: {PROGRAM} setup")
    return named or list(pythons), pythons


def _peak(plan: ProfilePlan) -> float | None:
    """The machine's matrix-multiply GFLOP/s, measured when it is not remembered; None beside a GPU."""
    from harness.measuring.peak import measure, remembered

    if plan.device != "cpu":
        return None
    return (remembered(plan.threads) or measure(plan.threads)).matmul_gflops


class ProfileBar:
    """A bar on stderr, called as ``harness.measuring.profiling.profile`` goes on."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        from harness.cli.progress import console

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=console,
            disable=quiet,
            transient=True,
        )
        self._task = self._bar.add_task("")

    def __enter__(self) -> ProfileBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, of: int) -> None:
        self._bar.update(self._task, description=what, completed=done, total=of)


def _print(plan: ProfilePlan, outcome: ProfileOutcome, name: str, peak: float | None) -> None:
    from harness.cli.tables import print_table
    from results.formatting import ABSENT, cell

    own = outcome.profiles[name]
    others = [profile for other, profile in outcome.profiles.items() if other != name]
    columns = ["layer", "forward", "backward", "both", "GFLOP/s", "of peak", *(other.backend for other in others)]
    rows = [("step without layers", "", "", _cell(own.base), "", "", *(_cell(other.base) for other in others))]
    for place, layer in enumerate(own.layers):
        share = None if layer.gflops is None or not peak else layer.gflops / peak
        rows.append(
            (
                layer.name,
                _cell(layer.forward),
                _cell(layer.backward),
                _cell(layer.both),
                ABSENT if layer.gflops is None else cell("gflops", layer.gflops),
                ABSENT if share is None else f"{cell('share_of_peak', share)} %",
                *(_cell(other.layers[place].both, interval=False) for other in others),
            )
        )
    shown = [own, *others]
    rows.append(("added up", "", "", _ms(own.added_up), "", "", *(_ms(one.added_up) for one in others)))
    footer = ["measured whole", "", "", _cell(own.whole), "", "", *(_ms(one.whole.median) for one in others)]
    print_table(
        f"{plan.architecture.name} on {name} {own.framework_version}, {plan.backends[name].tuning}: ms per batch of "
        f"{plan.recipe.batch_size}, {plan.threads} threads",
        columns,
        rows,
        right=set(columns[1:]),
        footer=footer,
    )
    print(
        f"Medians of {plan.rounds} interleaved rounds, 95 % intervals in brackets; backward includes the update of the"
    )
    print("layer's weights. '<' is what cannot be told from 0: the layer takes less than that.")
    if any(one.tuning for one in shown):
        print("Tuning: " + "; ".join(f"{one.backend}: {', '.join(one.tuning)}" for one in shown if one.tuning) + ".")
    print()


def _warnings(outcome: ProfileOutcome) -> list[str]:
    from harness.running.figures import NOISY_OTHER_CPU

    said = [f"{name} is left out: {why}" for name, why in outcome.failed.items()]
    if outcome.other_cpu is not None and outcome.other_cpu > NOISY_OTHER_CPU:
        said.append(f"other processes used {outcome.other_cpu:.0%} of the machine's CPU time: intervals are wide")
    for name, profile in outcome.profiles.items():
        if not profile.adds_up:
            said.append(
                f"the layers of {name} add up to {_ms(profile.added_up)} ms, the whole network takes "
                f"{_ms(profile.whole.median)} ms: the machine was too busy, or --threads too many; measure again"
            )
    return said


def _nothing_slow(name: str, outcome: ProfileOutcome) -> str:
    from harness.measuring.profile import FAR_SLOWER

    if len(outcome.profiles) < 2:
        return f"There is no other backend here to hold {name} against."
    return f"No layer of {name} is over {FAR_SLOWER:g} times slower than on the best of the others beyond doubt."


def _cell(time: Time, *, interval: bool = True) -> str:
    if not time.told_apart:
        return f"< {_ms(time.most)}"
    return f"{_ms(time.median)} ({_ms(time.low)}–{_ms(time.high)})" if interval else _ms(time.median)


def _ms(seconds: float) -> str:
    from results.formatting import significant

    return significant(round(seconds * 1000, 4))


def _document(
    plan: ProfilePlan, outcome: ProfileOutcome, peak: float | None, sentences: dict[str, list[str]]
) -> dict[str, Any]:
    return {
        "model": plan.architecture.name,
        "batch_size": plan.recipe.batch_size,
        "optimizer": plan.recipe.optimizer.kind,
        "threads": plan.threads,
        "device": plan.device,
        "rounds": plan.rounds,
        "matmul_peak_gflops": peak,
        "backends": {name: _backend(profile, peak) for name, profile in outcome.profiles.items()},
        "failed": outcome.failed,
        "other_cpu": outcome.other_cpu,
        "slow": sentences,
    }


def _backend(profile: BackendProfile, peak: float | None) -> dict[str, Any]:
    return {
        "framework_version": profile.framework_version,
        "tuning": list(profile.tuning),
        "base": _time(profile.base),
        "layers": [
            {
                "name": layer.name,
                "forward": _time(layer.forward),
                "backward": _time(layer.backward),
                "both": _time(layer.both),
                "forward_flops": layer.forward_flops,
                "backward_flops": layer.backward_flops,
                "gflops": layer.gflops,
                "share_of_peak": None if layer.gflops is None or not peak else layer.gflops / peak,
            }
            for layer in profile.layers
        ],
        "added_up_ms": profile.added_up * 1000,
        "adds_up": profile.adds_up,
        "whole": _time(profile.whole),
    }


def _time(time: Time) -> dict[str, float | None]:
    """``ms`` is null where the time cannot be told from 0; it is then less than ``high_ms``."""
    if not time.told_apart:
        return {"ms": None, "low_ms": 0.0, "high_ms": time.most * 1000}
    return {"ms": time.median * 1000, "low_ms": time.low * 1000, "high_ms": time.high * 1000}
