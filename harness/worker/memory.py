"""Resident memory of this process, from the kernel. Mebibytes."""

from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def rss_mb() -> float | None:
    """Resident set now (VmRSS); None where /proc does not tell."""
    return _status("VmRSS")


def peak_rss_mb() -> float | None:
    """Highest resident set since the start or the last ``reset_peak`` (VmHWM); None where /proc does not tell."""
    return _status("VmHWM")


def reset_peak() -> bool:
    """Start a new high-water mark, so that an earlier phase leaks into no later figure; False where not allowed."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def _status(field: str) -> float | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return None
