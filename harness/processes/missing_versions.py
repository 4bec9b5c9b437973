"""Why pip found no package of a version: it is for another Python or machine, or there is none."""

from __future__ import annotations

import re
import sys
from bisect import bisect_left

from specs.versioned import version_order

_THERE = re.compile(r"satisfies the requirement (\S+?)==(\S+) \(from versions: (.+?)\)")
_OTHER_PYTHON = "Ignored the following versions that require a different python version: "


def explained(said: str, log: str) -> str | None:
    """One sentence on the version that pip could not find, and on the nearest that it could have.

    ``said`` is what pip printed, ``log`` what it wrote into its log file. None where they do not say.
    """
    found = _THERE.search(said)
    if found is None or found[3] == "none":
        return None
    package, version = found[1], found[2]
    close = nearest(version, found[3].split(", "))
    mine = ".".join(map(str, sys.version_info[:2]))
    hint = f"; the nearest: {' and '.join(close)}" if close else ""
    if needed := _required_python(said, version):
        return f"{package} {version} needs Python {needed}, and this is {mine}{hint}"
    if tags := _other_wheels(log, package, version):
        return f"the package index has {package} {version} for {', '.join(tags)} alone, and this is Python {mine}{hint}"
    return f"the package index has no {package} {version}{hint}"


def not_listed(wanted: list[str], log: str) -> str | None:
    """As ``explained``, of one package whose version pip takes for excluded by a constraint on the same package.

    ``wanted``: pins and constraints. None where more than one package is meant, or the version is in the index.
    """
    pins = [found for one in wanted if (found := re.fullmatch(r"([\w.-]+)==([\w.+]+)", one))]
    if len(pins) != 1 or not all(one.startswith(pins[0][1]) for one in wanted):
        return None
    package, version = pins[0].groups()
    name = re.sub(r"[-_.]+", "[-_.]", package)
    there = re.findall(rf"Found link \S+/{name}-\S+ .*version: (\S+)", log, re.IGNORECASE)
    if not there or version in there:
        return None
    close = nearest(version, there)
    hint = f"; the nearest: {' and '.join(close)}" if close else ""
    return f"the package index has no {package} {version}{hint}"


def nearest(version: str, there: list[str]) -> list[str]:
    """The last release before it and the first after it, as far as there are; no trial versions."""
    releases = sorted({one for one in there if re.fullmatch(r"[\d.]+", one)}, key=version_order)
    place = bisect_left(releases, version_order(version), key=version_order)
    return releases[max(0, place - 1) : place + 1]


def _required_python(said: str, version: str) -> str | None:
    for line in said.splitlines():
        _, _, listed = line.partition(_OTHER_PYTHON)
        for entry in listed.split("; "):
            own, _, needed = entry.partition(" Requires-Python ")
            if own == version:
                return needed.strip()
    return None


def _other_wheels(log: str, package: str, version: str) -> list[str]:
    """The Pythons of the wheels that pip skipped of this version."""
    name = re.escape(re.sub(r"[-.]", "_", package))
    wheels = rf"none of the wheel's tags \(.+?\) are compatible .+?/{name}-{re.escape(version)}-(\w+)-\w+-[\w.]+\.whl"
    found = {match[1] for match in re.finditer(wheels, log, re.IGNORECASE)}
    own = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    if own in found or "py3" in found:
        return ["other machines"]
    return sorted(found, key=lambda tag: (len(tag), tag))
