"""What pip printed becomes one line that says why."""

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
