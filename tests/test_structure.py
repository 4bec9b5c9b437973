"""The architecture held by tests: imports point one way, and nothing loads a framework before it is told to."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from backends.registry import BACKENDS, REFERENCE, frameworks

ROOT = Path(__file__).parent.parent
ROOMS = ("specs", "backends", "harness", "results")
MAY_IMPORT = {
    "specs": {"specs"},
    "backends": {"specs", "backends"},
    "harness": {"specs", "backends", "harness", "results"},
    "results": {"specs", "results"},
}
# Names, order and titles of the backends stand in the registry alone, which the reports show too.
REGISTRY = "backends.registry"
# The folders of harness/: each may import from itself and from those before it.
HARNESS = (
    *("worker", "datasets", "checkpoints", "processes", "measuring", "inputs", "planning", "inference", "conformance"),
    *("proving", "running", "racing", "execution", "gating", "export", "hunting", "cli"),
)


def modules(backend: str) -> set[str]:
    """The modules of a framework, which its own folder alone may import."""
    return {BACKENDS[backend].framework, *BACKENDS[backend].modules}


# NumPy is everybody's.
FRAMEWORKS = {module for name in frameworks() for module in modules(name)} - modules(REFERENCE)
# What a worker process may import beside its framework.
LIGHT = sorted(
    {
        *(f"backends.{p.stem}" for p in (ROOT / "backends").glob("*.py")),
        *(f"backends.{p.parent.name}.adapter" for p in (ROOT / "backends").glob("*/adapter.py")),
        *(f"specs.{p.stem}" for p in (ROOT / "specs").glob("*.py")),
        *(f"harness.worker.{p.stem}" for p in (ROOT / "harness" / "worker").glob("*.py") if not p.stem.startswith("_")),
    }
    - {"specs.loading", "specs.document", "specs.__init__", "backends.__init__"}
)


def sources() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path, *, top_level: bool) -> set[str]:
    """Modules a file imports, by full name; ``top_level`` leaves out those imported within functions."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else list(ast.walk(tree))
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    rooms = {name.partition(".")[0] for name in imported(path, top_level=False) - {REGISTRY}} & set(ROOMS)
    assert room != "specs" or REGISTRY not in imported(path, top_level=False)
    assert rooms <= MAY_IMPORT[room], f"{room} may not import {sorted(rooms - MAY_IMPORT[room])}"


@pytest.mark.parametrize("folder", HARNESS)
def test_imports_within_the_harness_point_one_way(folder: str) -> None:
    sources = sorted((ROOT / "harness" / folder).rglob("*.py"))
    assert sources
    allowed = HARNESS[: HARNESS.index(folder) + 1]
    for path in sources:
        own = {name for name in imported(path, top_level=False) if name.startswith("harness.")}
        folders = {name.split(".")[1] for name in own}
        assert folders <= set(allowed), f"{path.relative_to(ROOT)} may not import {sorted(folders - set(allowed))}"


