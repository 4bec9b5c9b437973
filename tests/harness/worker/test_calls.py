"""Both ends of the pipe read one table of calls."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.contract import Session
from harness.processes.remote import RemoteSession
from harness.worker.calls import CALLS, VERBS, invoke, pack, unpack
from harness.worker.protocol import Channel
from harness.worker.serving import Worker


def test_every_method_of_a_session_is_there_under_its_own_arguments() -> None:
    local = {"close", "tuning"}  # asked for when opening and closing
    methods = {name for name, _ in inspect.getmembers(Session, inspect.isfunction) if not name.startswith("_")}
    assert methods - local == CALLS
    for name in CALLS:
        ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (RemoteSession, Session))
        assert list(ours) == list(theirs)


def test_a_worker_has_a_method_for_every_verb_and_no_other() -> None:
    methods = inspect.getmembers(Worker, inspect.isfunction)
    answering = {name for name, method in methods if list(inspect.signature(method).parameters) == ["self", "request"]}
    assert answering == set(VERBS)


def test_a_worker_refuses_what_is_no_verb_and_serves_on() -> None:
    (asked, asking), (answered, answering) = os.pipe(), os.pipe()
    here, there = Channel(answered, asking), Channel(asked, answering)
    here.send("serve")
    here.send("load", {"adapter": "x:Y", "threads": "two", "cpus": []})
    here.send("exit")
    Worker(there).serve()
    assert here.receive().kind == "hello"
    assert "cannot be asked to 'serve'" in here.receive().fields["message"]
    assert "Load.threads: str 'two' does not fit" in here.receive().fields["message"]
    for channel in (here, there):
        channel.close()


def test_values_come_back() -> None:
    values: dict[str, Any] = {
        "images": np.ones((2, 3), np.float32),
        "state": {"step": np.array(3), "a.b": np.zeros(2)},
        "empty": {},
        "directory": Path("/tmp/x"),
        "steps": 3,
        "masks": None,
        "names": ["a"],
    }
    found = unpack(*pack(values))
    assert found.keys() == values.keys()
    for name in ("directory", "steps", "masks", "names", "empty"):
        assert found[name] == values[name]
    assert np.array_equal(found["images"], values["images"])
    assert found["state"].keys() == {"step", "a.b"}
    with pytest.raises(KeyError):
        unpack({"state": {"arrays": ["gone"]}}, {})


def test_nothing_else_can_be_called() -> None:
    with pytest.raises(ValueError, match="no method of a session is called '__init__'"):
        invoke(object(), "__init__", {}, {})
