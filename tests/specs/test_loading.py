"""What a user's own spec may be, and the one line that each mistake gets."""

from pathlib import Path

import pytest
import yaml

from specs import layers as L
from specs.codec import to_plain
from specs.errors import RequestError
from specs.form import Form
from specs.initializers import HeUniform, Normal
from specs.loading import load_architecture, load_recipe
from specs.nest import Branches, Repeat, Residual
from specs.optimizers import AdamW
from specs.schedule import Cosine

EVERY_LAYER = """\
name: every_layer
input: [3, 32, 24]
classes: 5
layers:
  - conv2d: {out_channels: 8, kernel_size: [3, 5], stride: [1, 2], padding: [1, 2], bias: false}
  - batch_norm2d
  - gelu
  - avg_pool2d: {kernel_size: 2, padding: 1, count_include_pad: true}
  - leaky_relu: {negative_slope: 0.2}
  - conv2d: {out_channels: 4, kernel_size: 1}
  - tanh
  - max_pool2d: {kernel_size: [3, 2], stride: 1}
  - batch_norm2d: {momentum: 0.01, epsilon: 1e-3}
  - relu
  - dropout: {p: 0.1}
  - global_avg_pool
  - linear: {out_features: 7, bias: false}
  - sigmoid
  - linear: {out_features: 5}
  - softmax
"""
WINDOWS = """\
name: windows
input: [8, 12, 12]
classes: 3
layers:
  - conv2d: {out_channels: 4, kernel_size: [2, 3], padding: [[0, 1], 2], groups: 2, dilation: [1, 2]}
  - conv2d: {out_channels: 4, kernel_size: [2, 3], padding: same, dilation: [1, 2]}
  - max_pool2d: {kernel_size: 3, stride: 2, padding: [[1, 1], [1, 1]], ceil_mode: true}
  - flatten
  - linear: {out_features: 3}
"""
RECIPE = """\
name: mine
title: My own
epochs: 12
batch_size: 100
optimizer: {adamw: {learning_rate: 1e-3, weight_decay: 0.05}}
learning_rate_schedule: {cosine: {final_fraction: 0.1, warmup_epochs: 1.5}}
initializer: {weights: he_uniform, biases: {normal: {std: 1e-4}}}
preprocessing: {scale: [0, 1], mean: [0.1307], std: [0.3081]}
targets: {test_accuracy: 0.9}
"""


@pytest.fixture
def spec(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


def refusal(load, path: Path) -> str:
    with pytest.raises(RequestError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}:")


def test_the_whole_layer_vocabulary_can_be_written_down(spec) -> None:
    architecture = load_architecture(spec(EVERY_LAYER))
    assert architecture.input == (3, 32, 24)
    assert architecture.layers == (
        L.Conv2d(out_channels=8, kernel_size=(3, 5), stride=(1, 2), padding=(1, 2), bias=False),
        L.BatchNorm2d(),
        L.GELU(),
        L.AvgPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(1, 1), count_include_pad=True),
        L.LeakyReLU(negative_slope=0.2),
        L.Conv2d(out_channels=4, kernel_size=(1, 1)),
        L.Tanh(),
        L.MaxPool2d(kernel_size=(3, 2), stride=(1, 1)),
        L.BatchNorm2d(momentum=0.01, epsilon=1e-3),
        L.ReLU(),
        L.Dropout(p=0.1),
        L.GlobalAvgPool(),
        L.Linear(out_features=7, bias=False),
        L.Sigmoid(),
        L.Linear(out_features=5),
        L.Softmax(),
    )


def test_a_users_recipe(spec) -> None:
    recipe = load_recipe(spec(RECIPE))
    assert recipe.optimizer == AdamW(learning_rate=1e-3, weight_decay=0.05)
    assert recipe.learning_rate_schedule == Cosine(final_fraction=0.1, warmup_epochs=1.5)
    assert (recipe.initializer.weights, recipe.initializer.biases) == (HeUniform(), Normal(std=1e-4))
    assert (recipe.preprocessing.mean, recipe.preprocessing.std) == ((0.1307,), (0.3081,))
    assert (recipe.architecture, recipe.dataset) == (None, "mnist")


def test_what_was_loaded_can_be_written_and_loaded_again(spec) -> None:
    architecture = load_architecture(spec(EVERY_LAYER))
    plain = yaml.safe_dump(to_plain(architecture))
    assert load_architecture(spec(plain)) == architecture


