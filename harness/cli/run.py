"""``run``: train one model on one backend and record it."""

from harness.cli.choosing import Chosen, takes
from harness.planning import options
from harness.planning.choices import RunChoices


@takes(RunChoices)
def run(chosen: Chosen[RunChoices], json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Train one model on one backend; the record and a checkpoint are kept in the result set.

    Example: `python -m harness run --backend torch --model lenet5 --dataset digits --epochs 3`
    """
    from harness.cli.checkpoint_options import tell
    from harness.cli.progress import RunDisplay, summary
    from harness.datasets import load_dataset
    from harness.planning.resolve import plan_run
    from harness.planning.trainable import check_expected, check_plan
    from harness.running.events import Trouble
    from harness.running.keeping import keep_images
    from harness.running.run import execute, new_run_id
    from results.store import ResultSet

    choices = chosen.made()
    plan, notices = plan_run(choices)
    data = load_dataset(plan.dataset, plan.data_dir)
    tell([*notices, *check_plan(plan, data)])
    check_expected(plan, data, choices.expect)
    results = ResultSet.open_or_create(plan.out or options.SETS, name="runs")
    run_id = new_run_id(plan)
    folder = results.run_folder(run_id)
    save_to = results.checkpoint_folder(run_id) if plan.save else None
    with RunDisplay(plan, quiet=quiet) as display:
        record = execute(plan, data, folder, run_id, display, keep=results.append, save_to=save_to)
        for trouble in keep_images(results, record, data):
            display(Trouble(text=trouble))
    if json:
        print(record.to_json())
    else:
        summary(record, folder, save_to)
    if record.status == "interrupted":
        return 130
    kept = save_to is None or save_to.exists()
    return 0 if record.status == "ok" and kept and not record.disproved else 1
