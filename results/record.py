"""The run record: what is kept of one run, whatever happened to it. ``--json`` prints it and tables are made from it.

Units are in the names: ``_s`` seconds, ``_ms`` milliseconds, ``_mb`` MiB (2**20 bytes), ``_gflops`` 1e9 operations per
second. Absent is None and never zero; a figure that is not finite (the loss of a diverged run) is None too, because
JSON has no NaN: use ``finite``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from backends.registry import Manner

# Newest first. Any change raises the number, a new optional field too: records refuse fields they do not know, and
# ``results.store`` refuses sets of another number unless it is one of Schema, whose records are read as they are.
#   6  environment.instruction_sets, environment.gpu, environment.machine_id
#   5  proof
#   4  epochs.validation_*: before, no run had a validation part
#   3  tuning.manner, in place of tuning.enabled; specs; fingerprints.training; train_samples and test_samples;
#      no repeat, which always held what round holds
#   2  resumed_from; phases.augment_s and place_s; wanted_threads; noise.cpu_mhz_* and cpu_celsius_*,
#      noise.thermal_throttles; in 1 no run was resumed or augmented
#   1  the first
Schema = Literal[1, 2, 3, 4, 5, 6]
SCHEMA: Schema = 6

Status = Literal[
    "ok",  # trained and evaluated
    "failed",  # a Python error in the worker
    "crashed",  # the worker died: exit code or signal
    "timed_out",  # --timeout or --stall-timeout
    "out_of_memory",  # --memory-limit, the kernel's OOM kill or the device's allocator
    "diverged",  # a loss was not finite at error.step, or the parameters or logits were not
    "unsupported",  # the framework says that it cannot compute this
    "interrupted",  # stopped by the user
]

# Records come from strangers, so every length has a bound that is checked while reading.
CURVE_HEAD = 100
CURVE_MEANS = 256
STEP_SAMPLES = 512
SPANS = 1024
MISCLASSIFIED = 64
LOG_TAIL = 16_384
SPEC_BYTES = 65_536
CLASSES = 1000
EPOCHS = 10_000


def _small(spec: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(spec)) > SPEC_BYTES:
        raise ValueError(f"longer than {SPEC_BYTES} bytes")
    return spec


def utf8(typed: Any) -> Any:
    """What was typed, as UTF-8 has it: under another encoding Python keeps the bytes of a path as surrogates."""
    return typed.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(typed, str) else typed


Name = Annotated[str, Field(max_length=200)]
PathName = Annotated[str, BeforeValidator(utf8), Field(max_length=4096)]  # the longest that Linux takes
# Text that a framework or a log gave goes through ``bounded`` first.
Text = Annotated[str, Field(max_length=LOG_TAIL)]
Command = Annotated[str, BeforeValidator(utf8), Field(max_length=LOG_TAIL)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Figure = float | None
Sample = TypeVar("Sample")
Spec = Annotated[dict[Name, JsonValue], AfterValidator(_small)]
_Counts = Annotated[tuple[Count, ...], Field(max_length=CLASSES)]


class RecordPart(BaseModel):
    """Of a record or of a race: no field but its own, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class _Row(BaseModel):
    """A part without its raw samples: what the tables need."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, populate_by_name=True)


class RunError(RecordPart):
    """Why a run is not ok. ``kind`` is the exception's or the fault's name; ``advice`` one sentence on what to do."""

    kind: Name
    message: Text
    traceback: Text | None = None
    exit_code: int | None = None
    signal: Name | None = None  # "SIGSEGV"
    log_tail: Text | None = None
    advice: Text | None = None
    step: Count | None = None  # the optimizer step at which the loss was no longer finite, counted from 0


class Fingerprints(RecordPart):
    """SHA-256 of each prepared input. Runs may be compared when these agree.

    ``training`` is that of network, data, recipe and epochs without the seed: runs of several seeds have it in common.
    """

    architecture: Name | None = None
    data: Name | None = None
    schedule: Name | None = None
    initial_weights: Name | None = None
    training: Name | None = None


class Specs(RecordPart):
    """The whole architecture and recipe, every default written out, as specs.loading reads them."""

    architecture: Spec
    recipe: Spec

    @classmethod
    def of(cls, architecture: dict[str, Any], recipe: dict[str, Any]) -> Specs | None:
        """None where one is too large for a record; its fingerprint still tells it apart."""
        texts = [json.dumps(spec) for spec in (architecture, recipe)]
        if max(map(len, texts)) > SPEC_BYTES:
            return None
        return cls(architecture=json.loads(texts[0]), recipe=json.loads(texts[1]))


class Hardware(NamedTuple):
    """What makes a machine as fast as it is: machines that agree in all of it are of one kind.

    ``os`` names kernel and C library. Memory is in whole GiB, because the kernel keeps a little more or less of it.
    """

    cpu: str | None
    cores: int | None
    cpu_quota: float | None
    ram_gib: int | None
    os: str | None
    governor: str | None
    instruction_sets: str | None
    gpu: str | None


class Identity(NamedTuple):
    """What repeats of one another share, their seeds apart: all that makes the training, and what computed it.

    ``machine`` is the hardware and the id of the machine: rates of two machines are not repeats of one another.
    """

    training: str
    backend: str
    framework_version: str | None
    manner: Manner
    device: str
    precision: str
    threads: int
    machine: tuple[Hardware, str | None]


class Span(RecordPart):
    """One timed stretch of training steps, read after the device had finished."""

    steps: Count
    samples: Count
    seconds: Seconds


class EpochRow(_Row):
    """``epoch`` counts from 1; ``train_loss`` is the mean over the epoch's steps, weighted by samples.

    Where a recipe has a validation part, ``validation_*`` stand in place of ``test_*``.

    ``samples_per_second`` is that of the epoch's spans; the warm-up step of the first epoch is in none of them.
    """

    epoch: Count
    train_loss: Figure = None
    test_loss: Figure = None
    test_accuracy: Fraction | None = None
    validation_loss: Figure = None
    validation_accuracy: Fraction | None = None
    train_seconds: Seconds | None = None
    eval_seconds: Seconds | None = None
    samples_per_second: Positive | None = None


class Epoch(EpochRow, RecordPart):
    """An epoch with its raw spans."""

    model_config = RecordPart.model_config
    spans: Annotated[tuple[Span, ...], Field(max_length=SPANS)] = ()


class StepTime(RecordPart):
    """Quantiles of the time of one training step in milliseconds."""

    p50: Positive
    p90: Positive
    p99: Positive


class ThroughputRow(_Row):
    """Samples per second while training (the warm-up step left out) and in inference."""

    train_samples_per_second: Positive | None = None
    inference_samples_per_second: Positive | None = None
    step_ms: StepTime | None = None


class Throughput(ThroughputRow, RecordPart):
    """``step_ms_samples`` are raw step times, thinned evenly where the run had more than STEP_SAMPLES."""

    model_config = RecordPart.model_config
    step_ms_samples: Annotated[tuple[Positive, ...], Field(max_length=STEP_SAMPLES)] = ()


class Phases(RecordPart):
    """Seconds per phase of the worker. ``first_step_s`` holds compilation and is in no throughput.

    ``total_s`` runs from the start of the process to its answer, so it is more than the sum. Where a recipe augments,
    ``augment_s`` is what making the epochs' images took before that (next to nothing where an earlier run had made
    them), and ``place_s`` what handing each epoch's over to the session took, in no epoch's training time.
    """

    augment_s: Seconds | None = None
    import_s: Seconds | None = None
    build_s: Seconds | None = None
    first_step_s: Seconds | None = None
    place_s: Seconds | None = None
    train_s: Seconds | None = None
    eval_s: Seconds | None = None
    total_s: Seconds | None = None


class Memory(RecordPart):
    """Resident memory of the worker by the kernel's account; ``device_peak_mb`` by the framework's device allocator."""

    after_import_rss_mb: Positive | None = None
    after_build_rss_mb: Positive | None = None
    peak_rss_mb: Positive | None = None
    device_peak_mb: Positive | None = None


class Tuning(RecordPart):
    """In what manner the framework was used; ``applied`` lists all that was done for speed beyond its defaults.

    Until schema 2 there were two: tuned is read as expert, untuned as default.
    """

    manner: Manner
    applied: Annotated[tuple[Text, ...], Field(max_length=64)] = ()

    @model_validator(mode="before")
    @classmethod
    def _two_manners(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(enabled := data.get("enabled"), bool):
            rest = {key: value for key, value in data.items() if key != "enabled"}
            return {"manner": "expert" if enabled else "default", **rest}
        return data


class LearningCurve(RecordPart):
    """Training losses: of each of the first CURVE_HEAD steps, then the mean of every ``steps_per_mean`` steps."""

    first: Annotated[tuple[Figure, ...], Field(max_length=CURVE_HEAD)] = ()
    means: Annotated[tuple[Figure, ...], Field(max_length=CURVE_MEANS)] = ()
    steps_per_mean: Annotated[int, Field(ge=1)] = 1

    @classmethod
    def of(cls, losses: Sequence[float]) -> LearningCurve:
        """The curve of a run's losses in step order. The last mean may be of fewer steps."""
        rest = losses[CURVE_HEAD:]
        width = max(1, math.ceil(len(rest) / CURVE_MEANS))
        chunks = (rest[i : i + width] for i in range(0, len(rest), width))
        return cls(
            first=tuple(finite(loss) for loss in losses[:CURVE_HEAD]),
            means=tuple(finite(sum(chunk) / len(chunk)) for chunk in chunks),
            steps_per_mean=width,
        )


