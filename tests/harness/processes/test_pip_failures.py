"""What pip printed becomes one line that says why."""

import sys

import pytest

from harness.processes.pip_failures import reason

SKIPPED = "Could not fetch URL https://host/simple/torch/: {} - skipping\n"


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("connection error: ... [Errno -2] Name or service not known'))", "https://host: Name or service not known"),
        (
            "connection error: ConnectTimeoutError(..., 'host timed out.')",
            "https://host: no answer in time",
        ),
        ("503 Server Error: Service Unavailable for url: https://host/simple/torch/", "https://host: 503 Server Error"),
    ],
)
def test_an_index_that_cannot_be_reached(why: str, said: str) -> None:
    found = reason("ERROR: No matching distribution found for torch==1.0\n", 2 * SKIPPED.format(why))
    assert found.startswith(f"the package index could not be reached ({said}")
    assert found.count("https://host:") == 1


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("ERROR: No matching distribution found for torch==1.0\n", "the package index has no torch==1.0"),
        ("ERROR: Cannot install torch==1.0 because these package versions …\n", "the package index has no torch"),
        ("urllib3.exceptions.ReadTimeoutError: Read timed out.\n", "the connection to the package index"),
        ("ERROR: Could not install …: [Errno 28] No space left on device\n", "[Errno 28] No space left on device"),
        ("ERROR: … [Errno 13] Permission denied: '/x'\nConsider …\n", "[Errno 13] Permission denied: '/x'"),
        ("… because ensurepip is not\navailable.\n\nFailing command: x\n", "this Python has no ensurepip"),
        ("something new\n\n", "something new"),
        ("", "no output"),
    ],
)  # fmt: skip
def test_other_failures(printed: str, said: str) -> None:
    """A page that an index does not have (404) is no index that cannot be reached."""
    assert reason(printed, SKIPPED.format("404 Client Error: Not Found for url: …")).startswith(said)


THERE = "ERROR: Could not find a version that satisfies the requirement {} (from versions: {})\n"
MISSING = "ERROR: No matching distribution found for {}\n"
SOME = "1.9.0, 1.10.0rc1, 1.10.0, 1.12.3, 1.12.4.dev1"


@pytest.mark.parametrize(
    ("wanted", "close"),
    [
        ("1.10.7", "; the nearest: 1.10.0 and 1.12.3"),
        ("1.13.0", "; the nearest: 1.12.3"),
        ("1.1.0", "; the nearest: 1.9.0"),
    ],
)
def test_a_version_that_there_is_not_names_the_nearest(wanted: str, close: str) -> None:
    said = THERE.format("frame==" + wanted, SOME) + MISSING.format("frame==" + wanted)
    assert reason(said, "") == f"the package index has no frame {wanted}{close}"
    assert reason(said.replace(SOME, "none"), "").startswith(f"the package index has no frame=={wanted} that fits")


def test_a_version_for_another_python_says_so() -> None:
    said = (
        "ERROR: Ignored the following versions that require a different python version: "
        "1.12.9 Requires-Python >=3.99,<4; 1.13.0 Requires-Python >=3.98\n"
        + THERE.format("frame==1.13.0", SOME)
        + MISSING.format("frame==1.13.0")
    )
    mine = ".".join(map(str, sys.version_info[:2]))
    expected = f"frame 1.13.0 needs Python >=3.98, and this is {mine}; the nearest: 1.12.3"
    assert reason(said, "") == expected
    assert reason(said.replace("1.13.0 Req", "1.14.0 Req"), "").startswith("the package index has no frame 1.13.0")


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (("cp38-cp38-manylinux1_x86_64", "cp310-cp310-manylinux1_x86_64"), "for cp38, cp310 alone, and this is Py"),
        (("py3-none-win_amd64", "cp38-cp38-manylinux1_x86_64"), "for other machines alone"),
    ],
)  # fmt: skip
def test_a_version_whose_wheels_are_for_others_says_for_whom(tags: tuple[str, ...], said: str) -> None:
    log = "".join(
        f"  Skipping link: none of the wheel's tags ({tag}) are compatible (run pip debug --verbose …): "
        f"https://host/packages/2f/my_frame-{version}-{tag}.whl (from https://host/simple/my-frame/)\n"
        for tag in tags
        for version in ("1.13.0", "1.0.0")
    )
    printed = THERE.format("my-frame==1.13.0", SOME) + MISSING.format("my-frame==1.13.0")
    assert f"the package index has my-frame 1.13.0 {said}" in reason(printed, log)
    assert "has no my-frame 1.13.1" in reason(printed.replace("1.13.0", "1.13.1"), log)


def test_versions_that_exclude_each_other_are_named() -> None:
    said = (
        "ERROR: Cannot install frame==1.0 and other==5.0 because these package versions have …\n"
        "\nThe conflict is caused by:\n    The user requested frame==1.0\n    other 5.0 depends on frame>=2\n\n"
        "To fix this you could try to:\n1. loosen the range\n"
    )
    expected = "these versions exclude each other: frame==1.0; other 5.0 depends on frame>=2"
    assert reason(said, "") == expected


CONFLICT = (
    "ERROR: Cannot install frame==1.10.7 because these package versions have conflicting dependencies.\n\n"
    "The conflict is caused by:\n    The user requested frame==1.10.7\n    The user requested (constraint) {}\n"
)
LINKS = "".join(
    f"  Found link file:///x/frame-{one}-py3-none-any.whl (from x), version: {one}\n" for one in SOME.split(", ")
)


def test_a_version_that_there_is_not_is_no_conflict() -> None:
    """pip says of it that it is excluded where a constraint of the user's own names the package too."""
    said = "the package index has no frame 1.10.7; the nearest: 1.10.0 and 1.12.3"
    assert reason(CONFLICT.format("frame<=2.0"), LINKS) == said
    there = LINKS + LINKS.replace("1.10.0", "1.10.7")
    excluded = "these versions exclude each other: frame==1.10.7; {}"
    assert reason(CONFLICT.format("frame<=1.9"), there) == excluded.format("frame<=1.9")
    assert reason(CONFLICT.format("base<=1.9"), LINKS) == excluded.format("base<=1.9")
    assert reason(CONFLICT.format("frame<=2.0"), "") == excluded.format("frame<=2.0")


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: Could not build wheels for frame, which is required to install pyproject.toml-based projects\n",
        "ERROR: Failed to build 'frame' when getting requirements to build wheel\n",
    ],
)
def test_what_there_is_as_source_alone_is_said_to_be(said: str) -> None:
    assert reason(said, "").startswith("the package index has frame for Python ")
    assert reason(said, "").endswith("as source alone, and it could not be built here")
