"""Fetching files from the first mirror that serves them soundly."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
from filelock import FileLock
from tqdm import tqdm

from specs.errors import FileError, RequestError

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://sagemaker-sample-files.s3.amazonaws.com/datasets/image/MNIST/",
)
_TIMEOUT_S = 20
_MOST_BYTES = 640 << 20  # EMNIST is the largest, with 536 MB


def download(
    target: Path, files: Mapping[str, str], check: Callable[[str, Path], None], *, mirrors: Sequence[str]
) -> None:
    """Put ``files`` (part to file name) into ``target``, each only once ``check(part, path)`` has raised no FileError.

    ``mirrors`` are addresses to which a file's name is added, asked in this order.

    Two processes may do so at once: the second finds the first one's files. Raises RequestError naming the last
    failure and the ways out.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            for part, name in files.items():
                if not (target / name).is_file():
                    _fetch(target, part, name, check, mirrors)
    except OSError as error:
        raise RequestError(f"{target}: cannot keep the download: {error.strerror or error}") from None


def _fetch(target: Path, part: str, name: str, check: Callable[[str, Path], None], mirrors: Sequence[str]) -> None:
    failures = []
    for mirror in mirrors:
        host = urlsplit(mirror).netloc
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=target) as incoming:
            path = Path(incoming) / name
            try:
                _retrieve(f"{mirror}{name}", path)
                check(part, path)
            except _Failed as error:
                failures.append(f"{host}: {error}")
            except FileError as error:
                failures.append(f"{host}: {error.reason}")
            else:
                path.replace(target / name)
                return
    raise RequestError(
        f"{name} could not be downloaded ({'; '.join(failures)}); put it into {target}, "
        f"or name a folder that has {target.name}/ by --data-dir or HARNESS_DATA_DIR"
    )


class _Failed(Exception):
    """One line on why a mirror did not serve a file."""


def _retrieve(url: str, path: Path) -> None:
    """Download with a progress bar on stderr. Raises _Failed."""
    print(f"downloading {url}", file=sys.stderr)
    pooch.get_logger().setLevel("WARNING")  # it would ask the user to note the file's hash: check() knows better
    with _Bounded(desc=path.name, unit="B", unit_scale=True, disable=None) as progress:
        downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 16, timeout=_TIMEOUT_S)
        try:
            pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=downloader)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "unknown"
            raise _Failed(f"HTTP status {status}") from None
        except requests.Timeout:
            raise _Failed(f"no answer in {_TIMEOUT_S} s") from None
        except requests.RequestException as error:
            raise _Failed("no connection") from error


class _Bounded(tqdm):  # type: ignore[type-arg]  # generic for type checkers alone
    """A progress bar, drawn on terminals alone, that ends a download of more bytes than any such file has."""

    received = 0.0

    def __bool__(self) -> bool:  # pooch asks whether there is a bar, tqdm whether there is anything to come
        return True

    def update(self, n: float | None = 1) -> bool | None:
        """``n`` more bytes have come in. Raises _Failed."""
        self.received += n or 0
        if self.received > _MOST_BYTES:
            raise _Failed(f"sends more than {_MOST_BYTES >> 20} MiB")
        return super().update(n)

    def reset(self, total: float | None = None) -> None:
        """Start again at 0: pooch does so at the end, to draw the bar full."""
        self.received = 0
        super().reset(total)
