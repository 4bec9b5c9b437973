"""Where a cluster is and how to speak with it: what stands behind --cluster and --scheduler."""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from specs.errors import RequestError
from specs.loading import load_dataclass

MOST_LOCAL = 16
FORMS = "tcp://HOST:PORT, tls://HOST:PORT, local:N or a YAML file"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A scheduler's address and, for one that speaks TLS, the files in PEM form: authority, certificate and its key."""

    scheduler: str
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    @property
    def local_workers(self) -> int | None:
        """How many workers are to be started here for a try; None for a cluster that is there."""
        found = re.fullmatch(r"local:(\d+)", self.scheduler)
        return int(found[1]) if found else None

    @property
    def encrypted(self) -> bool:
        """Whether both ends show certificates."""
        return self.scheduler.startswith("tls://")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a YAML file says of a cluster; paths are looked for beside it, then from the current folder."""

    name: str
    scheduler: str
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


def read_place(text: str) -> Place:
    """What was given on the command line. Raises RequestError for anything that is no address and no such file."""
    place = _from_file(Path(text)) if text.endswith((".yaml", ".yml")) else Place(scheduler=text)
    workers = place.local_workers
    if workers is not None and not 1 <= workers <= MOST_LOCAL:
        raise RequestError(f"{text}: from 1 to {MOST_LOCAL} workers can be tried on one machine")
    if workers is None:
        _host(place.scheduler)
    if not place.encrypted and place.ca is not None:
        raise RequestError(f"{text}: certificates are of TLS, and {place.scheduler} does not speak it: tls://HOST:PORT")
    files = {"ca": place.ca, "certificate": place.certificate, "key": place.key}
    if place.encrypted and None in files.values() and set(files.values()) != {None}:
        missing = ", ".join(name for name, value in files.items() if value is None)
        raise RequestError(f"{text}: {missing} is missing: TLS takes ca, certificate and key")
    return place


def check_secure(address: str, *, insecure: bool) -> None:
    """Raise RequestError for an address that others can reach and that does not speak TLS, unless the user insists.

    Whoever reaches a scheduler without TLS can have its machines execute anything.
    """
    if address.startswith("tls://") or insecure or on_loopback(address):
        return
    raise RequestError(
        f"{address}: a scheduler that other computers can reach must speak TLS (docs/cluster.md shows how); "
        "--insecure takes it as it is, for a network where nobody else is"
    )


def on_loopback(address: str) -> bool:
    """Whether only this computer can reach it."""
    host = _host(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_installed() -> None:
    """Raise RequestError where Dask is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise RequestError(
            "--cluster needs Dask, which is not installed: type: python -m pip install 'framework-harness[cluster]' "
            "(in a checkout: python -m pip install --editable '.[cluster]')"
        )


def _from_file(file: Path) -> Place:
    place = load_dataclass(file, Cluster)
    named = {name: getattr(place, name) for name in ("ca", "certificate", "key")}
    found = {name: None if value is None else _beside(file, value) for name, value in named.items()}
    for name, value in found.items():
        if value is not None and not Path(value).is_file():
            raise RequestError(f"{file}: {name}: {value}: no such file")
    return Place(scheduler=place.scheduler, **found)


def _beside(file: Path, named: str) -> str:
    """Beside the file if it lies there, else from the current folder."""
    near = file.parent / Path(named).expanduser()
    return str(near if near.is_file() else Path(named).expanduser())


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        if parts.scheme in ("tcp", "tls") and parts.hostname and parts.port:
            return parts.hostname
    except ValueError:
        pass
    raise RequestError(f"{address!r} is no cluster: {FORMS}")
