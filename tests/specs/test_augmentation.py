import json
import math
from pathlib import Path

import pytest

from specs.augmentation import Augmentation, Elastic, Erasing
from specs.codec import from_plain, to_plain
from specs.errors import RequestError
from specs.loading import load_recipe
from specs.recipe import Recipe

RECIPE = "name: mine\nepochs: 2\nbatch_size: 8\noptimizer: sgd\n"


def loaded(tmp_path: Path, augmentation: str) -> Recipe:
    file = tmp_path / "mine.yaml"
    file.write_text(RECIPE + augmentation)
    return load_recipe(file)


def test_a_recipe_without_one_leaves_images_alone(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, "")
    assert recipe.augmentation == Augmentation()
    assert not recipe.augmentation.active


def test_every_field_is_read_and_survives_json(tmp_path: Path) -> None:
    recipe = loaded(
        tmp_path,
        "augmentation:\n"
        "  crop_padding: 4\n"
        "  horizontal_flip: 0.5\n"
        "  rotation: 15\n"
        "  shift: 2.5\n"
        "  zoom: 0.1\n"
        "  elastic: {alpha: 34, sigma: 4}\n"
        "  erasing: {probability: 0.5, area: [0.02, 0.2], ratio: 0.4}\n",
    )
    assert recipe.augmentation == Augmentation(
        crop_padding=4,
        horizontal_flip=0.5,
        rotation=15,
        shift=2.5,
        zoom=0.1,
        elastic=Elastic(alpha=34, sigma=4),
        erasing=Erasing(probability=0.5, area=(0.02, 0.2), ratio=0.4),
    )
    assert from_plain(Recipe, json.loads(json.dumps(to_plain(recipe)))) == recipe


@pytest.mark.parametrize(
    ("augmentation", "line", "said"),
    [
        ("{rotaton: 5}", 5, "unknown field of augmentation 'rotaton'; did you mean 'rotation'?"),
        ("{rotation: 181}", 5, "rotation must be from 0 to 180, got 181"),
        ("{rotation: -1}", 5, "rotation must be from 0 to 180, got -1"),
        ("{rotation: .nan}", 5, "rotation must be from 0 to 180, got nan"),
        ("{horizontal_flip: 2}", 5, "horizontal_flip must be from 0 to 1, got 2"),
        ("{crop_padding: 0.5}", 5, "crop_padding must be a whole number, got 0.5"),
        ("{shift: two}", 5, "shift must be a number, got 'two'"),
        ("{zoom: 1}", 5, "zoom must be from 0 to 0.9, got 1"),
        ("{elastic: 34}", 5, "elastic must be a mapping of fields"),
        ("{elastic: {alpha: 1, sigma: 0}}", 5, "elastic: sigma must be from 0.1 to 100, got 0"),
        ("{erasing: {probability: 2}}", 5, "erasing: probability must be from 0 to 1, got 2"),
        ("{erasing: {area: [0.4, 0.2]}}", 5, "erasing: area must be [least, most]"),
        ("{erasing: {area: [0, 0.2]}}", 5, "erasing: area must be [least, most]"),
        ("{erasing: {ratio: 0}}", 5, "erasing: ratio must be from 0.01 to 1, got 0"),
        ("\n  shift: 1\n  erasing:\n    area: [0.1]", 8, "area"),
        ("5", 5, "augmentation must be a mapping of fields"),
    ],
)
def test_mistakes_are_one_line_that_names_file_line_and_bounds(
    augmentation: str, line: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        loaded(tmp_path, f"augmentation: {augmentation}\n")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'mine.yaml'}:{line}: ")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(rotation=1),
        Augmentation(shift=1),
        Augmentation(zoom=0.1),
        Augmentation(elastic=Elastic(alpha=1)),
        Augmentation(erasing=Erasing(probability=0.1)),
    ],
)
def test_any_strength_makes_it_active(augmentation: Augmentation) -> None:
    assert augmentation.active
    assert augmentation.moves == (not augmentation.erasing.probability)


def test_values_from_python_are_checked_too() -> None:
    with pytest.raises(ValueError, match="alpha must be from 0"):
        Elastic(alpha=math.inf)