def test_padding_in_every_form(spec) -> None:
    architecture = load_architecture(spec(WINDOWS))
    assert architecture.layers[0].padding == ((0, 1), (2, 2))
    assert architecture.layers[1].padding == ((0, 1), (2, 2))  # of "same"
    assert architecture.layers[2].padding == (1, 1)  # what is the same on both sides has one form
    assert load_architecture(spec(yaml.safe_dump(to_plain(architecture)))) == architecture


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[[0, 1], 2]",
            "[[0, 1, 2], 2]",
            "5: layers[0] (conv2d): padding must be an integer, [height, width] or [[top",
        ),
        ("[[0, 1], 2]", "[[0, -1], 2]", "5: layers[0] (conv2d): padding must be at least 0, got ((0, -1), 2)"),
        (
            "[[0, 1], 2]",
            "valid",
            "5: layers[0] (conv2d): padding must be an integer or a pair [height, width], got 'val",
        ),
        ("same, dilation: [1, 2]", "same, stride: 2", "6: layers[1] (conv2d): padding 'same' is for stride 1"),
        ("groups: 2", "groups: 3", "5: layers[0] (conv2d): groups must divide the 4 output channels, got 3"),
        ("groups: 2", "groups: 0", "5: layers[0] (conv2d): groups must be at least 1, got 0"),
        ("[8, 12, 12]", "[7, 12, 12]", "5: windows: layers[0] (conv2d): groups 2 must divide the 7 input channels"),
        ("[1, 2]}\n  - conv", "0}\n  - conv", "5: layers[0] (conv2d): dilation must be at least 1, got 0"),
        (
            "[[1, 1], [1, 1]]",
            "[[1, 2], [1, 1]]",
            "7: layers[2] (max_pool2d): padding ((1, 2), (1, 1)) is more than half",
        ),
        ("ceil_mode: true", "ceil_mode: 1", "7: ceil_mode must be true or false, got 1"),
    ],
)
def test_what_is_wrong_with_windows(spec, old: str, new: str, said: str) -> None:
    assert WINDOWS.count(old) == 1
    assert refusal(load_architecture, spec(WINDOWS.replace(old, new))).startswith(said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  - relu\n", "  - rellu\n", "14: unknown layer 'rellu'; did you mean 'relu'?"),
        (
            "out_features: 7",
            "out_feature: 7",
            "17: unknown field of layers[12] (linear) 'out_feature'; did you mean 'out_features'?",
        ),
        (
            "{out_channels: 4, kernel_size: 1}",
            "{kernel_size: 1}",
            "10: layers[5] (conv2d) needs the field 'out_channels'",
        ),
        ("out_channels: 4", "out_channels: four", "10: out_channels must be a whole number, got 'four'"),
        ("out_channels: 4", "out_channels: 4.0", "10: out_channels must be a whole number, got 4.0"),
        ("out_channels: 4", "out_channels: true", "10: out_channels must be a whole number, got True"),
        ("out_channels: 4", "out_channels:", "10: out_channels must be a whole number, got None"),
        ("out_channels: 4", "out_channels: 0", "10: layers[5] (conv2d): out_channels must be at least 1, got 0"),
        (
            "kernel_size: [3, 5]",
            "kernel_size: [3, 5, 7]",
            "5: layers[0] (conv2d): kernel_size must be an integer or a pair",
        ),
        ("[1, 2], bias: false}", "[1, 2], bias: 0}", "5: bias must be true or false, got 0"),
        ("p: 0.1", "p: 1", "15: layers[10] (dropout): p (the probability of zeroing) must be in [0, 1), got 1"),
        ("p: 0.1", "p: .nan", "15: layers[10] (dropout): p (the probability of zeroing) must be in [0, 1), got nan"),
        ("p: 0.1", "p: '0.1'", "15: p must be a number, got '0.1'"),
        ("epsilon: 1e-3", "epsilon: .inf", "13: layers[8] (batch_norm2d): epsilon must be positive, got inf"),
        ("linear: {out_features: 7, bias: false}", "linear", "17: layers[12] (linear) needs the field 'out_features'"),
        ("linear: {out_features: 7, bias: false}", "linear: 7", "17: linear takes a mapping of fields, got 7"),
        ("- gelu", "- [gelu]", "7: a layer is a name or {name: {fields}}, got ['gelu']"),
        ("- gelu", "- {gelu: {}, tanh: {}}", "7: a layer is a name or {name: {fields}}, got"),
        ("  - global_avg_pool\n", "", "16: every_layer: layers[11] (linear): needs features, got shape [4, 15, 6]"),
        (
            "kernel_size: [3, 2], stride: 1",
            "kernel_size: [30, 2]",
            "12: every_layer: layers[7] (max_pool2d): kernel [30, 2]",
        ),
        (
            "out_features: 5",
            "out_features: 6",
            "20: every_layer: the last layer gives shape [6], but 5 classes need [5]",
        ),
        ("classes: 5", "classes: 1", "3: an architecture: classes must be at least 2, got 1"),
        ("input: [3, 32, 24]", "input: [3, 32]", "2: input must be a list of 3, got [3, 32]"),
        ("input: [3, 32, 24]", "input: [3, 32, 0]", "2: an architecture: input must be three positive integers"),
        ("name: every_layer", "name: ../../etc/passwd", "1: name must be letters, digits"),
        ("name: every_layer", "name: '<b>bold</b>'", "1: name must be letters, digits"),
        ("name: every_layer", "name: 7", "1: name must be text (in quotes where it looks like something else), got 7"),
        ("classes: 5", "classes: 5\nlayer: []", "4: unknown field of an architecture 'layer'; did you mean 'layers'?"),
        (
            "out_features: 7",
            "out_features: 1000000000000",
            "17: every_layer: layers[12] (linear): 1,000,000,000,000 numbers",
        ),
        (
            "out_features: 7",
            "out_features: 999999999",
            "17: every_layer: layers[12] (linear): 4,000,000,416 parameters so far",
        ),
        ("out_channels: 4", "out_channels: 90000000", "10: every_layer: layers[5] (conv2d): "),
    ],
)
def test_architecture_mistakes(spec, old: str, new: str, said: str) -> None:
    assert EVERY_LAYER.count(old) == 1
    assert refusal(load_architecture, spec(EVERY_LAYER.replace(old, new))).startswith(said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "{adamw: {learning_rate: 1e-3, weight_decay: 0.05}}",
            "adamm",
            "5: unknown optimizer 'adamm'; did you mean 'adam'?",
        ),
        (
            "weight_decay: 0.05",
            "weight_deacy: 0.05",
            "5: unknown field of adamw 'weight_deacy'; did you mean 'weight_decay'?",
        ),
        ("learning_rate: 1e-3", "learning_rate: -1", "5: adamw: learning_rate must be positive and finite, got -1"),
        ("learning_rate: 1e-3", "learning_rate: .inf", "5: adamw: learning_rate must be positive and finite, got inf"),
        ("cosine: {", "cosin: {", "6: unknown learning rate schedule 'cosin'; did you mean 'cosine'?"),
        (
            "warmup_epochs: 1.5",
            "warmup_epochs: 13",
            "6: a recipe: learning_rate_schedule: warmup_epochs 13 exceeds epochs 12",
        ),
        ("he_uniform", "he_unifrom", "7: unknown initializer 'he_unifrom'; did you mean 'he_uniform'?"),
        ("{normal: {std: 1e-4}}", "normal", "7: normal needs the field 'std'"),
        (
            "weights: he_uniform",
            "weight: he_uniform",
            "7: unknown field of initializer 'weight'; did you mean 'weights'?",
        ),
        ("scale: [0, 1]", "scale: [1, 0]", "8: preprocessing: scale must be [low, high]"),
        ("scale: [0, 1]", "scale: 255", "8: scale must be a list of 2, got 255"),
        ("mean: [0.1307], ", "", "8: preprocessing: mean and std must be given together"),
        (
            "preprocessing: {scale: [0, 1], mean: [0.1307], std: [0.3081]}",
            "preprocessing: none",
            "8: preprocessing must be a mapping",
        ),
        ("epochs: 12", "epochs: 0", "3: a recipe: epochs must be from 1 to"),
        ("epochs: 12", "epochs: 1.5", "3: epochs must be a whole number, got 1.5"),
        ("batch_size: 100", "batch_size: 1000000000000", "4: a recipe: batch_size must be from 1 to"),
        (
            "test_accuracy: 0.9",
            "test_acc: 0.9",
            "9: a recipe: targets: unknown target 'test_acc'; did you mean 'test_accuracy'?",
        ),
        ("test_accuracy: 0.9", "test_accuracy: high", "9: targets.test_accuracy must be a number, got 'high'"),
    ],
)
def test_recipe_mistakes(spec, old: str, new: str, said: str) -> None:
    assert RECIPE.count(old) == 1
    assert refusal(load_recipe, spec(RECIPE.replace(old, new))).startswith(said)


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", "12\n"])
def test_a_spec_is_a_mapping(spec, text: str) -> None:
    assert refusal(load_architecture, spec(text)) == "1: expected a mapping with the fields of an architecture"


