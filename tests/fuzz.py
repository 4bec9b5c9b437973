"""How much and how strictly malformed inputs are tried; HARNESS_FUZZ_EXAMPLES asks for more than the default."""

import os
import resource
import time
from collections.abc import Callable

from hypothesis import HealthCheck, settings

from specs.errors import RequestError

MOST_SECONDS = 2.0
MOST_MEMORY_MB = 500

fuzz = settings(
    max_examples=int(os.environ.get("HARNESS_FUZZ_EXAMPLES", "300")),
    deadline=None,  # process time is bounded instead: a busy machine is no hang
    suppress_health_check=list(HealthCheck),
)


def accepts_or_refuses(call: Callable[[], object]) -> bool:
    """Whether ``call`` accepted; it must end soon, within memory, and refuse with one line or not at all."""
    started, memory_mb = time.process_time(), _peak_memory_mb()
    try:
        call()
        accepted = True
    except RequestError as error:
        message = str(error)
        assert message and "\n" not in message, f"not one line: {message!r}"
        assert len(message) < 2000, f"a message of {len(message)} characters"
        accepted = False
    assert time.process_time() - started < MOST_SECONDS
    assert _peak_memory_mb() - memory_mb < MOST_MEMORY_MB
    return accepted


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
