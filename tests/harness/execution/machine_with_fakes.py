"""A machine's process that knows the fake backends; how they behave stands in the variables it was started with."""

from backends.registry import BACKENDS
from harness.execution.machine import main
from tests.fakes import FAKE, RIVAL

if __name__ == "__main__":
    BACKENDS.update({FAKE.name: FAKE, RIVAL.name: RIVAL})
    main()
