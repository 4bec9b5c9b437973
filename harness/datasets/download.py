"""Fetching files from the first mirror that serves them soundly."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from specs.errors import RequestError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://sagemaker-sample-files.s3.amazonaws.com/datasets/image/MNIST/",
)
_TIMEOUT_S = 20
_MOST_BYTES = 64 << 20


def download(target: Path, files: Mapping[str, str], check: Callable[[str, Path], None]) -> None:
    """Put ``files`` (part to file name) into ``target``, each only once ``check(part, path)`` has passed.

    Two processes may do so at once: the second finds the first one's files. Raises RequestError naming the last
    failure and the ways out.
    """
    from filelock import FileLock

    try:
        target.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            for part, name in files.items():
                if not (target / name).is_file():
                    _fetch(target, part, name, check)
    except OSError as error:
        raise RequestError(f"{target}: cannot keep the download: {error.strerror or error}") from None


def _fetch(target: Path, part: str, name: str, check: Callable[[str, Path], None]) -> None:
    failures = []
    for mirror in MIRRORS:
        host = urlsplit(mirror).netloc
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=target) as incoming:
            path = Path(incoming) / name
            try:
                _retrieve(f"{mirror}{name}", path)
                check(part, path)
            except _Failed as error:
                failures.append(f"{host}: {error}")
            except RequestError as error:
                failures.append(f"{host}: {str(error).removeprefix(f'{path}: ')}")
            else:
                path.replace(target / name)
                return
    raise RequestError(
        f"{name} could not be downloaded ({'; '.join(failures)}); put the four files into {target}, "
        f"or name a folder that has them by --data-dir or HARNESS_DATA_DIR"
    )


class _Failed(Exception):
    """One line on why a mirror did not serve a file."""


def _retrieve(url: str, path: Path) -> None:
    """Download with a progress bar on stderr. Raises _Failed."""
    import pooch
    import requests

    print(f"downloading {url}", file=sys.stderr)
    pooch.get_logger().setLevel("WARNING")  # it would ask the user to note the file's hash: check() knows better
    with _Progress(path.name) as progress:
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


class _Progress:
    """What pooch asks of a progress bar, drawn by rich."""

    def __init__(self, description: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        self._display = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._display.add_task(description, total=None)
        self._received = 0

    def __enter__(self) -> _Progress:
        self._display.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._display.stop()

    @property
    def total(self) -> int:
        """Bytes announced by the server, 0 where it does not say."""
        return int(self._display.tasks[0].total or 0)

    @total.setter
    def total(self, value: int) -> None:
        self._display.update(self._task, total=value or None)

    def update(self, count: int) -> None:
        """``count`` more bytes have come in. Raises _Failed when there are more than any such file has."""
        self._received += count
        if self._received > _MOST_BYTES:
            raise _Failed(f"sends more than {_MOST_BYTES >> 20} MiB")
        self._display.update(self._task, advance=count)

    def reset(self) -> None:
        """Start again at 0: pooch does so at the end, to draw the bar full."""
        self._received = 0
        self._display.update(self._task, completed=0)

    def close(self) -> None:
        """Nothing: the display ends with its context."""
