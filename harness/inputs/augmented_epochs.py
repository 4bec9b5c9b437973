"""The augmented images of each epoch as files that workers map: made once, shared by every backend, kept for the next.

A set is a folder of the user's cache with one uint8 file per epoch, for one data set, augmentation and seed. Memory
holds a chunk of images for each thread. The cache is bounded: beyond MOST_BYTES the sets longest unused make room,
but for those that a run is using.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.inputs.augmentation import Pixels, augmented
from harness.measuring.machine import default_threads
from harness.worker.job import epoch_file
from results.files import TEMPORARY, StoreError, explained
from specs.augmentation import Augmentation
from specs.codec import to_plain

MOST_BYTES = 8 * 2**30
_VERSION = 1  # of the arithmetic in harness.inputs.augmentation
_ELSEWHERE = "it is a cache: XDG_CACHE_HOME names another place"


@dataclass(frozen=True)
class AugmentedEpochs:
    """``folder`` has epoch_file(folder, e) for every epoch e asked for; ``fingerprint`` is the SHA-256 over these."""

    folder: Path
    fingerprint: str


@contextmanager
def augmented_epochs(
    images: Pixels,
    augmentation: Augmentation,
    *,
    dataset_sha256: str,
    seed: int,
    epochs: range,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Iterator[AugmentedEpochs]:
    """The augmented ``epochs`` (counted from 0) of ``images`` uint8[N, C, H, W], there until the context is left.

    ``progress`` hears how many of those that are missing have been made. Raises StoreError where the disk has no room
    for them all.
    """
    settings = [_VERSION, dataset_sha256, list(images.shape), to_plain(augmentation), seed]
    folder = _cache() / hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:24]

    def make(epoch: int) -> None:
        _write(epoch_file(folder, epoch), images, augmented(images, augmentation, seed=seed, epoch=epoch))

    with contextlib.ExitStack() as stack:
        with explained("write augmented images to", folder, safe=_ELSEWHERE):
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_locked(folder, fcntl.LOCK_SH))
            folder.mkdir(exist_ok=True)
            os.utime(folder)  # used now: the order in which sets make room
            missing = [epoch for epoch in epochs if not epoch_file(folder, epoch).exists()]
            _make_room(folder, len(missing) * images.nbytes)
            with ThreadPoolExecutor(default_threads()) as pool:
                for done, _ in enumerate(pool.map(make, missing), start=1):
                    progress(done, len(missing))
            fingerprint = _sha256([epoch_file(folder, epoch) for epoch in epochs])
        yield AugmentedEpochs(folder, fingerprint)


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("framework-harness")) / "augmented"


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on a set: shared to use it, exclusive to remove it. Its file stays, so that all lock the same one."""
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, how)
        yield


def _make_room(folder: Path, needed: int) -> None:
    """Remove sets longest unused until ``needed`` bytes more are within MOST_BYTES; one in use stays, as does ours."""
    sets = sorted((path for path in folder.parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in sets}
    excess = sum(sizes.values()) + needed - MOST_BYTES
    for path in sets:
        if excess <= 0:
            break
        if path != folder:
            with contextlib.suppress(BlockingIOError), _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(path)
                excess -= sizes[path]
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"the augmented epochs take {needed / 2**20:,.0f} MiB in {folder}, where {free / 2**20:,.0f} MiB are free: "
            "ask for fewer epochs or samples, or name another place with XDG_CACHE_HOME"
        )


def _write(path: Path, images: Pixels, chunks: Iterator[Pixels]) -> None:
    """An .npy file of the shape of ``images``, whole or not at all; of two processes that write it one is heard."""
    partial = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    try:
        with partial.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": images.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for chunk in chunks:
                file.write(chunk.data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
