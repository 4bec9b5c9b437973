"""A backend whose framework there is in several versions, as small wheels: what tests compare versions with."""

from __future__ import annotations

import importlib
import sysconfig
import zipfile
from dataclasses import replace
from pathlib import Path

from backends.contract import Description, Session, SessionSpec
from backends.registry import Registration
from tests.fakes import FakeBackend

MANY = Registration(
    name="many", title="Many", adapter="tests.end_to_end.versioned:ManyBackend", framework="many_framework",
    packages=("many-framework",),
)  # fmt: skip


class ManyBackend(FakeBackend):
    """Opens sessions by a name that the framework has from version 1 on."""

    name = "many"

    def load(self, *, threads: int) -> None:
        super().load(threads=threads)
        self.framework = importlib.import_module("many_framework")

    def describe(self) -> Description:
        return replace(super().describe(), framework_version=self.framework.__version__)

    def open(self, spec: SessionSpec) -> Session:
        self.framework.new_name()
        return super().open(spec)


def write_wheels(folder: Path, *versions: str) -> None:
    """Wheels of the framework; with one comes the way to this interpreter's NumPy, which the worker needs."""
    for version in versions:
        info = f"many_framework-{version}.dist-info"
        names = "" if version.startswith("0.") else "\ndef new_name():\n    pass\n"
        with zipfile.ZipFile(folder / f"many_framework-{version}-py3-none-any.whl", "w") as archive:
            archive.writestr("many_framework.py", f'__version__ = "{version}"\n{names}')
            archive.writestr("many_framework.pth", f"{sysconfig.get_path('purelib')}\n")
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: many-framework\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