def test_every_folder_of_the_harness_has_its_place() -> None:
    folders = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert folders == set(HARNESS)
    assert {path.name for path in (ROOT / "harness").glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_its_own_adapter_names_a_framework(path: Path) -> None:
    named = {name.partition(".")[0] for name in imported(path, top_level=False)} & FRAMEWORKS
    room, folder, *_ = path.relative_to(ROOT).parts
    own = modules(folder) if room == "backends" and folder in BACKENDS else set()
    assert named <= own, f"imports {sorted(named - own)}"


def test_no_adapter_imports_another() -> None:
    folders = {path.parent for path in (ROOT / "backends").glob("*/adapter.py")}
    assert {folder.name for folder in folders} == set(BACKENDS)
    for folder in folders:
        for path in folder.rglob("*.py"):
            others = {name.split(".")[1] for name in imported(path, top_level=False) if name.startswith("backends.")}
            assert not others & (set(BACKENDS) - {folder.name}), f"{path.relative_to(ROOT)} imports another adapter"


FOLDER = ("adapter", "session", "network", "optimizers", "export")
# The reference exports nothing.
WITHOUT = {REFERENCE: {"export"}}
LINES_OF_A_PLAIN_SESSION = 250
# A small backend may be one file.
DIVIDED = [name for name in BACKENDS if len([*(ROOT / "backends" / name).glob("[!_]*.py")]) > 1]


@pytest.mark.parametrize("backend", DIVIDED)
def test_the_folders_of_adapters_have_equal_names(backend: str) -> None:
    names = {path.stem for path in (ROOT / "backends" / backend).glob("*.py")}
    assert set(FOLDER) - WITHOUT.get(backend, set()) <= names


@pytest.mark.parametrize("backend", DIVIDED)
def test_a_plain_session_is_short(backend: str) -> None:
    lines = (ROOT / "backends" / backend / "session.py").read_text().splitlines()
    assert len(lines) <= LINES_OF_A_PLAIN_SESSION


def undocumented(path: Path) -> list[str]:
    """Public methods, of public classes of a file, that say nothing of what they take and give."""
    classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    methods = [(c, f) for c in classes for f in c.body if isinstance(f, ast.FunctionDef)]
    return [
        f"{c.name}.{f.name}"
        for c, f in methods
        if not (_hidden(c.name) or f.name.startswith("_") or ast.get_docstring(f))
    ]


@pytest.mark.parametrize(
    "path",
    sorted(path for name in ("adapter", "session") for path in (ROOT / "backends").rglob(f"{name}.py")),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_what_adapters_offer_is_documented(path: Path) -> None:
    assert undocumented(path) == []


def test_no_name_is_that_of_two_classes() -> None:
    """But for the backends, whose folders have equal names on purpose."""
    places: dict[str, list[str]] = {}
    for path in (path for room in ROOMS if room != "backends" for path in (ROOT / room).rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert len(places) > 300
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


# Parts of frameworks that are not their public API though their names have no underscore, and what no guide names.
PRIVATE = (
    *("torch.ops", "to_mkldnn", "paddle.base", "core.eager", "tf.raw_ops", "raw_ops", "tensorflow.python", "keras.src"),
    *("mindspore.ops.auto_generate", "ops.auto_generate", "sched_setaffinity"),
)


def private_names(path: Path) -> list[str]:
    """What a file takes of others' private parts: underscored names but on self and cls, and what PRIVATE lists."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                names = [(alias.name, alias.name) for alias in node.names]
            case ast.ImportFrom(module=str(module)) if module != "__future__":
                names = [(f"{module}.{alias.name}", f"{module}.{alias.name}") for alias in node.names]
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute():
                names = [(ast.unparse(node), node.attr)]  # what it is called on is a node of its own
            case _:
                continue
        found += [name for name, new in names if _hidden(new) or any(f".{p}." in f".{name}." for p in PRIVATE)]
    return found


def _hidden(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def plain_sources() -> list[Path]:
    """What default and recommended import of the adapters: all but the engines."""
    return sorted(path for path in (ROOT / "backends").rglob("*.py") if "expert" not in path.parts)


@pytest.mark.parametrize("path", plain_sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_default_and_recommended_use_public_parts_alone(path: Path) -> None:
    assert private_names(path) == []
    assert not [name for name in imported(path, top_level=True) if ".expert" in name], "imports an engine at its top"
    if path.name != "adapter.py":  # which opens it when told to
        assert not [name for name in imported(path, top_level=False) if ".expert" in name], "imports an engine"


@pytest.mark.parametrize(
    "line",
    [
        "y = torch.ops.aten.convolution_backward(x)",
        "torch._foreach_add_(xs, 1)",
        "from torch._C import Graph",
        "from paddle.base import core",
        "tf.raw_ops.ResourceApplyAdam()",
        "optimizer._create_accumulators(block)",
        "super()._append_optimize_op(block)",
        "os.sched_setaffinity(0, {1})",
    ],
)
def test_private_parts_are_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "session.py").write_text(f"{line}\n")
    assert private_names(tmp_path / "session.py")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_worker_modules_are_light() -> None:
    """Importing all that a worker imports, and every adapter, loads neither a framework nor the parent's libraries."""
    heavy = FRAMEWORKS | {"pydantic", "yaml", "pandas", "matplotlib", "rich", "typer", "scipy", "sklearn", "jinja2"}
    heavy |= {"dask", "distributed"}
    code = f"import sys, {', '.join(LIGHT)}; print(*sorted({heavy!r} & set(sys.modules)))"
    assert run(code).split() == []


def test_help_loads_no_heavy_library() -> None:
    """--help answers fast because the commands import what they need only when they run."""
    heavy = FRAMEWORKS | {"pandas", "matplotlib", "scipy", "sklearn", "pydantic", "numpy", "dask", "distributed"}
    code = f"import sys, harness.cli; print(*sorted({heavy!r} & set(sys.modules)))"
    assert run(code).split() == []
