"""What Dask's workers load first in tests: their machine has the fake backends."""

from harness.execution import process
from harness.execution.cluster.tasks import dask_setup

__all__ = ["dask_setup"]
process.COMMAND = ("-m", "tests.harness.execution.machine_with_fakes")
