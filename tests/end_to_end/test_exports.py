"""Every exported form predicts like the model it came from: each framework's own, all bundled networks and more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backends.contract import SessionSpec
from backends.registry import BACKENDS
from harness.export.forms import TOLERANCE, ExportForm, difference, forms
from harness.processes.launcher import WorkerProcess
from harness.processes.remote import RemoteWorker, open_worker
from specs.architecture import Architecture
from specs.loading import architecture_names, load_architecture
from specs.optimizers import SGD
from tests.harness.checkpoints.test_checkpoints import write
from tests.harness.cli.commands import harness
from tests.harness.export.networks import EVERY_LAYER, GRAPH, NORMS, POOLED, RECURRENT, TOKENS, trained

NETWORKS = [
    *(
        pytest.param(load_architecture(name), id=name, marks=[] if name == "lenet5" else pytest.mark.long)
        for name in architecture_names()
    ),
    *(pytest.param(a, id=a.name) for a in (EVERY_LAYER, POOLED, GRAPH, RECURRENT, NORMS, TOKENS)),
]
OWN = [name for name in forms() if name != "onnx"]


@pytest.fixture(scope="module", params=OWN)
def workers(
    request: pytest.FixtureRequest, backend_python: Callable[[str], Path]
) -> Iterator[tuple[RemoteWorker, RemoteWorker]]:
    """A worker that writes and one that runs; the second never sees the networks."""
    form: ExportForm = forms()[request.param]
    python = backend_python(form.runner.name)
    with ExitStack() as stack:
        writer = stack.enter_context(open_worker(form.runner.name, python=python, tuning="default"))
        process = stack.enter_context(WorkerProcess(form.runner, python=python, threads=1))
        yield writer, RemoteWorker(process, timeout_s=None)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_frameworks_own_form(
    architecture: Architecture, workers: tuple[RemoteWorker, RemoteWorker], tmp_path: Path
) -> None:
    writer, runner = workers
    network = trained(architecture)
    session = writer.open(SessionSpec(architecture=architecture, optimizer=SGD(), tuning="default"))
    session.load_parameters(network.parameters)
    session.export(tmp_path)
    session.close()
    exported = runner.open_exported(tmp_path)
    assert difference(exported, network) < TOLERANCE
    exported.close()


@pytest.mark.parametrize("name", forms())
def test_into_any_folder(name: str, backend_python: Callable[[str], Path], tmp_path: Path) -> None:
    """With blanks and letters beyond ASCII, in the folder for temporary files too."""
    form = forms()[name]
    if form.runner.name in BACKENDS:
        backend_python(form.runner.name)
    odd = tmp_path / "the 导出 folder"
    odd.mkdir()
    write(tmp_path / "checkpoint", POOLED)
    words = ("export", "--checkpoint", str(tmp_path / "checkpoint"), "--format", name, "--out", str(odd / "new ü"))
    done = harness(*words, "--json", TMPDIR=str(odd))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert {str(path.relative_to(odd / "new ü")) for path in (odd / "new ü").rglob("*") if path.is_file()} == {
        *said["files"],
        "export.json",
    }
    assert (odd / "new ü").stat().st_mode & 0o777 == 0o755
    assert not list(odd.glob(".tmp-*"))
