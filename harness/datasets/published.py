"""Data sets that others publish, by name: found in a folder or downloaded, their files checked by published sums.

The sums are MD5. Fashion-MNIST's stand in its publisher's README, CIFAR's are as others quote its page; KMNIST's
and EMNIST's are those that torchvision checks. They tell a damaged or another file, not a forged one. Both hosts of
EMNIST are NIST's: no other one is known to hold the archive.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.datasets import cache, folder
from harness.datasets.assembling import assemble
from harness.datasets.dataset import Dataset, Part
from harness.datasets.idx import content_of
from specs.errors import FileError, RequestError
from specs.form import MNIST, Form

DATA_DIR_VARIABLE = "HARNESS_DATA_DIR"
_PIXELS = 3 * 32 * 32

Pair = tuple[Part, Part]
"""Images and labels."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """``files`` maps names to MD5, each of ``mirrors`` has them all; ``read`` gives train and test from a folder."""

    title: str
    source: str
    form: Form
    mirrors: tuple[str, ...]
    files: Mapping[str, str]
    read: Callable[[Path], tuple[Pair, Pair]]
    notes: tuple[str, ...] = ()


def load_published(name: str, data_dir: Path | None = None) -> Dataset:
    """From NAME/ in ``data_dir``; without one from HARNESS_DATA_DIR, the user's cache or a download into it.

    Raises RequestError where a named folder lacks it, where a file is another, and where no mirror answers.
    """
    published = PUBLISHED[name]
    place = _here(name, data_dir) or fetch_published(name)[0]
    for file in published.files:
        _check(published, file, place / file)
    try:
        train, test = published.read(place)
    except (OSError, EOFError, KeyError, ValueError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{place}: not {published.title}: {str(error)[:100]}") from None
    return assemble(
        name=name,
        title=published.title,
        source=published.source,
        train=train,
        test=test,
        classes=published.form.classes,
        channels_last=False,
        notes=published.notes,
    )


def fetch_published(name: str) -> tuple[Path, bool]:
    """The folder of the user's cache that holds a data set, and whether it had to be downloaded."""
    from harness.datasets.download import download

    published, target = PUBLISHED[name], cache.folder(name)
    if _complete(published, target):
        return target, False
    files = {file: file for file in published.files}
    download(target, files, lambda file, path: _check(published, file, path), mirrors=published.mirrors)
    return target, True


def _here(name: str, data_dir: Path | None) -> Path | None:
    published = PUBLISHED[name]
    if data_dir is not None:
        if not _complete(published, data_dir / name):
            raise RequestError(f"--data-dir {data_dir}: its {name}/ has no {' or no '.join(published.files)}")
        return data_dir / name
    places = [cache.folder(name)]
    if configured := os.environ.get(DATA_DIR_VARIABLE):
        places.insert(0, Path(configured) / name)
    return next((place for place in places if _complete(published, place)), None)


def _complete(published: Published, place: Path) -> bool:
    return all((place / file).is_file() for file in published.files)


def _check(published: Published, file: str, path: Path) -> None:
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != published.files[file]:
        raise FileError(
            path,
            f"not {published.title}'s {file}: its MD5 is {found[:12]}..., "
            f"the published one {published.files[file][:12]}...",
        )


def _idx(place: Path) -> tuple[Pair, Pair]:
    parts = folder.read_parts(place)
    return (parts["train_images"], parts["train_labels"]), (parts["test_images"], parts["test_labels"])


def _emnist_letters(place: Path) -> tuple[Pair, Pair]:
    """Four of the archive's members. Images lie on their side, mirrored: axes 1 and 2 change places."""
    pairs = []
    with zipfile.ZipFile(place / folder.EMNIST_ARCHIVE) as archive:
        for part in ("train", "test"):
            names = [f"gzip/emnist-letters-{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
            images, labels = (content_of(gzip.decompress(archive.read(name)), name) for name in names)
            upright = np.ascontiguousarray(images.transpose(0, 2, 1))
            pairs.append((Part(names[0], upright), Part(names[1], labels - np.uint8(1))))
    return pairs[0], pairs[1]


def _cifar(archive: str, train: tuple[str, ...], test: str, labels: int) -> Callable[[Path], tuple[Pair, Pair]]:
    """Of records: ``labels`` bytes, of which the last counts, then 1,024 bytes each of red, green and blue."""

    def read(place: Path) -> tuple[Pair, Pair]:
        with tarfile.open(place / archive) as members:
            pairs = [_records(members, names, labels) for names in (train, (test,))]
        return pairs[0], pairs[1]

    return read


def _records(archive: tarfile.TarFile, names: tuple[str, ...], labels: int) -> Pair:
    contents = []
    for name in names:
        file = archive.extractfile(name)
        if file is None:
            raise ValueError(f"{name} is no file")
        contents.append(np.frombuffer(file.read(), np.uint8).reshape(-1, labels + _PIXELS))
    records = np.concatenate(contents)
    images = np.ascontiguousarray(records[:, labels:]).reshape(-1, 3, 32, 32)
    return Part(names[0], images), Part(names[0], np.ascontiguousarray(records[:, labels - 1]))


_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_MINDSPORE = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/"

PUBLISHED: dict[str, Published] = {
    "fashion_mnist": Published(
        title="Fashion-MNIST",
        source="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST (MIT licence)",
        form=MNIST,
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://dataset.bj.bcebos.com/fashion_mnist/",
        ),
        files={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        read=_idx,
    ),
    "kmnist": Published(
        title="Kuzushiji-MNIST",
        source="Clanuwat et al. 2018, Deep Learning for Classical Japanese Literature (CC BY-SA 4.0)",
        form=MNIST,
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://storage.googleapis.com/kuzushiji-mnist/",
        ),
        files={
            "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
        },
        read=_idx,
    ),
    "emnist": Published(
        title="EMNIST letters",
        source="Cohen, Afshar, Tapson & van Schaik 2017, EMNIST: an extension of MNIST to handwritten letters",
        form=Form((1, 28, 28), 26),
        mirrors=("https://biometrics.nist.gov/cs_links/EMNIST/", "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/"),
        files={folder.EMNIST_ARCHIVE: "58c8d27c78d21e728a6bc7b3cc06412e"},
        read=_emnist_letters,
        notes=("its labels 1 to 26 are classes 0 to 25, its images are turned upright",),
    ),
    "cifar10": Published(
        title="CIFAR-10",
        source="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        form=Form((3, 32, 32), 10),
        mirrors=(_TORONTO, _MINDSPORE),
        files={"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
        read=_cifar(
            "cifar-10-binary.tar.gz",
            tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
            "cifar-10-batches-bin/test_batch.bin",
            labels=1,
        ),
    ),
    "cifar100": Published(
        title="CIFAR-100",
        source="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        form=Form((3, 32, 32), 100),
        mirrors=(_TORONTO, _MINDSPORE),
        files={"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"},
        read=_cifar("cifar-100-binary.tar.gz", ("cifar-100-binary/train.bin",), "cifar-100-binary/test.bin", labels=2),
    ),
}
