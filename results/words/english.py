"""English."""

TEXTS = {
    "comma": ", ",
    "and": " and ",
    "and_more": "{names} and {count} more",
    "case": "{model} on {dataset}",
    "threads_count": "{count} threads",
    "untuned": "untuned",
    "version_unknown": "version unknown",
    "times_as_fast_as": "{ratio} times as fast as {backend} ({interval})",
    # statuses
    "status_ok": "ok",
    "status_failed": "failed",
    "status_crashed": "crashed",
    "status_timed_out": "timed out",
    "status_out_of_memory": "ran out of memory",
    "status_diverged": "diverged",
    "status_unsupported": "unsupported",
    "status_interrupted": "interrupted",
    # inputs and machine
    "input_architecture": "architecture",
    "input_data": "data",
    "input_schedule": "schedule",
    "input_initial_weights": "initial weights",
    "machine_cpu": "processors",
    "machine_cores": "numbers of cores",
    "machine_accelerator": "accelerators",
    "machine_os": "operating systems",
    # verdicts
    "verdict_faster": "faster",
    "verdict_slower": "slower",
    "verdict_no difference": "no difference",
    "verdict_not comparable": "not comparable",
    "verdict_baseline": "baseline",
    # reasons why two things are not comparable
    "reason_no_pair": "no round in which both ran well",
    "reason_fingerprints": "fingerprints differ: {parts}",
    "reason_single": "a single pair has no interval",
    "reason_one_sided": "no such run in one of the sets",
    "reason_no_baseline": "no run of the baseline",
    # findings
    "finding_no_runs": "There is no record of any run here yet.",
    "finding_fastest": "{case}: {backend} trains fastest with {rate}, {others}.",
    "finding_level_ahead": (
        "{case}: {leaders} train equally fast as far as {rounds} rounds can tell (about {rate}); {backend} is {others}."
    ),
    "finding_level": "{case}: no difference in training speed between {leaders} in {rounds} rounds (about {rate}).",
    "finding_fastest_unsure": (
        "{case}: {backend} had the highest training rate, {rate}, but there are too few comparable rounds for a "
        "verdict; use --repeats 5."
    ),
    "finding_tuning": "{case}: tuning makes {backend} {ratio} times as fast as it comes ({interval}).",
    "finding_far_slower": (
        "{case}: {backend} is {times} times slower than the fastest. That is rarely its true speed: "
        "python -m harness profile --backend {name} --model {model} shows which layer is to blame."
    ),
    "finding_accuracy_equivalent": (
        "{case}: {backends} reach the same test accuracy within {margin} point (medians {low} to {high})."
    ),
    "finding_accuracy_differs": (
        "{case}: {backend} does not reach the same test accuracy as {baseline}: "
        "it differs by {difference} ({interval}), and equal would be within {margin} point."
    ),
    "finding_accuracy_unsure": (
        "{case}: the runs are too few or too varied to call the test accuracy of {backend} equal to that of "
        "{baseline}: difference {difference} ({interval}), and equal would be within {margin} point."
    ),
    "finding_memory": "{case}: {least} needs the least memory, {least_mb} at its peak; {most} the most, {most_mb}.",
    "finding_failed": "{case}: {count} of {runs} runs of {backend} {status}: {message} {advice}",
    "finding_nonconforming": (
        "{backend} does not compute the same as the reference, so its speed is not ranked. "
        "Conformance checks failed: {count}, the first {first}."
    ),
    "finding_unchecked": (
        "Whether {backends} compute the same as the reference was not checked with these runs: "
        "python -m harness conform"
    ),
    "finding_noisy": (
        "Disturbed by other work on the machine: {count} of {runs} runs ({names}). --retry-noisy 2 repeats such runs."
    ),
    "finding_fingerprints": (
        "{case}: {backend} and {baseline} did not get the same inputs ({parts} differ), so those runs are not compared."
    ),
    "finding_no_fingerprints": (
        "Runs without fingerprints of their inputs, which are compared with nothing: {count} ({names})."
    ),
    "finding_first_step": (
        "{case}: the first step of {backend} takes {seconds}, as long as {steps} later ones (compilation); "
        "it counts in no throughput."
    ),
    "finding_threads_exceeded": "{case}: {backend} kept {busy} threads busy although {threads} were allowed.",
    "finding_threads_idle": "{case}: {backend} kept only {busy} of {threads} threads busy.",
    "finding_target_missed": "{case}: {reached} of {runs} runs of {backend} reached {target} test accuracy.",
    "finding_wide": (
        "The interval of the training rate is wider than {share} % of it for {names}: more --repeats would narrow it."
    ),
    "finding_machines": "The runs come from different {what}: {values}.",
    "finding_damaged": "A record could not be read and is left out: {line}",
    "finding_damaged_more": "Records that could not be read beside these: {count}.",
}
