"""Made-up but realistic records: what a comparison on two shared, noisy cores leaves behind."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results.manifest import BackendConformance
from results.record import (
    STEP_SAMPLES,
    Epoch,
    Fingerprints,
    LearningCurve,
    MachineRecord,
    Memory,
    Misclassified,
    Noise,
    Phases,
    Record,
    RunError,
    Span,
    StepTime,
    Throughput,
    Tuning,
    thinned,
)
from results.store import ResultSet

BACKENDS = ("torch", "keras", "paddle", "mindspore")
MODELS = ("mlp", "lenet5")
VERSIONS = {"torch": "2.13.0", "keras": "3.15.1", "paddle": "3.3.1", "mindspore": "2.10.0", "numpy": "2.3.1"}
SPEED = {  # samples per second
    "mlp": {"torch": 160_000.0, "keras": 118_000.0, "paddle": 98_000.0, "mindspore": 105_000.0, "numpy": 21_000.0},
    "lenet5": {"torch": 15_600.0, "keras": 15_500.0, "paddle": 8_100.0, "mindspore": 7_700.0, "numpy": 310.0},
}
PARAMETERS = {"mlp": 203_530, "lenet5": 61_706}
FLOPS = {"mlp": 1_219_594, "lenet5": 2_504_280}
BATCH = {"mlp": 256, "lenet5": 64}
IMPORT_S = {"torch": 1.6, "keras": 4.9, "paddle": 2.8, "mindspore": 3.9, "numpy": 0.1}
IMPORT_MB = {"torch": 241.0, "keras": 498.0, "paddle": 312.0, "mindspore": 402.0, "numpy": 34.0}
ADVICE = {
    "crashed": "The worker died inside native code; run it again with --threads 1 and report it to the framework.",
    "timed_out": "Raise --timeout, or train on fewer samples with --limit-train.",
    "out_of_memory": "Use a smaller --batch-size or raise --memory-limit.",
}


def record(
    backend: str = "torch",
    model: str = "mlp",
    *,
    seed: int = 0,
    repeat: int = 0,
    epochs: int = 3,
    train_samples: int = 12_000,
    speed: float = 1.0,
    spread: float = 0.02,
    accuracy_shift: float = 0.0,
    dataset: str = "mnist",
    tuning: str = "recommended",
    threads: int = 2,
    **changes: object,
) -> Record:
    """The record of a run that went well. ``speed`` multiplies the usual speed, ``spread`` is its deviation in logs."""
    rng = np.random.default_rng([seed, repeat, *backend.encode(), *model.encode(), tuning != "default"])
    shared = np.random.default_rng([seed, *model.encode()])  # peers with the same seed follow the same curve
    batch = BATCH.get(model, 64)
    steps = -(-train_samples // batch)
    rate = SPEED.get(model, SPEED["lenet5"]).get(backend, 5_000.0) * speed * float(np.exp(rng.normal(0, spread)))
    rate *= 0.6 if tuning == "default" else 1.0
    train_s = train_samples / rate

    total = steps * epochs
    curve = 0.08 + 2.2 * np.exp(-np.arange(total) / 60) + shared.normal(0, 0.02, total)
    losses = curve * (1 + rng.normal(0, 1, total) * 1e-7 * np.exp(np.arange(total) / max(total, 1) * 9))
    final = 0.93 if model == "mlp" else 0.982
    accuracies = final - 0.06 * np.exp(-np.arange(epochs)) + shared.normal(0, 0.001, epochs)
    accuracies = np.round((accuracies + accuracy_shift + rng.normal(0, 0.0004, epochs)).clip(0, 1), 4)
    step_ms = batch / rate * 1000 * np.exp(rng.normal(0, 0.06, 300)) * np.where(rng.random(300) < 0.02, 2.5, 1)
    per_span = max(1, steps // 4)

    name = f"{backend}-{model}-{dataset}-s{seed}-r{repeat}{'' if tuning == 'recommended' else '-' + tuning}"
    return Record(
        run_id=re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._+-]", "x", name),
        status="ok",
        started_at=f"2026-03-01T08:{repeat:02d}:{seed % 60:02d}Z",
        command=f"python -m harness run --backend {backend} --model {model} --dataset {dataset} --seed {seed}",
        backend=backend,
        framework_version=VERSIONS.get(backend, "1.0"),
        model=model,
        dataset=dataset,
        recipe=model,
        seed=seed,
        round=repeat,
        threads=threads,
        tuning=Tuning(
            manner=tuning,  # type: ignore[arg-type]
            applied=() if tuning == "default" else ("channels-last layout", "fused optimizer"),
        ),
        fingerprints=Fingerprints(
            architecture=_sha256(model),
            data=_sha256(dataset),
            schedule=_sha256(f"schedule {seed}"),
            initial_weights=_sha256(f"weights {seed}"),
        ),
        parameters=PARAMETERS.get(model, 50_000),
        train_flops_per_sample=FLOPS.get(model, 1_000_000),
        initial_test_accuracy=0.0980,
        initial_test_loss=2.3041,
        epochs=tuple(
            Epoch(
                epoch=i + 1,
                train_loss=round(float(losses[i * steps : (i + 1) * steps].mean()), 6),
                test_loss=round(float(1.2 * (1 - accuracies[i]) * 3), 6),
                test_accuracy=float(accuracies[i]),
                train_seconds=round(train_s, 6),
                eval_seconds=round(train_s / 5, 6),
                samples_per_second=round(rate, 3),
                spans=tuple(
                    Span(steps=per_span, samples=per_span * batch, seconds=round(per_span * batch / rate, 6))
                    for _ in range(4)
                ),
            )
            for i in range(epochs)
        ),
        curve=LearningCurve.of([round(float(loss), 7) for loss in losses]),
        test_accuracy=float(accuracies[-1]),
        test_loss=round(float(1.2 * (1 - accuracies[-1]) * 3), 6),
        macro_precision=float(accuracies[-1]),
        macro_recall=float(accuracies[-1]),
        macro_f1=float(accuracies[-1]),
        confusion_matrix=_confusion(shared, float(accuracies[-1])),
        misclassified=tuple(
            Misclassified(
                index=int(i), true=int(i) % 10, predicted=int(i * 7 + 3) % 10, confidence=round(0.99 - 0.01 * k, 2)
            )
            for k, i in enumerate(shared.permutation(40)[:24])
            if int(i) % 10 != int(i * 7 + 3) % 10
        ),
        time_to_accuracy={
            target: next(
                (round(train_s * (i + 1), 6) for i, a in enumerate(accuracies) if a >= float(target)),
                None,
            )
            for target in ("0.90", "0.97")
        },
        throughput=Throughput(
            train_samples_per_second=round(rate, 3),
            inference_samples_per_second=round(rate * 2.7, 3),
            step_ms=StepTime(**{f"p{q}": round(float(np.percentile(step_ms, q)), 4) for q in (50, 90, 99)}),
            step_ms_samples=thinned([round(float(ms), 4) for ms in step_ms], STEP_SAMPLES),
        ),
        phases=Phases(
            import_s=round(IMPORT_S.get(backend, 1.0) * float(np.exp(rng.normal(0, 0.05))), 4),
            build_s=round(0.08 + 0.02 * rng.random(), 4),
            first_step_s=2.4 if backend == "keras" else 0.2,
            train_s=round(train_s * epochs, 4),
            eval_s=round(train_s / 5 * epochs, 4),
            total_s=round(train_s * epochs * 1.2 + IMPORT_S.get(backend, 1.0) + 0.8, 4),
        ),
        memory=Memory(
            after_import_rss_mb=IMPORT_MB.get(backend, 100.0),
            after_build_rss_mb=IMPORT_MB.get(backend, 100.0) + 60,
            peak_rss_mb=round(IMPORT_MB.get(backend, 100.0) + 180 + float(rng.normal(0, 3)), 1),
        ),
        busy_threads=round(threads * 0.95, 2),
        noise=Noise(load_before=0.4, steal=0.004, other_cpu=0.01, involuntary_context_switches=120, noisy=False),
        environment=MachineRecord(
            cpu="Intel(R) Xeon(R) Processor @ 2.60GHz",
            cores=2,
            ram_mb=24_000.0,
            os="Linux 6.1 (Debian 12)",
            python="3.11.9",
            packages={backend: VERSIONS.get(backend, "1.0"), "numpy": "2.3.1"},
            framework_build="CPU, oneDNN 3.5",
            variables={"OMP_NUM_THREADS": str(threads)},
            governor="performance",
            matmul_peak_gflops=339.0,
            git_commit="0123456789abcdef0123456789abcdef01234567",
        ),
    ).model_copy(update=changes)


def fault(status: str, backend: str = "torch", model: str = "mlp", **choices: object) -> Record:
    """The record of a run that ended badly: no figure that was not measured."""
    good = record(backend, model, **choices)  # type: ignore[arg-type]
    errors = {
        "failed": RunError(kind="ValueError", message="operands could not be broadcast together", exit_code=1,
                           traceback="Traceback (most recent call last):\n  ...\nValueError: operands"),
        "crashed": RunError(kind="Signal", message="the worker was ended by SIGSEGV", signal="SIGSEGV"),
        "timed_out": RunError(kind="Timeout", message="no end after 600 s", signal="SIGKILL"),
        "out_of_memory": RunError(kind="MemoryError", message="exceeded --memory-limit 512 MiB", exit_code=1),
        "diverged": RunError(kind="Diverged", message="the loss was nan at step 17", step=17),
        "unsupported": RunError(kind="Unsupported", message="bfloat16 is not available on this CPU"),
        "interrupted": RunError(kind="KeyboardInterrupt", message="stopped by the user", signal="SIGINT"),
    }  # fmt: skip
    error = errors[status].model_copy(
        update={"advice": ADVICE.get(status), "log_tail": f"[{backend}] warming up\n[{backend}] step 17\n"}
    )
    kept = {"run_id", "started_at", "command", "backend", "framework_version", "model", "dataset", "recipe", "seed",
            "round", "threads", "tuning", "fingerprints", "environment"}  # fmt: skip
    return Record(status=status, error=error, **{name: getattr(good, name) for name in kept})  # type: ignore[arg-type]


def study(
    backends: Sequence[str] = BACKENDS,
    models: Sequence[str] = MODELS,
    *,
    rounds: int = 3,
    seeds: Sequence[int] = (0,),
    faults: bool = True,
) -> list[Record]:
    """A sweep in the order it runs; with faults: a crash of MindSpore, a time-out of Paddle and a noisy run."""
    records = []
    for repeat in range(rounds):
        for seed in seeds:
            for model in models:
                for backend in backends:
                    made = record(backend, model, seed=seed, repeat=repeat)
                    if faults and (backend, model, repeat) == ("mindspore", "lenet5", 1):
                        made = fault("crashed", backend, model, seed=seed, repeat=repeat)
                    if faults and (backend, model, repeat) == ("paddle", "mlp", 2):
                        made = fault("timed_out", backend, model, seed=seed, repeat=repeat)
                    if faults and (backend, model, repeat) == ("keras", "lenet5", 0):
                        noisy = Noise(load_before=3.1, steal=0.09, noisy=True, reasons=("steal 9 % is above 5 %",))
                        made = made.model_copy(update={"noise": noisy})
                    records.append(made)
    return records


def ladder(backend: str = "torch", *, rounds: int = 3, **speeds: float) -> list[Record]:
    """Runs of a backend in the manners named, each so many times as fast as usual."""
    manners = [(name, speed, 0.02 + 0.01 * place) for place, (name, speed) in enumerate(speeds.items())]
    return [
        record(backend, tuning=name, speed=speed, spread=spread, repeat=repeat)
        for repeat in range(rounds)
        for name, speed, spread in manners
    ]


def write(path: Path, records: Iterable[Record], *, name: str = "demo", images: bool = False) -> ResultSet:
    """A result set of these records, the quick way: one write, no fsync per record."""
    records = list(records)
    made = ResultSet.create(
        path, name=name, study={"baseline": "torch"}, command="python -m harness compare --models mlp,lenet5"
    )
    made.records_file.write_text("".join(r.without_samples() + "\n" for r in records))
    made.samples_file.write_text("".join(r.samples.model_dump_json() + "\n" for r in records))
    made.save_conformance(
        {
            backend: BackendConformance(
                framework_version=VERSIONS.get(backend, "1.0"), checked_at="2026-03-01T07:00:00Z", passed=412
            )
            for backend in dict.fromkeys(r.backend for r in records)
        }
    )
    if images:
        for dataset in {r.dataset for r in records}:
            made.save_images(dataset, {m.index: digit(m.index) for r in records for m in r.misclassified})
    return made


@cache
def digit(index: int) -> bytes:
    """A scanned digit as PNG bytes, 28x28."""
    from PIL import Image

    pixels = (_scans()[index] * (255 / 16)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((28, 28)).save(stream, "PNG")
    return stream.getvalue()


@cache
def _scans() -> NDArray[np.float64]:
    from sklearn.datasets import load_digits

    return load_digits().images


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _confusion(rng: np.random.Generator, accuracy: float) -> tuple[tuple[int, ...], ...]:
    errors = rng.multinomial(int(10_000 * (1 - accuracy)), rng.dirichlet(np.full(90, 0.25)))
    matrix = np.zeros((10, 10), int)
    matrix[~np.eye(10, dtype=bool)] = errors
    matrix[np.eye(10, dtype=bool)] = 1000 - matrix.sum(1)
    return tuple(tuple(int(v) for v in row) for row in matrix)


def parse(made: ResultSet) -> None:
    """Read its records as plain JSON: the yardstick of what reading them costs."""
    for file in (made.records_file, made.samples_file):
        with file.open() as lines:
            for line in lines:
                json.loads(line)
