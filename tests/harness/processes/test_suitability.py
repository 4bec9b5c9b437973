"""What an adapter misses in another version of its framework is said, and is no failure; all else is one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.registry import find
from harness.processes.suitability import check_version, unsuited
from harness.worker.reports import Failure
from specs.errors import RequestError

KERAS = find("keras@3.5.0")
TRACEBACK = """Traceback (most recent call last):
  File "/code/harness/worker/serving.py", line 63, in serve
    fields, arrays = self._verb(request.kind)(request)
  File "{}", line 7, in open
    keras.ops.new_name
{}
"""
OURS, THEIRS = "/code/backends/keras/session.py", "/envs/keras/lib/python3.11/site-packages/keras/src/ops.py"


def failure(kind: str, message: str, place: str = OURS) -> Failure:
    return Failure(
        status="failed", type=kind, message=message, traceback=TRACEBACK.format(place, f"{kind}: {message}"), step=None
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("AttributeError", "module 'keras.ops' has no attribute 'new_name'"),
        ("ImportError", "cannot import name 'new_name' from 'keras.ops'"),
        ("ModuleNotFoundError", "No module named 'keras.new'"),
        ("TypeError", "Layer.__init__() got an unexpected keyword argument 'new'"),
    ],
)
def test_a_name_that_the_adapter_misses(kind: str, message: str) -> None:
    assert unsuited(KERAS, failure(kind, message)) == f"the adapter does not suit Keras 3.5.0: {message}"
    assert unsuited(find("keras"), failure(kind, message)) is None, "with the pinned version it is a mistake"
    assert unsuited(KERAS, failure(kind, message, THEIRS)) is None, "within the framework it is the framework's"


def test_another_failure_is_none_of_the_version() -> None:
    assert unsuited(KERAS, failure("TypeError", "unsupported operand type(s)")) is None
    assert unsuited(KERAS, failure("RuntimeError", "no kernel")) is None
    assert unsuited(KERAS, replace(failure("AttributeError", "x"), traceback="")) is None


def test_the_interpreter_must_have_the_version_that_was_named() -> None:
    check_version(find("torch@2.13.0"), "2.13.0+cpu")
    check_version(find("keras"), "9.9.9")
    with pytest.raises(RequestError, match=r"keras@3\.5\.0 was asked for, and the interpreter has Keras 3\.15\.1"):
        check_version(KERAS, "3.15.1")
