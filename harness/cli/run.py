"""``run``: train one model on one backend and record it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from backends.registry import alternatives
from harness.cli import options


def run(
    backend: Annotated[str | None, typer.Option(help=f"{alternatives()}; default with --resume: the same.")] = None,
    model: Annotated[str | None, typer.Option(help="A model's name or YAML file.", metavar="NAME|PATH")] = None,
    dataset: options.Dataset = None,
    recipe: options.RecipeName = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, batch order and dropout; default: 0.")] = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    precision: Annotated[str | None, typer.Option(help="float32 (the default), float64 or bfloat16.")] = None,
    tuning: options.Manner = "recommended",
    limit_train: options.LimitTrain = None,
    limit_test: options.LimitTest = None,
    data_dir: options.DataDir = None,
    python: options.Python = None,
    timeout: options.Timeout = None,
    stall_timeout: options.StallTimeout = None,
    memory_limit: options.MemoryLimit = None,
    out: options.Out = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Keep the trained network as a checkpoint.")] = True,
    stop_after: Annotated[
        int | None, typer.Option(help="End after this epoch; the learning rates stay laid out for all.", metavar="N")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue a checkpoint; --epochs counts the ones done.", metavar="CHECKPOINT"),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Train one model on one backend; the record and a checkpoint are kept in the result set.

    Example: `python -m harness run --backend torch --model lenet5 --dataset digits --epochs 3`
    """
    from harness.cli.checkpoint_options import tell
    from harness.cli.progress import RunDisplay, summary
    from harness.datasets import load_dataset
    from harness.planning.manners import check_manner, manner
    from harness.planning.plan import RunPlan
    from harness.planning.resolve import new_training, resolve_threads, resumed_training
    from harness.planning.trainable import check_plan
    from harness.running.events import Trouble
    from harness.running.keeping import keep_images
    from harness.running.run import execute, new_run_id
    from results.store import ResultSet

    training: dict[str, Any] = {
        "model": model,
        "recipe": recipe,
        "batch_size": batch_size,
        "seed": seed,
        "precision": precision,
        "limit_train": limit_train,
        "limit_test": limit_test,
    }
    if resume is None:
        choices, notices = new_training(backend, dataset=dataset, epochs=epochs, **training)
    else:
        choices, notices = resumed_training(resume, backend, dataset=dataset, epochs=epochs, also_given=training)
    plan = RunPlan(
        **choices,
        device=device,
        threads=resolve_threads(threads),
        tuning=manner(tuning),
        data_dir=data_dir,
        python=python,
        timeout_s=timeout,
        stall_timeout_s=stall_timeout,
        memory_limit_mb=memory_limit,
        stop_after=stop_after,
    )
    check_manner(plan.backend, plan.tuning)
    data = load_dataset(plan.dataset, data_dir)
    tell([*notices, *check_plan(plan, data)])
    results = ResultSet.open_or_create(out or options.SETS, name="runs")
    run_id = new_run_id(plan)
    folder = results.run_folder(run_id)
    save_to = results.checkpoint_folder(run_id) if save else None
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
    return 0 if record.status == "ok" and kept else 1
