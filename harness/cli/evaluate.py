"""``evaluate``: a checkpoint's full metrics on a test set, in any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.checkpoint_options import Backend, CheckpointFolder
from harness.planning import options

if TYPE_CHECKING:
    from harness.inference.network import DatasetEvaluation


def evaluate(
    checkpoint: CheckpointFolder,
    backend: Backend = None,
    dataset: options.CheckpointDataset = None,
    limit_test: options.LimitTest = None,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    python: options.Python = None,
    json: options.Json = False,
) -> int:
    """Accuracy, loss, precision, recall, F1 and confusion of a checkpoint on a test set.

    Example: `python -m harness evaluate --checkpoint results/runs/checkpoints/NAME --backend keras`
    """
    import json as encoder

    from backends.registry import find
    from harness.cli.checkpoint_options import failures_as_one_line, opened_checkpoint, tell
    from harness.datasets import load_dataset
    from harness.inference.network import evaluation, opened
    from harness.inputs.prepare import limit
    from harness.planning.plan import check_device, check_fit
    from harness.planning.resolve import resolve_threads

    check_device(device)
    loaded = opened_checkpoint(checkpoint)
    registration = find(backend or loaded.manifest.backend)
    data = load_dataset(dataset or loaded.dataset(), data_dir, training=False)
    tell(check_fit(loaded.architecture, data))
    samples = limit("limit-test", limit_test, len(data.test_labels))
    with (
        failures_as_one_line(registration.subject),
        opened(loaded, registration.subject, device=device, threads=resolve_threads(threads), python=python) as model,
    ):
        found = evaluation(model.predict, data, loaded.recipe.preprocessing, limit=samples)
    report = {
        "checkpoint": str(checkpoint),
        "run_id": loaded.manifest.run_id,
        "trained_with": loaded.manifest.backend,
        "backend": registration.subject,
        "framework_version": model.version,
        "model": loaded.architecture.name,
        "dataset": data.name,
    }
    if json:
        mistakes = [one.model_dump() for one in found.misclassified]
        print(encoder.dumps({**report, **vars(found), "misclassified": mistakes}))
    else:
        _print(report, found)
    return 0


def _print(report: dict[str, str], found: DatasetEvaluation) -> None:
    from harness.cli.tables import print_table

    trained = "" if report["backend"] == report["trained_with"] else f", trained with {report['trained_with']}"
    title = f"{report['model']} on {report['dataset']} in {report['backend']} {report['framework_version']}{trained}"
    names = {
        "test_accuracy": "test accuracy",
        "test_loss": "test loss",
        "macro_precision": "macro precision",
        "macro_recall": "macro recall",
        "macro_f1": "macro F1",
    }
    rows = [[text, f"{getattr(found, key):.4f}"] for key, text in names.items()]
    print_table(title, ["figure", "value"], [*rows, ["test images", f"{found.samples:,}"]], right=["value"])
    confusion = found.confusion_matrix
    classes = [str(number) for number in range(len(confusion))]
    print_table(
        "Confusion: true classes down, predicted classes across",
        ["", *classes],
        [
            [label, *(str(count) if count else "·" for count in row)]
            for label, row in zip(classes, confusion, strict=True)
        ],
        right=classes,
    )
