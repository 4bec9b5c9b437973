"""The architectures and recipes that come with the project are the published ones."""

from dataclasses import replace

import pytest

from specs import layers as L
from specs.form import MNIST, Form
from specs.initializers import GlorotUniform, Normal, Zeros
from specs.loading import architecture_names, default_recipe, load_architecture, load_recipe, recipe_names
from specs.optimizers import SGD, Adadelta, Adam
from specs.schedule import Constant
from specs.shapes import infer, parameter_count

# On MNIST. resnet20 is 3x3x2 weights short of the first convolution's for three channels: 272,474 - 288.
PARAMETERS = {
    "mlp": 203_530, "cnn": 83_466, "cnn_dropout": 225_034, "lenet5": 61_706, "alexnet": 3_868_170,
    "resnet20": 272_186, "densenet_mini": 24_134, "mobilenet_mini": 36_874, "vgg11_bn": 9_227_210,
    "lstm_rows": 81_674, "gru_rows": 61_706, "vit_tiny": 139_018,
}  # fmt: skip
TRAINING = {  # optimizer, batch size, epochs, target
    "mlp": (SGD(learning_rate=0.01), 256, 15, 0.9103),
    "cnn": (Adam(learning_rate=1e-3), 64, 5, 0.99),
    "cnn_dropout": (Adadelta(learning_rate=1.0, rho=0.95), 128, 10, 0.99),
    "lenet5": (SGD(learning_rate=0.01, momentum=0.9), 64, 10, 0.99),
    "alexnet": (SGD(learning_rate=0.01, momentum=0.9), 64, 10, 0.992),
}


def test_the_architectures_and_a_recipe_for_each_and_for_any_other() -> None:
    assert set(architecture_names()) == set(PARAMETERS)
    assert set(recipe_names()) == {*PARAMETERS, "default", "lenet5_augmented"}


def test_the_augmented_recipe_is_the_plain_one_but_for_its_augmentation() -> None:
    plain, augmented = load_recipe("lenet5"), load_recipe("lenet5_augmented")
    assert not plain.augmentation.active
    assert augmented.augmentation.active
    said = {"name": plain.name, "title": plain.title, "source": plain.source}
    assert replace(augmented, augmentation=plain.augmentation, **said) == plain


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_parameter_counts(name: str, count: int) -> None:
    architecture = load_architecture(name)
    assert parameter_count(architecture) == count
    assert architecture.name == name
    assert architecture.title


@pytest.mark.parametrize(("name", "training"), TRAINING.items())
def test_recipes_are_those_published(name: str, training: tuple) -> None:
    recipe = load_recipe(name)
    assert (recipe.name, recipe.architecture, recipe.dataset) == (name, name, "mnist")
    target = recipe.targets["test_accuracy"]
    assert (recipe.optimizer, recipe.batch_size, recipe.epochs, target) == training
    assert recipe.learning_rate_schedule == Constant()
    assert recipe.preprocessing.scale == (0.0, 1.0)
    assert recipe.preprocessing.mean is None
    assert recipe.initializer.biases == Zeros()
    assert recipe.title


def test_the_mlp_starts_from_the_tutorials_normal() -> None:
    assert load_recipe("mlp").initializer.weights == Normal(std=0.1)


def test_the_dropout_networks_drop_what_they_should() -> None:
    rates = [layer.p for layer in load_architecture("cnn_dropout").layers if isinstance(layer, L.Dropout)]
    assert rates == [0.25, 0.5]


def test_lenet5_layer_by_layer() -> None:
    kinds = [type(layer) for layer in load_architecture("lenet5").layers]
    assert kinds == [L.Conv2d, L.ReLU, L.MaxPool2d] * 2 + [L.Flatten] + [L.Linear, L.ReLU] * 2 + [L.Linear]
    first, second = (layer for layer in load_architecture("lenet5").layers if isinstance(layer, L.Conv2d))
    assert first == L.Conv2d(out_channels=6, kernel_size=(5, 5), padding=(2, 2))
    assert second == L.Conv2d(out_channels=16, kernel_size=(5, 5))


def test_alexnets_last_pool_overlaps() -> None:
    pools = [layer for layer in load_architecture("alexnet").layers if isinstance(layer, L.MaxPool2d)]
    assert pools[-1] == L.MaxPool2d(kernel_size=(3, 3), stride=(2, 2))


