"""``run``: train one model on one backend and record it."""

import sys
from typing import Annotated

import typer

from harness.cli import options


def run(
    backend: Annotated[str, typer.Option(help="torch, keras, paddle, mindspore or numpy.")],
    model: Annotated[str, typer.Option(help="A model's name or YAML file.", metavar="NAME|PATH")],
    dataset: options.Dataset = None,
    recipe: options.RecipeName = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, batch order and dropout.")] = 0,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    precision: options.Precision = "float32",
    tuning: options.TuningMode = "on",
    limit_train: options.LimitTrain = None,
    limit_test: options.LimitTest = None,
    data_dir: options.DataDir = None,
    python: options.Python = None,
    timeout: options.Timeout = None,
    stall_timeout: options.StallTimeout = None,
    memory_limit: options.MemoryLimit = None,
    out: options.Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Train one model on one backend; the record is kept in the result set.

    Example: `python -m harness run --backend torch --model lenet5 --dataset digits --epochs 3`
    """
    from backends.registry import find
    from harness.cli.progress import RunDisplay, summary
    from harness.datasets import load_dataset
    from harness.plan import RunPlan
    from harness.resolve import DEFAULT_SET, notices, resolve_model, resolve_threads, resolve_tuning
    from harness.running import execute, new_run_id
    from results.store import ResultSet

    registration = find(backend)
    architecture, chosen = resolve_model(model, recipe, dataset=dataset, epochs=epochs, batch_size=batch_size)
    plan = RunPlan(
        backend=registration,
        model=model,
        architecture=architecture,
        recipe=chosen,
        dataset=chosen.dataset,
        seed=seed,
        device=device,
        precision=precision,
        threads=resolve_threads(threads),
        tuning=resolve_tuning(tuning),
        data_dir=data_dir,
        limit_train=limit_train,
        limit_test=limit_test,
        python=python,
        timeout_s=timeout,
        stall_timeout_s=stall_timeout,
        memory_limit_mb=memory_limit,
    )
    for notice in notices(architecture):
        print(f"note: {notice}", file=sys.stderr)
    data = load_dataset(plan.dataset, data_dir)
    results = ResultSet.open_or_create(out or DEFAULT_SET, name="runs")
    run_id = new_run_id(plan)
    folder = results.run_folder(run_id)
    with RunDisplay(plan, quiet=quiet) as display:
        record = execute(plan, data, folder, run_id, display)
    results.append(record)
    if json:
        print(record.to_json())
    elif not quiet:
        summary(record, folder)
    if record.status == "interrupted":
        return 130
    return 0 if record.status == "ok" else 1
