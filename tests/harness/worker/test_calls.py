"""Both ends of the pipe read one table of calls."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.contract import Session
from harness.processes.remote import RemoteSession
from harness.worker.calls import CALLS, invoke, pack, unpack


def test_every_method_of_a_session_is_there_under_its_own_arguments() -> None:
    local = {"close", "tuning"}  # asked for when opening and closing
    methods = {name for name, _ in inspect.getmembers(Session, inspect.isfunction) if not name.startswith("_")}
    assert methods - local == CALLS
    for name in CALLS:
        ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (RemoteSession, Session))
        assert list(ours) == list(theirs)


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
