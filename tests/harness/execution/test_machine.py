"""What a machine says of itself when it is asked to take part."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from backends.registry import BACKENDS, Registration
from harness.execution import machine as machine_module
from harness.execution.identity import code_sha256
from harness.execution.machine import OrderHandler
from harness.execution.orders import Answer, Failed, Order, Survey, Surveyed, order_bytes, read_answer
from harness.measuring.machine import available_cpus
from harness.worker.protocol import Channel, ChannelClosed
from specs.errors import RequestError
from tests.fakes import FAKE

ABSENT = replace(FAKE, name="absent", framework="a_framework_that_nobody_has")
SURVEY = Survey(subjects=("absent",), threads=1, code=code_sha256(), numpy=np.__version__)


class Environments:
    """In place of environments: counts those that were made."""

    def __init__(self, problem: str | None = None) -> None:
        self.made: list[str] = []
        self._problem = problem

    def __call__(self, registration: Registration) -> Environments:
        self._subject = registration.subject
        return self

    def ensure(self, progress: Callable[[str], None]) -> bool:
        progress("installing")
        if self._problem is not None:
            raise RequestError(self._problem)
        self.made.append(self._subject)
        return True


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    monkeypatch.setitem(BACKENDS, "absent", ABSENT)
    monkeypatch.setattr(machine_module, "_version", lambda subject: "1.0")
    return []


def surveyed(survey: Survey, said: list[tuple[str, str]]) -> Surveyed:
    answer = OrderHandler(lambda doing, note: said.append((doing, note))).carry_out(survey, None)
    assert isinstance(answer, Surveyed)
    return answer


def test_an_environment_that_is_missing_is_made_there(
    said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = Environments()
    monkeypatch.setattr(machine_module, "Environment", environments)
    answer = surveyed(SURVEY, said)
    assert answer.problem is None
    assert (environments.made, answer.versions) == (["absent"], {"absent": "1.0"})
    assert said == [("setup absent", ""), ("setup absent", "installing")]


def test_one_that_cannot_be_made_is_told(said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "Environment", Environments("no room on the disk"))
    assert surveyed(SURVEY, said).problem == "no room on the disk"


def test_who_would_compute_something_else_takes_no_part(said: list[tuple[str, str]]) -> None:
    assert "harness is not the driver's" in str(surveyed(replace(SURVEY, code="another"), said).problem)
    assert "NumPy is" in str(surveyed(replace(SURVEY, numpy="1.0.0"), said).problem)
    most = available_cpus()
    problem = surveyed(replace(SURVEY, threads=most + 1), said).problem
    assert problem == f"it has {most} CPUs: choose --threads {most} or less"


def test_what_the_operating_system_refuses_is_told_and_the_machine_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: OrderHandler, order: Order, blob: bytes | None) -> Answer:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(OrderHandler, "carry_out", full)
    (order_read, order_write), (answer_read, answer_write) = os.pipe(), os.pipe()
    thread = threading.Thread(target=lambda: served(Channel(order_read, answer_write)))
    thread.start()
    driver = Channel(answer_read, order_write)
    for _ in range(2):
        driver.send("order", arrays={"order": np.frombuffer(order_bytes(SURVEY), np.uint8)})
        answer = read_answer(driver.receive().arrays["answer"].tobytes())
        assert answer == Failed(reason="[Errno 28] No space left on device")
    driver.close()
    thread.join(10)
    assert not thread.is_alive()


def served(channel: Channel) -> None:
    with contextlib.closing(channel), contextlib.suppress(ChannelClosed):
        machine_module.serve(channel)
