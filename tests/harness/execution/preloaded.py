"""What Dask's workers load first in tests: their machine has the fake backends."""

from harness.execution import process

process.COMMAND = ("-m", "tests.harness.execution.machine_with_fakes")