def test_too_many_layers(spec) -> None:
    layers = "".join("  - relu\n" for _ in range(1001))
    text = f"name: long\ninput: [1, 1, 2]\nclasses: 2\nlayers:\n{layers}  - flatten\n"
    assert (
        refusal(load_architecture, spec(text))
        == "4: an architecture: layers are 1,002 with all repeats, at most 1,000 are allowed"
    )


def test_an_unknown_name_is_not_a_missing_file(tmp_path: Path) -> None:
    for load, name, said in (
        (load_architecture, "lenet", "unknown model 'lenet'; did you mean 'lenet5'?"),
        (load_architecture, "LeNet5", "unknown model 'LeNet5'; did you mean 'lenet5'?"),
        (load_architecture, "zzz", "unknown model 'zzz' (known: alexnet"),
        (load_architecture, "lenet5.yaml", "lenet5.yaml: no such file"),
        (load_architecture, "./lenet5", "lenet5: no such file"),
        (load_architecture, "", "unknown model ''"),
        (load_architecture, "a\0b", "NUL"),
        (load_recipe, "defualt", "unknown recipe 'defualt'; did you mean 'default'?"),
        (load_recipe, str(tmp_path / "r.yml"), f"{tmp_path}/r.yml: no such file"),
    ):
        with pytest.raises(RequestError) as caught:
            load(name)
        assert said in str(caught.value)


