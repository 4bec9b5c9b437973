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

from backends.registry import BACKENDS

ROOT = Path(__file__).parents[1]
DEVELOPMENT = ROOT / "constraints.txt"


def main() -> None:
    """Write the files of all backends and of the development environment."""
    for registration in BACKENDS.values():
        write(registration.constraints, resolved("--requirement", str(registration.requirements)))
    write(DEVELOPMENT, resolved(f"{ROOT}[dev]"))


def resolved(*wanted: str) -> dict[str, str]:
    """Name to version of all that pip would install."""
    words = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-", *wanted]
    done = subprocess.run([sys.executable, "-I", "-m", "pip", *words], stdout=subprocess.PIPE, text=True, check=True)
    found = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    return {canonical(package["name"]): package["version"].partition("+")[0] for package in found}


def canonical(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def write(file: Path, versions: dict[str, str]) -> None:
    """The pins in order of their names."""
    lines = [f"{name}=={version}" for name, version in sorted(versions.items()) if name != "framework-harness"]
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    file.write_text("\n".join([f"# Written by make constraints, as resolved under {system}.", *lines, ""]))
    print(f"{file.relative_to(ROOT)}: {len(lines)}")


if __name__ == "__main__":
    main()
