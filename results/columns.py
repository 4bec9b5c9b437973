"""The columns of the run table: what each holds, where it stands in a record and how it is shown.

Every column has its unit in its name; formatting goes by the last part of the name (see ``results.formatting``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from backends.registry import MANNERS, Manner
from results.record import Row

Kind = Literal["text", "integer", "boolean", "figure", "time"]


@dataclass(frozen=True)
class Column:
    """One column; ``get`` takes it from a record, None where it is absent."""

    name: str
    kind: Kind
    get: Callable[[Row], Any]


def _column(name: str, kind: Kind, path: str | None = None) -> Column:
    return Column(name, kind, attrgetter(path or name))


def _step_ms(quantile: str) -> Callable[[Row], float | None]:
    def get(row: Row) -> float | None:
        times = row.throughput.step_ms
        return None if times is None else getattr(times, quantile)

    return get


def _error(field: str) -> Callable[[Row], Any]:
    return lambda row: None if row.error is None else getattr(row.error, field)


def _proof(field: str) -> Callable[[Row], Any]:
    return lambda row: None if row.proof is None else getattr(row.proof, field)


def _gflops(row: Row) -> float | None:
    """Training GFLOP/s: the spec's forward and backward operations per sample times samples per second."""
    rate, flops = row.throughput.train_samples_per_second, row.train_flops_per_sample
    return None if rate is None or flops is None else rate * flops / 1e9


def _share_of_peak(row: Row) -> float | None:
    """Of the machine's measured float32 matrix-multiply peak with the same threads."""
    gflops, peak = _gflops(row), row.environment.matmul_peak_gflops
    return None if gflops is None or not peak else gflops / peak


RUN_COLUMNS: tuple[Column, ...] = (
    _column("run_id", "text"),
    _column("status", "text"),
    _column("backend", "text"),
    _column("framework_version", "text"),
    _column("model", "text"),
    _column("dataset", "text"),
    _column("recipe", "text"),
    _column("device", "text"),
    _column("precision", "text"),
    _column("threads", "integer"),
    _column("tuning", "text", "tuning.manner"),
    _column("seed", "integer"),
    _column("round", "integer"),
    _column("attempt", "integer"),
    _column("started_at", "time"),
    Column("proof", "text", _proof("status")),
    Column("proof_steps", "integer", _proof("steps")),
    Column("proof_error", "figure", _proof("error")),
    Column("proof_reason", "text", _proof("told")),
    _column("test_accuracy", "figure"),
    _column("macro_precision", "figure"),
    _column("macro_recall", "figure"),
    _column("macro_f1", "figure"),
    _column("test_loss", "figure"),
    _column("initial_test_accuracy", "figure"),
    _column("initial_test_loss", "figure"),
    _column("train_samples_per_second", "figure", "throughput.train_samples_per_second"),
    _column("inference_samples_per_second", "figure", "throughput.inference_samples_per_second"),
    Column("step_p50_ms", "figure", _step_ms("p50")),
    Column("step_p90_ms", "figure", _step_ms("p90")),
    Column("step_p99_ms", "figure", _step_ms("p99")),
    _column("augment_s", "figure", "phases.augment_s"),
    _column("import_s", "figure", "phases.import_s"),
    _column("build_s", "figure", "phases.build_s"),
    _column("first_step_s", "figure", "phases.first_step_s"),
    _column("place_s", "figure", "phases.place_s"),
    _column("train_s", "figure", "phases.train_s"),
    _column("eval_s", "figure", "phases.eval_s"),
    _column("total_s", "figure", "phases.total_s"),
    _column("after_import_rss_mb", "figure", "memory.after_import_rss_mb"),
    _column("after_build_rss_mb", "figure", "memory.after_build_rss_mb"),
    _column("peak_rss_mb", "figure", "memory.peak_rss_mb"),
    _column("device_peak_mb", "figure", "memory.device_peak_mb"),
    _column("parameters", "integer"),
    _column("train_flops_per_sample", "integer"),
    Column("gflops", "figure", _gflops),
    Column("share_of_peak", "figure", _share_of_peak),
    _column("busy_threads", "figure"),
    _column("wanted_threads", "figure"),
    _column("noisy", "boolean", "noise.noisy"),
    _column("load_before", "figure", "noise.load_before"),
    _column("steal", "figure", "noise.steal"),
    _column("other_cpu", "figure", "noise.other_cpu"),
    _column("involuntary_context_switches", "integer", "noise.involuntary_context_switches"),
    _column("cpu_mhz_before", "figure", "noise.cpu_mhz_before"),
    _column("cpu_mhz_after", "figure", "noise.cpu_mhz_after"),
    _column("cpu_celsius_before", "figure", "noise.cpu_celsius_before"),
    _column("cpu_celsius_after", "figure", "noise.cpu_celsius_after"),
    _column("thermal_throttles", "integer", "noise.thermal_throttles"),
    Column("error_kind", "text", _error("kind")),
    Column("error_message", "text", _error("message")),
    Column("advice", "text", _error("advice")),
    Column("exit_code", "integer", _error("exit_code")),
    Column("signal", "text", _error("signal")),
    _column("fingerprint_architecture", "text", "fingerprints.architecture"),
    _column("fingerprint_data", "text", "fingerprints.data"),
    _column("fingerprint_schedule", "text", "fingerprints.schedule"),
    _column("fingerprint_initial_weights", "text", "fingerprints.initial_weights"),
    _column("machine_id", "text", "environment.machine_id"),
    _column("cpu", "text", "environment.cpu"),
    _column("instruction_sets", "text", "environment.instruction_sets"),
    _column("gpu", "text", "environment.gpu"),
    _column("cores", "integer", "environment.cores"),
    _column("cpu_quota", "figure", "environment.cpu_quota"),
    _column("ram_mb", "figure", "environment.ram_mb"),
    _column("os", "text", "environment.os"),
    _column("python", "text", "environment.python"),
    _column("framework_build", "text", "environment.framework_build"),
    _column("governor", "text", "environment.governor"),
    _column("matmul_peak_gflops", "figure", "environment.matmul_peak_gflops"),
    _column("git_commit", "text", "environment.git_commit"),
    _column("command", "text"),
)

FINGERPRINTS = tuple(column.name for column in RUN_COLUMNS if column.name.startswith("fingerprint_"))


class CaseKey(NamedTuple):
    """What runs must share to be compared: their training by its identity (``results.identity``) and the conditions.

    Sets were measured at different times, so each has its own cases, and rates of several machines have little in
    common. ``machine`` is one machine, or where ratios count alone, which are taken within one, all of its kind.
    """

    training: str
    device: str
    precision: str
    threads: int
    set: str
    machine: str


class SubjectKey(NamedTuple):
    """What is compared within a case. ``version`` is the framework's, "" where no run said it."""

    backend: str
    version: str
    tuning: Manner

    @property
    def spellings(self) -> tuple[str, ...]:
        """What a user may call it: the backend, and NAME@VERSION with or without the mark of a build (+cpu)."""
        versions = dict.fromkeys((self.version, self.version.partition("+")[0]))
        return (self.backend, *(f"{self.backend}@{version}" for version in versions if version))


CASE = CaseKey._fields
SUBJECT = SubjectKey._fields
NAMES = ("model", "dataset", "recipe")
"""What a case is called, by its first run: names are labels and decide nothing."""
PAIR = ("seed", "round", "machine")
"""What two runs must share beside the case to be a pair: measured close together, from the same start."""


def rung(manner: Manner) -> int:
    """Where a manner of using a framework stands on the ladder from as it comes to the ceiling."""
    return MANNERS.index(manner)