OPEN = """\
name: open
layers:
  - flatten
  - linear: {out_features: 6}
  - branches: {join: add, paths: [[linear: {out_features: classes}], [linear: {out_features: classes}]]}
"""


def test_what_a_file_leaves_open_is_the_data_sets(spec) -> None:
    asked = []

    def form_of(name: str) -> Form:
        asked.append(name)
        return Form((3, 4, 5), 7)

    architecture = load_architecture(spec(OPEN), form_of)
    assert (architecture.input, architecture.classes, asked) == ((3, 4, 5), 7, ["open"])
    assert architecture.layers[2].paths[1] == (L.Linear(out_features=7),)
    own = load_architecture(spec(f"{OPEN}input: [1, 2, 2]\nclasses: 3\n"), form_of)
    assert (own.input, own.classes, asked) == ((1, 2, 2), 3, ["open"])
    partly = load_architecture(spec(f"{OPEN}classes: 3\n"), form_of)
    assert (partly.input, partly.classes) == ((3, 4, 5), 3)


NESTED = """\
name: nested
input: [4, 8, 8]
classes: 3
layers:
  - repeat:
      times: 2
      layers:
        - residual:
            layers:
              - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
              - relu
  - branches:
      join: concat
      paths:
        - []
        - [tanh, residual: {layers: [relu], shortcut: [sigmoid]}]
  - global_avg_pool
  - linear: {out_features: classes}
"""


def test_a_nest_is_read_as_it_is_written(spec) -> None:
    conv = L.Conv2d(out_channels=4, kernel_size=3, padding=1)
    assert load_architecture(spec(NESTED)).layers == (
        Repeat(times=2, layers=(Residual(layers=(conv, L.ReLU())),)),
        Branches(join="concat", paths=((), (L.Tanh(), Residual(layers=(L.ReLU(),), shortcut=(L.Sigmoid(),))))),
        L.GlobalAvgPool(),
        L.Linear(out_features=3),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "out_channels: 4",
            "out_channels: 5",
            "8: nested: layers[0].repeat.layers[0].residual (add, round 1 of 2): what is added must have one shape, "
            "but layers gives [5, 8, 8], shortcut (the identity) gives [4, 8, 8]",
        ),
        (
            "kernel_size: 3",
            "kernel_size: 11",
            "10: nested: layers[0].repeat.layers[0].residual.layers[0] (conv2d,",
        ),
        ("kernel_size: 3", "kernel: 3", "10: unknown field of layers[0].repeat.layers[0].residual.layers[0] (conv2d)"),
        ("- relu", "- rleu", "11: unknown layer 'rleu'; did you mean 'relu'?"),
        ("layers: [relu], shortcut", "layer: [relu], shortcut", "16: unknown field of layers[1].branches.paths[1][1]"),
        ("layers: [relu], shortcut", "shortcut", "16: layers[1].branches.paths[1][1] (residual) needs the field"),
        ("times: 2", "times: 0", "6: layers[0] (repeat): times must be at least 1, got 0"),
        ("times: 2", "times: 999999999", "4: an architecture: layers are 3,000,000,00"),
        ("times: 2", "times: two", "6: times must be"),
        ("join: concat", "join: multiply", "13: layers[1] (branches): join must be add or concat, got 'multiply'"),
        ("        - []\n", "", "14: layers[1] (branches): paths must be at least 2, got 1"),
        ("        - []\n", "        - relu\n", "15: layers[1].branches.paths[0] must be a list"),
        ("[tanh,", "[add,", "16: unknown layer 'add'"),
    ],
)
def test_mistakes_in_a_nest(spec, old: str, new: str, said: str) -> None:
    assert NESTED.count(old) == 1
    assert refusal(load_architecture, spec(NESTED.replace(old, new))).startswith(said)
