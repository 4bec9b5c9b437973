import numpy as np
import pytest

from harness.datasets import load_dataset
from harness.inputs.picture import sample_grid
from specs.errors import RequestError
from tests.harness.datasets.files import small_data, write_folder


def test_the_samples_are_in_the_picture_enlarged() -> None:
    data = load_dataset("digits")
    picture = np.array(sample_grid(data, count=12, seed=4))
    chosen = np.random.default_rng(4).choice(len(data.train_labels), size=12, replace=False)
    for position, index in ((0, chosen[0]), (9, chosen[9]), (11, chosen[11])):
        row, column = divmod(position, 10)
        top, left = 16 + 34 + row * (84 + 22 + 10), 16 + column * (84 + 10)
        cell = picture[top : top + 84 : 3, left : left + 84 : 3]
        np.testing.assert_array_equal(cell, np.repeat(data.train_images[index].transpose(1, 2, 0), 3, axis=2))


def test_a_seed_is_a_choice() -> None:
    data = load_dataset("digits")
    first, again, other = (np.array(sample_grid(data, count=5, seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("shape", [(6, 4), (3, 5, 5), (2, 40, 300)])
def test_any_image_can_be_shown(tmp_path, shape: tuple[int, ...]) -> None:
    data = load_dataset(write_folder(tmp_path / "odd", small_data(shape=shape)))
    assert sample_grid(data, count=12, seed=0).mode == "RGB"


@pytest.mark.parametrize(("count", "seed", "said"), [(0, 0, "--count"), (1001, 0, "--count"), (5, -1, "--seed")])
def test_what_cannot_be_had(count: int, seed: int, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        sample_grid(load_dataset("digits"), count=count, seed=seed)
