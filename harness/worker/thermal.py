"""How fast and how hot the processor is, where the kernel says so; light enough for a worker."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from harness.worker.reports import Disturbance

_SYS = Path("/sys")
_CPUINFO = Path("/proc/cpuinfo")
# Parts of the names of thermal zones and sensors that sit on a processor.
_ON_CPU = ("cpu", "pkg", "core", "soc")


@dataclass(frozen=True)
class Thermal:
    """One reading; what the kernel does not tell is None.

    ``mhz`` is the mean frequency of this process's CPUs, ``celsius`` the hottest processor's temperature, ``throttles``
    counts how often cores have slowed down because of heat since the machine started.
    """

    mhz: float | None
    celsius: float | None
    throttles: int | None

    @classmethod
    def now(cls, sys: Path = _SYS, cpuinfo: Path = _CPUINFO) -> Thermal:
        """Read them: cpufreq, else /proc/cpuinfo; thermal zones; the throttle counters of Intel's processors."""
        cpus = [sys / "devices/system/cpu" / f"cpu{number}" for number in sorted(os.sched_getaffinity(0))]
        khz = _numbers(cpu / "cpufreq/scaling_cur_freq" for cpu in cpus)
        mhz = [value / 1000 for value in khz] or _cpuinfo_mhz(cpuinfo)
        zones = [
            zone / "temp"
            for zone in sys.glob("class/thermal/thermal_zone*")
            if any(part in _text(zone / "type").lower() for part in _ON_CPU)
        ]
        degrees = [value / 1000 for value in _numbers(zones)]
        throttles = _numbers(sys.glob("devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count"))
        return cls(
            mhz=fmean(mhz) if mhz else None,
            celsius=max(degrees) if degrees else None,
            throttles=int(sum(throttles)) if throttles else None,
        )

    def since(self, before: Thermal, disturbance: Disturbance) -> Disturbance:
        """``disturbance`` with what two readings say."""
        counted = self.throttles is not None and before.throttles is not None
        return replace(
            disturbance,
            cpu_mhz_before=before.mhz,
            cpu_mhz_after=self.mhz,
            cpu_celsius_before=before.celsius,
            cpu_celsius_after=self.celsius,
            thermal_throttles=max(0, self.throttles - before.throttles) if counted else None,  # type: ignore[operator]
        )


def _cpuinfo_mhz(cpuinfo: Path) -> list[float]:
    lines = (line.partition(":") for line in _text(cpuinfo).splitlines() if line.startswith("cpu MHz"))
    return [value for _, _, text in lines if (value := _number(text)) is not None]


def _numbers(files: Iterable[Path]) -> list[float]:
    return [value for file in files if (value := _number(_text(file))) is not None]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