class Misclassified(RecordPart):
    """A test image that was classified wrongly. ``confidence`` is the probability given to the predicted class."""

    index: Count
    true: Count
    predicted: Count
    confidence: Fraction | None = None


class Noise(RecordPart):
    """What else the machine was doing.

    ``load_before`` is the one-minute load average before the run (earlier runs of a sweep count in it), ``steal`` the
    share of the machine's CPU time the hypervisor took away while training, ``other_cpu`` the share that other
    processes used, ``thermal_throttles`` how often cores slowed down because of heat. ``noisy`` is the harness's
    verdict and ``reasons`` says which threshold was passed.
    """

    load_before: Positive | None = None
    steal: Fraction | None = None
    other_cpu: Fraction | None = None
    involuntary_context_switches: Count | None = None
    cpu_mhz_before: Positive | None = None
    cpu_mhz_after: Positive | None = None
    cpu_celsius_before: Figure = None
    cpu_celsius_after: Figure = None
    thermal_throttles: Count | None = None
    noisy: bool | None = None
    reasons: Annotated[tuple[Text, ...], Field(max_length=16)] = ()


class Proof(RecordPart):
    """Whether the backend computed some steps of this very case as NumPy float64 does, before it was timed.

    ``status``: proved; failed; unsupported, where it has no kernel to be judged by or NumPy
    cannot compute the steps either; skipped, where the user asked for
    no proof. ``error`` is the relative error of ``where``, the worst tensor or step of ``quantity``, beside the most
    that passes, ``limit``, in ``precision``; ``float64_error`` the one in float64, where there are kernels for it.
    ``layer`` names the first layer that differs; ``reason`` says why there is no figure.
    """

    status: Literal["proved", "failed", "unsupported", "skipped"]
    steps: Count = 0
    precision: Name = "float32"
    quantity: Name = ""
    where: Name = ""
    error: Positive | None = None
    limit: Positive | None = None
    float64_error: Positive | None = None
    layer: Text = ""
    reason: Text = ""

    @property
    def told(self) -> str:
        """What a proof that failed has to say: the figure and the first layer that differs, or the reason."""
        if self.reason:
            return self.reason
        size = "" if self.error is None or self.limit is None else f" {self.error:.1e} off, tolerance {self.limit:.0e}"
        return f"{self.quantity} ({self.where}){size}, in {self.precision}; {self.layer}"


