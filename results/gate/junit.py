"""A gate as JUnit XML: a suite for each case, a test case for each figure.

What regressed is a failure and what is undecided an error, so that neither looks as if it had passed; what is not
judged is skipped.
"""

from __future__ import annotations

from xml.etree import ElementTree

from results.gate.checks import GateCheck, Status, longer
from results.gate.outcome import CaseOutcome, Gate

_ELEMENT = {Status.REGRESSED: "failure", Status.UNDECIDED: "error", Status.NOT_JUDGED: "skipped"}


def junit(gate: Gate) -> str:
    """The document."""
    root = ElementTree.Element("testsuites", {"name": _plain(gate.headline)})
    for case in gate.cases:
        root.append(_suite(gate, case))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(gate: Gate, case: CaseOutcome) -> ElementTree.Element:
    counts = {name: sum(_ELEMENT.get(check.status) == name for check in case.checks) for name in _ELEMENT.values()}
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": _plain(f"{case.model} on {case.dataset}"),
            "tests": str(len(case.checks)),
            "failures": str(counts["failure"]),
            "errors": str(counts["error"]),
            "skipped": str(counts["skipped"]),
        },
    )
    for check in case.checks:
        test = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": _plain(f"gate.{case.model}.{case.dataset}"), "name": check.figure},
        )
        if check.status in _ELEMENT:
            layers = case.layers.said if case.layers and check.figure == "training time" else ""
            said = ElementTree.SubElement(test, _ELEMENT[check.status], {"message": _plain(_message(check))})
            said.text = _plain("; ".join(filter(None, [f"{gate.candidate} in place of {gate.base}", layers])))
    return suite


def _message(check: GateCheck) -> str:
    size = "" if check.value is None else f"{check.value:+.2f} {check.unit}"
    bounds = "" if check.low is None or check.high is None else f"95 % interval {check.low:+.2f} to {check.high:+.2f}"
    limit = "" if check.limit is None else f"limit {check.limit:g}"
    return ", ".join(filter(None, [str(check.status), size, bounds, limit, check.reason, longer(check)]))


def _plain(text: str) -> str:
    """What XML 1.0 can hold: it has no control characters, not even escaped."""
    return "".join(c if c.isprintable() else " " for c in text)