def test_resnet20_is_the_papers_on_cifars_images() -> None:
    cifar = Form((3, 32, 32), 10)
    assert parameter_count(load_architecture("resnet20", lambda name: cifar)) == 272_474
    nodes = infer(load_architecture("resnet20", lambda name: cifar))
    adds = [node for node in nodes if isinstance(node.layer, L.Add)]
    assert [node.output_shape for node in adds] == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3
    # Convolutions on the way and the last linear layer: the twenty that are counted; and two projections.
    weights = [node for node in nodes if isinstance(node.layer, L.Conv2d | L.Linear)]
    assert len(weights) == 20 + 2
    assert not any(node.layer.bias for node in nodes if isinstance(node.layer, L.Conv2d))
    projections = [node for node in weights if isinstance(node.layer, L.Conv2d) and node.layer.kernel_size == (1, 1)]
    batch_norms = {node.inputs[0] for node in nodes if isinstance(node.layer, L.BatchNorm2d)}
    assert {node.name for node in projections} <= batch_norms


def test_densenet_mini_keeps_all_that_it_makes() -> None:
    nodes = infer(load_architecture("densenet_mini"))
    channels = [node.output_shape[0] for node in nodes if isinstance(node.layer, L.Concat)]
    assert channels == [16 + 12, 16 + 24, 16 + 36, 26 + 12, 26 + 24, 26 + 36]


def test_mobilenet_mini_is_made_of_depthwise_and_pointwise_convolutions() -> None:
    _, *others = (node for node in infer(load_architecture("mobilenet_mini")) if isinstance(node.layer, L.Conv2d))
    depthwise, pointwise = others[::2], others[1::2]
    assert all(node.layer.groups == node.input_shape[0] == node.layer.out_channels for node in depthwise)
    assert all((node.layer.groups, node.layer.kernel_size) == (1, (1, 1)) for node in pointwise)
    assert [node.output_shape[0] for node in pointwise] == [32, 64, 64, 128, 128]


def test_vgg11_bn_halves_its_images_five_times() -> None:
    for form, count in ((MNIST, 9_227_210), (Form((3, 32, 32), 10), 9_228_362)):
        nodes = infer(load_architecture("vgg11_bn", lambda _, form=form: form))
        pools = [node for node in nodes if isinstance(node.layer, L.MaxPool2d)]
        assert [len(pools), pools[-1].output_shape] == [5, (512, 1, 1)]
        assert sum(node.parameter_count for node in nodes) == count


def test_vit_tiny_makes_sixteen_patches_and_a_class_token_of_width_64() -> None:
    nodes = {node.name: node for node in infer(load_architecture("vit_tiny"))}
    assert nodes["to_tokens_1"].output_shape == (16, 64)
    assert nodes["class_token_1"].output_shape == (17, 64)
    attention = [node.layer for node in nodes.values() if isinstance(node.layer, L.MultiHeadAttention)]
    assert attention == [L.MultiHeadAttention(heads=4)] * 4
    # Pre-norm: what attention and the layers behind it are added to has not gone through a norm.
    adds = [node for node in nodes.values() if isinstance(node.layer, L.Add)]
    assert len(adds) == 8
    assert not any(nodes[name].layer.kind == "layer_norm" for add in adds for name in add.inputs)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_bundled_model_takes_the_data_sets_shape_and_classes(name: str) -> None:
    architecture = load_architecture(name, lambda own: Form((3, 32, 32), 100) if own == name else MNIST)
    assert (architecture.input, architecture.classes) == ((3, 32, 32), 100)
    assert infer(architecture)[-1].output_shape == (100,)


def test_the_default_recipe_is_the_models_own_or_the_general_one() -> None:
    assert default_recipe("cnn").name == "cnn"
    general = default_recipe("my_own_network")
    assert (general.name, general.architecture, general.targets) == ("default", None, {})
    assert general.initializer.weights == GlorotUniform()


def test_every_bundled_layer_list_ends_in_one_logit_per_class() -> None:
    for name in architecture_names():
        architecture = load_architecture(name)
        assert architecture.layers[-1] == L.Linear(out_features=architecture.classes)
        kinds = L.ReLU | L.ReLU6 | L.GELU | L.LSTM | L.GRU
        assert any(isinstance(node.layer, kinds) for node in infer(architecture))