class MachineRecord(RecordPart):
    """The machine and the software. ``python`` and ``packages`` are those of the worker's environment.

    ``machine_id`` tells machines of one kind apart and says nothing else of them; ``instruction_sets`` are the vector
    and matrix instructions, "avx avx2 fma"; ``gpu`` is "NVIDIA H200" or "2 x NVIDIA H200". None of the three stands in
    records of before schema 6.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_accelerator(cls, data: Any) -> Any:
        """Until schema 2 there was a field that nothing ever filled in."""
        if isinstance(data, dict) and data.get("accelerator", 0) is None:
            return {key: value for key, value in data.items() if key != "accelerator"}
        return data

    machine_id: Name | None = None
    cpu: Name | None = None
    instruction_sets: Text | None = None
    gpu: Name | None = None
    cores: Count | None = None  # logical cores this process may use
    cpu_quota: Positive | None = None  # processors' worth of time that a container's quota leaves; none: no quota
    ram_mb: Positive | None = None
    os: Name | None = None
    python: Name | None = None
    packages: dict[Name, Name] = Field(default_factory=dict, max_length=500)
    framework_build: Text | None = None
    variables: dict[Name, Text] = Field(default_factory=dict, max_length=100)  # those the worker was started with
    governor: Name | None = None
    matmul_peak_gflops: Positive | None = None  # float32, with the run's thread count
    git_commit: Name | None = None

    @property
    def hardware(self) -> Hardware:
        """The kind of machine, as far as it is known."""
        ram_gib = None if self.ram_mb is None else round(self.ram_mb / 1024)
        return Hardware(
            *(self.cpu, self.cores, self.cpu_quota, ram_gib, self.os, self.governor, self.instruction_sets, self.gpu)
        )


class Row(_Row):
    """One run without its raw samples. ``round`` counts from 0 the interleaved rounds of a sweep.

    ``attempt`` counts from 1: a noisy run that is repeated keeps its record, and the last attempt counts. ``run_id``
    names the folder of the run inside its result set. A run with ``resumed_from`` continued another one's checkpoint:
    its epochs and its figures are of what it did itself.
    """

    schema_version: Schema = Field(default=SCHEMA, alias="schema")
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$")]
    status: Status
    error: RunError | None = None
    started_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")]
    command: Command | None = None  # repeats this run

    backend: Name
    framework_version: Name | None = None
    model: Name
    dataset: PathName
    recipe: Name
    seed: Count
    round: Count = 0
    attempt: Annotated[int, Field(ge=1)] = 1
    resumed_from: Name | None = None  # the run_id of the checkpoint
    device: Name = "cpu"
    threads: Count
    precision: Name = "float32"
    tuning: Tuning

    proof: Proof | None = None  # none before schema 5
    fingerprints: Fingerprints = Fingerprints()
    train_samples: Count | None = None
    test_samples: Count | None = None
    parameters: Count | None = None
    train_flops_per_sample: Count | None = None

    initial_test_accuracy: Fraction | None = None  # before the first step
    initial_test_loss: Figure = None
    epochs: Annotated[tuple[EpochRow, ...], Field(max_length=EPOCHS)] = ()
    test_accuracy: Fraction | None = None
    test_loss: Figure = None
    macro_precision: Fraction | None = None
    macro_recall: Fraction | None = None
    macro_f1: Fraction | None = None
    time_to_accuracy: dict[Name, Seconds | None] = Field(default_factory=dict, max_length=32)  # "0.97": seconds or None

    throughput: ThroughputRow = ThroughputRow()
    phases: Phases = Phases()
    memory: Memory = Memory()
    busy_threads: Positive | None = None  # CPU seconds per second while training
    wanted_threads: Positive | None = None  # threads that ran or waited for a CPU while training, on average
    noise: Noise = Noise()
    environment: MachineRecord = MachineRecord()

    @property
    def disproved(self) -> bool:
        """Whether its proof failed."""
        return self.proof is not None and self.proof.status == "failed"

    @property
    def identity(self) -> Identity | None:
        """What the run is a repeat of. None where it ended before its inputs were prepared, and before schema 3."""
        training = self.fingerprints.training
        if training is None:
            return None
        return Identity(
            training,
            self.backend,
            self.framework_version,
            self.tuning.manner,
            self.device,
            self.precision,
            self.threads,
            (self.environment.hardware, self.environment.machine_id),
        )


class Samples(RecordPart):
    """The raw samples of a run: training losses, the timed spans of each epoch, single steps in milliseconds."""

    run_id: Name
    curve: LearningCurve | None = None
    spans: Annotated[tuple[Annotated[tuple[Span, ...], Field(max_length=SPANS)], ...], Field(max_length=EPOCHS)] = ()
    step_ms_samples: Annotated[tuple[Positive, ...], Field(max_length=STEP_SAMPLES)] = ()


class Record(Row, RecordPart):
    """One run, whole: ``Row`` with the raw samples. Fields that it does not know are refused."""

    model_config = RecordPart.model_config

    epochs: Annotated[tuple[Epoch, ...], Field(max_length=EPOCHS)] = ()
    throughput: Throughput = Throughput()
    curve: LearningCurve | None = None
    specs: Specs | None = None
    # rows: true class, columns: predicted class
    confusion_matrix: Annotated[tuple[_Counts, ...], Field(max_length=CLASSES)] | None = None
    misclassified: Annotated[tuple[Misclassified, ...], Field(max_length=MISCLASSIFIED, alias="misread")] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_repeat(cls, data: Any) -> Any:
        """Until schema 3 there was a field that always held what ``round`` holds."""
        return {key: value for key, value in data.items() if key != "repeat"} if isinstance(data, dict) else data

    def to_json(self) -> str:
        """One line of JSON without the newline."""
        return self.model_dump_json(by_alias=True)

    def without_samples(self) -> str:
        """The same without what ``samples`` has."""
        raw: Any = {"curve": True, "epochs": {"__all__": {"spans"}}, "throughput": {"step_ms_samples"}}
        return self.model_dump_json(by_alias=True, exclude=raw)

    @property
    def samples(self) -> Samples:
        """Its raw samples, which take most of a record and which no table needs."""
        return Samples(
            run_id=self.run_id,
            curve=self.curve,
            spans=tuple(epoch.spans for epoch in self.epochs),
            step_ms_samples=self.throughput.step_ms_samples,
        )

    def with_samples(self, samples: Samples) -> Record:
        """The record with these raw samples."""
        epochs = zip(self.epochs, (*samples.spans, *[()] * len(self.epochs)), strict=False)
        throughput = self.throughput.model_copy(update={"step_ms_samples": samples.step_ms_samples})
        return self.model_copy(
            update={
                "curve": samples.curve,
                "epochs": tuple(epoch.model_copy(update={"spans": spans}) for epoch, spans in epochs),
                "throughput": throughput,
            }
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> Record:
        """The inverse of ``to_json``. Raises pydantic.ValidationError."""
        return cls.model_validate_json(line)


def finite(value: float | None) -> float | None:
    """The value, or None where it is absent or not a finite number."""
    return value if value is not None and math.isfinite(value) else None


def bounded(text: str, limit: int = LOG_TAIL) -> str:
    """The last ``limit`` characters of a text, with what UTF-8 cannot carry replaced."""
    return text[-limit:].encode(errors="replace").decode()


def thinned(samples: Sequence[Sample], limit: int) -> tuple[Sample, ...]:
    """At most ``limit`` of the samples, evenly spaced, the first and the last among them."""
    if len(samples) <= limit:
        return tuple(samples)
    return tuple(samples[round(i * (len(samples) - 1) / (limit - 1))] for i in range(limit))
