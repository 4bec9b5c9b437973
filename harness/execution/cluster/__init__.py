"""The engine of many machines, a Dask cluster; the only part that needs Dask, in the driver and on the machines.

No process that trains has Dask in it: on a machine Dask hands orders to a process of the harness
(``harness.execution.machine``), which starts the workers as it does everywhere.
"""
