import json
from pathlib import Path

import pytest

from tests.harness.cli.commands import assert_one_line, harness

PARAMETERS = {"mlp": 203_530, "cnn": 83_466, "cnn_dropout": 225_034, "lenet5": 61_706, "alexnet": 3_868_170}


@pytest.mark.parametrize(("model", "parameters"), PARAMETERS.items())
def test_the_total_of_every_bundled_model(model: str, parameters: int) -> None:
    outcome = harness("show", model)
    assert outcome.returncode == 0, outcome.stderr
    (total,) = [line for line in outcome.stdout.splitlines() if line.strip().startswith("total")]
    assert total.split()[1] == f"{parameters:,}"
    assert f"Default recipe {model}: mnist" in outcome.stdout
    assert outcome.stderr == ""


def test_the_layer_table() -> None:
    lines = [" ".join(line.split()) for line in harness("show", "lenet5").stdout.splitlines()]
    assert "conv2d_1 out channels 6, kernel size 5x5, padding 2x2 6 x 28 x 28 156 239,904" in lines
    assert "max_pool2d_2 kernel size 2x2, stride 2x2 16 x 5 x 5 1,600" in lines
    assert "flatten_1 400" in lines
    assert "linear_1 out features 120 120 48,120 96,120" in lines


def test_the_nest_is_drawn_and_every_input_named(tmp_path: Path) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text(
        """
name: graph
input: [2, 8, 8]
classes: 4
layers:
  - repeat: {times: 2, layers: [residual: {layers: [relu]}]}
  - residual:
      layers: [conv2d: {out_channels: 4, kernel_size: 1}]
      shortcut: [conv2d: {out_channels: 4, kernel_size: 1}]
  - branches: {join: concat, paths: [[], [tanh]]}
  - global_avg_pool
  - linear: {out_features: 4}
  - softmax
"""
    )
    outcome = harness("show", str(path))
    assert outcome.returncode == 0, outcome.stderr
    table = outcome.stdout[outcome.stdout.index("  input ") :]
    lines = [line.rstrip() for line in table[: table.index("total")].splitlines()]
    drawn = [(len(line) - len(line.lstrip()), " ".join(line.split())) for line in lines if line.strip()]
    margin = drawn[0][0]
    assert [((spaces - margin) // 2, text) for spaces, text in drawn[1:]] == [
        (0, "repeat, round 1 of 2"),
        (1, "residual"),
        (2, "relu_1 input 2 x 8 x 8 128"),
        (2, "shortcut: identity"),
        (2, "add_1 relu_1, input 2 x 8 x 8 128"),
        (0, "repeat, round 2 of 2"),
        (1, "residual"),
        (2, "relu_2 add_1 2 x 8 x 8 128"),
        (2, "shortcut: identity"),
        (2, "add_2 relu_2, add_1 2 x 8 x 8 128"),
        (0, "residual"),
        (1, "conv2d_1 add_2 out channels 4, kernel size 1x1 4 x 8 x 8 12 1,280"),
        (1, "shortcut"),
        (2, "conv2d_2 add_2 out channels 4, kernel size 1x1 4 x 8 x 8 12 1,280"),
        (1, "add_3 conv2d_1, conv2d_2 4 x 8 x 8 256"),
        (0, "branches"),
        (1, "path 1: identity"),
        (1, "path 2"),
        (2, "tanh_1 add_3 4 x 8 x 8 256"),
        (1, "concat_1 add_3, tanh_1 8 x 8 x 8"),
        (0, "global_avg_pool_1 concat_1 8 512"),
        (0, "linear_1 global_avg_pool_1 out features 4 4 36 68"),
    ]
    said = json.loads(harness("show", str(path), "--json").stdout)
    assert said["layers"][-3]["inputs"] == ["add_3", "tanh_1"]
    assert said["architecture"]["layers"][0]["repeat"]["times"] == 2


def test_json_stands_alone_on_stdout() -> None:
    said = json.loads(harness("show", "cnn_dropout", "--json").stdout)
    assert said["parameters"] == PARAMETERS["cnn_dropout"] == sum(layer["parameters"] for layer in said["layers"])
    assert said["forward_flops_per_sample"] == sum(layer["forward_flops"] for layer in said["layers"])
    assert said["recipe"]["optimizer"]["adadelta"]["rho"] == 0.95
    assert said["layers"][0]["options"]["kernel_size"] == [3, 3]
    assert said["notices"] == []


def test_a_users_own_file_with_markup_in_its_title(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: '[bold red]not markup[/] <script>'\ninput: [1, 2, 2]\nclasses: 2\n"
        "layers: [flatten, {linear: {out_features: 2, bias: false}}, softmax]\n"
    )
    outcome = harness("show", str(path))
    assert outcome.returncode == 0, outcome.stderr
    assert "mine: [bold red]not markup[/] <script>" in outcome.stdout
    assert "out features 2, bias no" in outcome.stdout
    assert "the last layer is a softmax" in outcome.stdout
    assert "Default recipe default" in outcome.stdout


def test_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ninput: [1, 2, 2]\nclasses: 2\nlayers:\n  - flaten\n")
    assert_one_line(harness("show", "lenet"), "unknown model 'lenet'; did you mean 'lenet5'?")
    assert_one_line(harness("show", str(path)), f"{path}:5: unknown layer 'flaten'; did you mean 'flatten'?")
    assert_one_line(harness("show", "a\x1b[31m.yaml"), "a\\x1b[31m.yaml: no such file")
    assert_one_line(harness("show"), "Missing argument")
