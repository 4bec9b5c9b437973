import json

from backends.registry import BACKENDS
from harness.datasets import NAMES
from harness.export.forms import forms
from specs.loading import architecture_names, recipe_names
from tests.harness.cli.commands import harness


def test_everything_that_has_a_name_is_listed() -> None:
    outcome = harness("list")
    assert outcome.returncode == 0, outcome.stderr
    words = outcome.stdout.split()
    for name in (*architecture_names(), *recipe_names(), *NAMES, *BACKENDS, *(set(forms()) - {"onnx"})):
        assert name in words


def test_json_stands_alone_on_stdout() -> None:
    said = json.loads(harness("list", "--json").stdout)
    assert set(said) == {"models", "recipes", "datasets", "backends"}
    assert [entry["name"] for entry in said["backends"]] == list(BACKENDS)
    assert {entry["name"]: entry["parameters"] for entry in said["models"]}["lenet5"] == 61_706
