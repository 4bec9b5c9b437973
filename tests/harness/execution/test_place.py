"""Where a cluster is: addresses, files, and what is refused before anything is connected."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from harness.execution.cluster.place import check_installed, check_secure, read_place
from specs.errors import RequestError


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:8786", "tls://host:1", "tcp://[::1]:8786"])
def test_an_address_is_a_place(text: str) -> None:
    assert read_place(text).scheduler == text


@pytest.mark.parametrize(
    "text", ["", "host:8786", "tcp://host", "http://host:1", "tcp://host:99999", "local:", "local:x"]
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RequestError, match="is no cluster: tcp://HOST:PORT, tls://HOST:PORT, local:N or a YAML file"):
        read_place(text)


def test_a_try_here_has_a_bound() -> None:
    assert read_place("local:2").local_workers == 2
    for text in ("local:0", "local:17"):
        with pytest.raises(RequestError, match="from 1 to 16 workers"):
            read_place(text)


def test_a_file_names_what_lies_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    for name in ("ca.pem", "key.pem"):
        (tmp_path / name).touch()
    file.write_text("name: lab\nscheduler: tls://10.0.0.1:8786\nca: ca.pem\ncertificate: c.pem\nkey: key.pem\n")
    with pytest.raises(RequestError, match=r"cluster.yaml: certificate: .*c.pem: no such file"):
        read_place(str(file))
    (tmp_path / "c.pem").touch()
    place = read_place(str(file))
    assert (place.ca, place.certificate, place.key) == tuple(str(tmp_path / f"{n}.pem") for n in ("ca", "c", "key"))
    file.write_text("name: lab\nscheduler: tls://10.0.0.1:8786\nca: ca.pem\n")
    with pytest.raises(RequestError, match="certificate, key is missing"):
        read_place(str(file))
    file.write_text("name: lab\nscheduler: tcp://127.0.0.1:8786\nca: ca.pem\ncertificate: c.pem\nkey: key.pem\n")
    with pytest.raises(RequestError, match=r"cluster.yaml: certificates are of TLS, and tcp://127.0.0.1:8786 does not"):
        read_place(str(file))
    file.write_text("name: lab\nsheduler: tls://10.0.0.1:8786\n")
    with pytest.raises(RequestError, match=r"cluster.yaml:2: unknown field of a cluster 'sheduler'.*'scheduler'"):
        read_place(str(file))


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tcp://example.org:8786", "tcp://0.0.0.0:8786"])
def test_what_others_can_reach_must_speak_tls(address: str) -> None:
    with pytest.raises(RequestError, match=r"must speak TLS .*--insecure"):
        check_secure(address, insecure=False)
    check_secure(address, insecure=True)
    check_secure(address.replace("tcp", "tls"), insecure=False)


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://127.8.0.1:1", "tcp://localhost:8786", "tcp://[::1]:1"]
)
def test_the_loopback_needs_none(address: str) -> None:
    check_secure(address, insecure=False)


def test_without_dask_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else find_spec(name))
    with pytest.raises(RequestError, match=r"needs Dask, which is not installed: type: .*pip install"):
        check_installed()
