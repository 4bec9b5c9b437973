"""Image classification data by name or path: uint8 images, integer labels, one fingerprint.

``load_dataset`` is the one way in. A name is never quietly replaced by another data set.
"""

from harness.datasets.catalogue import NAMES, load_dataset
from harness.datasets.dataset import Dataset

__all__ = ["NAMES", "Dataset", "load_dataset"]
