"""``race``: backends on one training by turns, until it is known how many times as fast each is."""

from __future__ import annotations

import sys

from harness.cli.choosing import Chosen, takes
from harness.planning import options
from harness.planning.choices import RaceChoices


@takes(RaceChoices)
def race(chosen: Chosen[RaceChoices], json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Race backends by turns on each model and data set; the machine's other work costs time, not truth.

    All are open at once and one is at work. A turn during which others were busy does not count. Nothing is kept;
    `compare` keeps its races.

    Example: `python -m harness race --backends torch,keras --models lenet5 --datasets digits --budget 30`
    """
    import json as json_module

    from harness.cli.checkpoint_options import tell
    from harness.cli.compare import here
    from harness.cli.race_display import RaceDisplay, print_race
    from harness.datasets import load_dataset
    from harness.execution.sweep import Sweep
    from harness.planning.study import Study, plans_of
    from harness.racing.cases import cases, rules_of
    from harness.racing.plans import run_race
    from specs.errors import RequestError

    asked = Study(name="race", repeats=1, **here(chosen.given))
    plans = plans_of(asked)
    groups = cases(plan for _, plan in plans)
    if not groups:
        raise RequestError("a race takes two at the least: name several --backends, or --tuning all")
    tell(Sweep.check(plans))
    races = []
    for group in groups:
        dataset = load_dataset(group[0].dataset, group[0].data_dir)
        try:
            with RaceDisplay(quiet=quiet) as display:
                display.begun(group)
                races.append(run_race(group, dataset, rules_of(asked), display.standing, baseline=asked.baseline))
        except KeyboardInterrupt:
            print("interrupted; its workers are ended", file=sys.stderr)
            return 130
        if not json:
            print_race(races[-1])
    if json:
        print(
            json_module.dumps([{**one.model_dump(by_alias=True), "ratios": one.summary()} for one in races], indent=2)
        )
    return 0 if all(one.ranked for one in races) else 1
