import numpy as np
from sklearn.datasets import load_digits as scanned_digits

from harness.datasets import load_dataset
from harness.datasets.digits import _interpolation


def test_every_scan_once_in_a_fixed_stratified_split() -> None:
    data = load_dataset("digits")
    assert data.train_images.shape == (1442, 1, 28, 28)
    assert data.test_images.shape == (355, 1, 28, 28)
    counts = np.bincount(np.concatenate([data.train_labels, data.test_labels]))
    np.testing.assert_array_equal(counts, np.bincount(scanned_digits().target))
    np.testing.assert_array_equal(np.bincount(data.test_labels), counts // 5)
    assert load_dataset("digits").sha256 == data.sha256
    assert data.sha256.startswith("f8e5d393"), "the split or the images have changed: so have all earlier results"


def test_images_are_scikit_learns_scans_enlarged() -> None:
    scans = scanned_digits()
    weights, unit = _interpolation(8, 28)
    np.testing.assert_array_equal(weights.sum(axis=1), unit)
    matrix = weights / unit
    expected = matrix @ scans.images @ matrix.T * 255 / 16
    order = np.concatenate([load_dataset("digits").train_images, load_dataset("digits").test_images])
    assert order.max() == 255
    test = np.zeros(len(scans.target), bool)
    for label in range(10):
        test[np.flatnonzero(scans.target == label)[4::5]] = True
    rearranged = np.concatenate([expected[~test], expected[test]])
    assert np.abs(order[:, 0] - rearranged).max() <= 0.5 + 1e-9


def test_no_test_image_is_among_the_training_images() -> None:
    data = load_dataset("digits")
    train = {image.tobytes() for image in data.train_images}
    assert not [index for index, image in enumerate(data.test_images) if image.tobytes() in train]
