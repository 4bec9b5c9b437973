"""``peak``: the machine's own ceiling."""

from harness.planning import options


def peak(threads: options.Threads = None, json: options.Json = False) -> None:
    """Measure matrix-multiply rate and memory bandwidth; reports show each run's share of the former.

    Example: `python -m harness peak --threads 2`
    """
    import json as json_module
    from dataclasses import asdict

    from harness.measuring.peak import measure
    from harness.planning.resolve import resolve_threads

    found = measure(resolve_threads(threads))
    if json:
        print(json_module.dumps(asdict(found)))
    else:
        print(f"float32 matrix product  {found.matmul_gflops:,.0f} GFLOP/s with {found.threads} threads (NumPy's BLAS)")
        print(f"memory copy             {found.copy_gb_per_s:,.1f} GB/s, read and written")
