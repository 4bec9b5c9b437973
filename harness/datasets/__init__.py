"""Image classification data by name or path: uint8 images, integer labels, one fingerprint.

``load_dataset`` is the one way in; ``find_mnist`` serves what can do without MNIST where it is not. A name is never
quietly replaced by another data set.
"""

from harness.datasets.catalogue import NAMES, form_of, load_dataset
from harness.datasets.dataset import Dataset
from harness.datasets.mnist import find_mnist

__all__ = ["NAMES", "Dataset", "find_mnist", "form_of", "load_dataset"]
