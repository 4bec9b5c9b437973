"""Why pip failed, from what it said."""

from __future__ import annotations

import re
import sys
from urllib.parse import urlsplit

from harness.processes.missing_versions import explained, not_listed

# pip names an index that it cannot read in its log alone, and then says that there is no such version.
_SKIPPED = re.compile(r"Could not fetch URL (\S+): (.+?) - skipping")
_BROKEN_OFF = re.compile(r"\b(ReadTimeoutError|ConnectTimeoutError|NewConnectionError|ProtocolError|IncompleteRead)\b")
_FILE = re.compile(r"\[Errno (?:1|13|28|30|122)\] .+")  # permission, no permission, full, read-only, quota
_CONFLICT = re.compile(r"The conflict is caused by:\n((?:    .+\n?)+)")
# The second is what pip says of a version that is not there when a constraint asks for that version, too.
_NO_MATCH = re.compile(r"No matching distribution found for (.+)|Cannot install (.+?) because these package versions")
_UNBUILT = re.compile(r"Could not build wheels for ([^,\n]+)|Failed to build '?([\w.-]+(?:==[\w.]+)?)'? when")


def reason(said: str, log: str) -> str:
    """One line on a failure; ``said`` is what the command printed, ``log`` what pip wrote into its log file."""
    if failure := _FILE.search(said):
        return failure[0]
    unreachable = [f"{_place(url)}: {_cause(why)}" for url, why in _SKIPPED.findall(log) if not why.startswith("404 ")]
    if unreachable:
        return f"the package index could not be reached ({'; '.join(dict.fromkeys(unreachable))})"
    if (conflict := _CONFLICT.search(said)) and len(wanted := _wanted(conflict[1])) > 1:
        return not_listed(wanted, log) or f"these versions exclude each other: {'; '.join(wanted)}"
    if version := explained(said, log):
        return version
    if built := _UNBUILT.search(said):
        mine = ".".join(map(str, sys.version_info[:2]))
        return (
            f"the package index has {built[1] or built[2]} for Python {mine} and this machine as source alone, and it "
            "could not be built here"
        )
    if missing := _NO_MATCH.search(said):
        return f"the package index has no {missing[1] or missing[2]} that fits this Python, machine and constraints"
    if _BROKEN_OFF.search(said):
        return f"the connection to the package index broke off ({_cause(_last(said))})"
    if "ensurepip is not" in said:
        return "this Python has no ensurepip to begin an environment with (Debian and Ubuntu: the package python3-venv)"
    return _last(said)


def _wanted(conflict: str) -> list[str]:
    """Who wants what; one thing where a constraint asks for no more than the requirement does."""
    lines = (line.strip().removeprefix("The user requested ") for line in conflict.splitlines())
    return list(dict.fromkeys(line.removeprefix("(constraint) ") for line in lines))


def _place(url: str) -> str:
    """Scheme, host and port: a user's name and password, which a URL may hold, are left out."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _cause(why: str) -> str:
    """The system's own words where there are any, else the exception's."""
    if error := re.search(r"\[Errno -?\d+\] ([\w ]+)", why):
        return error[1].strip()
    if "timed out" in why:
        return "no answer in time"
    return why.partition(" for url: ")[0][:120]


def _last(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no output")[:200]
