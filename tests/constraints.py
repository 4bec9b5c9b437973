"""``make constraints``: every version of every environment anew, in the files that ``setup`` and ``make`` give to pip.

pip resolves the requirements as for an empty environment, under the Python that runs this and with the indexes that pip
is configured to use. What it would install is written down by name and version alone: no host, no path, no mark of a
local build.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path

from backends.registry import REQUIREMENTS
from harness.processes.downloads import LEAST_PIP, able

ROOT = Path(__file__).parents[1]
DEVELOPMENT = ROOT / "constraints.txt"


def main() -> None:
    """Write the files of all backends and of the development environment."""
    assert able(), f"pip {LEAST_PIP} or later resolves without downloading"
    for requirements in sorted(REQUIREMENTS.glob("*.txt")):
        if "@" not in requirements.name and not requirements.name.endswith(".constraints.txt"):
            # What the variants of a backend share has one version.
            shared = constraints_of(requirements.with_name(f"{requirements.name.partition('.')[0]}.txt"))
            words = [] if shared == constraints_of(requirements) else ["--constraint", str(shared)]
            write(constraints_of(requirements), resolved("--requirement", str(requirements), *words))
    write(DEVELOPMENT, resolved(f"{ROOT}[dev]"))


def constraints_of(requirements: Path) -> Path:
    """The file of what the requirements bring with them."""
    return requirements.with_suffix(".constraints.txt")


def resolved(*wanted: str) -> dict[str, str]:
    """Name to version of all that pip would install; empty where it finds no way."""
    words = ["--quiet", "--dry-run", "--ignore-installed", "--use-feature=fast-deps", "--report", "-", *wanted]
    command = [sys.executable, "-I", "-m", "pip", "install", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {}
    found = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    return {canonical(package["name"]): package["version"].partition("+")[0] for package in found}


def canonical(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def write(file: Path, versions: dict[str, str]) -> None:
    """The pins in order of their names; a file stays as it is where the indexes at hand lack something of it."""
    if not versions:
        print(f"{file.relative_to(ROOT)}: left as it is, pip finds no way")
        return
    lines = [f"{name}=={version}" for name, version in sorted(versions.items()) if name != "framework-harness"]
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    file.write_text("\n".join([f"# Written by make constraints, as resolved under {system}.", *lines, ""]))
    print(f"{file.relative_to(ROOT)}: {len(lines)}")


if __name__ == "__main__":
    main()
