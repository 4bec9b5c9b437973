"""English."""

from specs.program import PROGRAM

TEXTS = {
    "comma": ", ",
    "and": " and ",
    "and_more": "{names} and {count} more",
    "case": "{model} on {dataset}",
    "threads_count": "{count} threads",
    "of_case": "{backend} for {case}",
    "tuning_default": "default",
    "tuning_recommended": "recommended",
    "tuning_expert": "expert",
    "version_unknown": "version unknown",
    "machine_name": "machine {name}",
    "cores_count": "{count} cores",
    "one_core": "1 core",
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
    "machine_os": "operating systems",
    # verdicts
    "verdict_faster": "faster",
    "verdict_slower": "slower",
    "verdict_no difference": "no difference",
    "verdict_cannot be told": "cannot be told",
    "verdict_not comparable": "not comparable",
    "verdict_baseline": "baseline",
    # reasons why two things are not comparable
    "reason_no_pair": "no round in which both ran well",
    "reason_fingerprints": "fingerprints differ: {parts}",
    "reason_few_rounds": "too few rounds",
    "reason_single": "a single round has no interval",
    "reason_one_sided": "no such run in one of the sets",
    "reason_no_baseline": "no run of the baseline",
    "reason_wide": "the interval holds 1 and is wide",
    "reason_disturbed": "too disturbed to tell",
    "reason_disproved": "does not compute the same",
    # races
    "race_fastest": "By turns, {backend} is fastest: {others}.",
    "race_level": "By turns, {leaders} cannot be told apart: {ratios}.",
    "race_level_ahead": "By turns, {leaders} cannot be told apart ({ratios}); {backend} is {others}.",
    "race_ratio": "{backend} at {ratio} of {other} ({interval})",
    "race_few": "Too few quiet rounds for a verdict: {backends}.",
    "race_none": "The race gives no verdict.",
    "race_too_few": (
        "It takes {openings} openings with a round that counts, or {rounds} such rounds: a larger --budget has more."
    ),
    "race_precision": (
        "It took {rounds} rounds (openings: {openings}) and {time} until every interval was within {target} % of its "
        "ratio."
    ),
    "race_took": "It took {rounds} rounds (openings: {openings}) and {time}.",
    "race_budget": (
        "The budget of {time} ended it after {rounds} rounds (openings: {openings}): not every interval is within "
        "{target} %."
    ),
    "race_interrupted": "It was interrupted after {rounds} rounds (openings: {openings}).",
    "race_failed": "It ended after {rounds} rounds (openings: {openings}), because too few could go on.",
    "race_few_openings": (
        "Each opening of the processes has a speed of its own; of fewer than {least} the intervals are made {share} % "
        "wider to either side."
    ),
    "race_no_quiet": (
        "{backend}: of {turns} turns none was quiet: others took {taken} % of the machine's CPU time, "
        "more than {share} %."
    ),
    "race_disturbed": "{disturbed} of {turns} turns were disturbed by others and do not count.",
    "race_busiest": "The busiest others meanwhile: {names}.",
    "race_out": "{backend} went out: {why}",
    # findings
    "finding_raced": "{case}: {said}",
    "finding_unraced": "{case}: no race: it takes two that trained well and compute the same; there was {left}.",
    "nobody": "none",
    "finding_no_runs": "There is no record of any run here yet.",
    "change_faster": "{backend} for {case} {ratio} times ({interval})",
    "change_slower": "{backend} for {case} {ratio} times ({interval})",
    "change_no difference": "{backend} for {case}",
    "change_cannot be told": "{backend} for {case}",
    "change_not comparable": "{backend} for {case} ({reason})",
    "finding_changes_faster": "Faster in {after} than in {before}: {what}.",
    "finding_changes_slower": "Slower in {after} than in {before}: {what}.",
    "finding_changes_no difference": "No difference in speed between {before} and {after}: {what}.",
    "finding_changes_cannot be told": "Whether faster or slower cannot be told between {before} and {after}: {what}.",
    "finding_changes_not comparable": "Not comparable between {before} and {after}: {what}.",
    "finding_fastest": "{case}: {backend} trains fastest with {rate}, {others}.",
    "finding_ahead": "{case}: {backend} had the highest training rate, {rate}, {others}.",
    "finding_highest": "{case}: {backend} had the highest training rate, {rate}.",
    "finding_undecided": (
        "{case}: whether {backend} or {other} is faster cannot be told: the ratio lies between {low} and {high} "
        "after {rounds} rounds. {why} {more}"
    ),
    "finding_undecided_disturbed": (
        "{case}: whether {backend} or {other} is faster cannot be told: {rounds} rounds are too few or too "
        "disturbed to tell. {why} {more}"
    ),
    "finding_single": (
        "{case}: whether {backend} is faster than {others} cannot be told: a single round has no interval. "
        "Use --repeats 5."
    ),
    "finding_unpaired": "{case}: {backend} is not compared with {others}: {reason}.",
    "uneven": "The rates of {backend} vary by {spread} % from round to round.",
    "uneven_disturbed": "Other work disturbed {count} of its {runs} runs.",
    "more_rounds": "About {more} more would do (--repeats {total}).",
    "too_many_rounds": "Not even {most} rounds would do: let the machine become quiet first.",
    "finding_level_ahead": (
        "{case}: {leaders} train equally fast within {margin} % (about {rate}); {backend} is {others}."
    ),
    "finding_level": ("{case}: {leaders} train equally fast within {margin} % (about {rate}, {rounds} rounds)."),
    "finding_ladder": "{case}: {higher} over {lower} use: {told}.",
    "ladder_step": "{backend} {ratio} times as fast ({interval})",
    "ladder_same": "{backend} equally fast within {margin} %",
    "finding_far_slower": (
        "{case}: {backend} is {times} times slower ({interval}) than the fastest. That is rarely its true speed: "
        "compare with --tuning all, and look at the worker's log."
    ),
    "finding_accuracy_equivalent": (
        "{case}: {backends} reach the same test accuracy within {margin} point (medians {medians})."
    ),
    "finding_accuracy_differs": (
        "{case}: {backend} does not reach the same test accuracy as {baseline}: "
        "it differs by {difference} ({interval}), and equal would be within {margin} point."
    ),
    "finding_accuracy_unsure": (
        "{case}: the runs are too few or too varied to call the test accuracy of {backend} equal to that of "
        "{baseline}: difference {difference} ({interval}), and equal would be within {margin} point."
    ),
    "finding_accuracy_untested": (
        "{case}: whether {backends} reach the same test accuracy was not tested: {seeds} (medians {medians}). Three or "
        "more can be asked for with --seeds 0,1,2."
    ),
    "finding_leaves": (
        "{case}: {backend} leaves {reference} from step {step} on: their training losses get {far} apart (step "
        "{farthest}){others}. {ties}"
    ),
    "others_stay": "; the others stay within {far}",
    "ties_unknown": "Whether ties in max pooling explain it cannot be known: the record does not hold the network.",
    "ties_none": "Ties in max pooling do not explain it: the network has none.",
    "ties_unchecked": (
        "Ties in max pooling may explain it, where any of the equal cells may get the gradient; that it computes the "
        "same on data without ties was not shown: python -m harness conform."
    ),
    "ties_proved": (
        "Ties in max pooling may explain it, where any of the equal cells may get the gradient: it computed {steps} "
        "steps of this case on data without ties as the reference does."
    ),
    "ties_possible": (
        "Ties in max pooling may explain it, where any of the equal cells may get the gradient: it passed {passed} "
        "conformance checks, with trajectories clear of ties and with ties broken at random. Whether this data has "
        "ties is not in the record."
    ),
    "finding_memory": "{case}: {least} needs the least memory, {least_mb} at its peak; {most} the most, {most_mb}.",
    "finding_memory_measured": (
        "{case}: {least} had the lowest peak of memory, {least_mb}, and {most} the highest, {most_mb}."
    ),
    "finding_failed": "{case}: {count} of {runs} runs of {backend} {status}: {message} {advice}",
    "finding_disproved": (
        "{case}: {backend} does not compute the same as NumPy float64, so its speed is not ranked. "
        "{steps} steps of this very training: {what}."
    ),
    "finding_proved": "Sameness: proved for {backends}; {steps} steps of each case, worst {error}. {note}",
    "finding_proved_case": "{case}: sameness proved for {backends}; {steps} steps, worst {error}. {note}",
    "proof_in_float32": "In float32: bfloat16 rounds too much to tell formulas apart.",
    "finding_proof_broke": (
        "{case}: {backend} has no proof that it computes the same as NumPy float64, so its speed is not ranked. "
        "It failed while it was proved: {what}."
    ),
    "finding_proof_partly": "{case}: sameness proved for some runs of {backends} alone; the others have no proof.",
    "finding_proof_skipped": "{case}: sameness not proved for {backends}, as --no-proof asked.",
    "finding_proof_unsupported": "{case}: sameness cannot be proved for {backends}: {reason}.",
    "finding_nonconforming": (
        "{backend} does not compute the same as the reference, so its speed is not ranked. "
        "Conformance checks failed: {count}, the first {first}."
    ),
    "finding_unchecked": (
        "Not checked with these runs: whether it computes the same as the reference, for {backends}: "
        + PROGRAM
        + " conform"
    ),
    "finding_noisy": (
        "Disturbed by other work on the machine: {count} of {runs} runs ({names}). --retry-noisy 2 repeats such runs."
    ),
    "finding_no_fingerprints": (
        "Runs without fingerprints of their inputs, which are compared with nothing: {count} ({names})."
    ),
    "finding_namesakes": (
        "{first} and {other} are different trainings that bear the same names: {what}. They are neither averaged nor "
        "compared."
    ),
    "against": "{what} {first} against {other}",
    "differing": "other {what}",
    "differing_unknown": "what differs is not in the records",
    "told_recipe": "recipe",
    "told_batch_size": "batch size",
    "told_epochs": "epochs",
    "told_stop_after": "stopped after epoch",
    "told_resumed": "resumed",
    "told_train_samples": "training samples",
    "told_test_samples": "test samples",
    "told_optimizer.learning_rate": "learning rate",
    "first_step_of": "{case} {seconds} (as long as {steps} later steps)",
    "finding_first_step": (
        "The first step of {backend} takes long (compilation, which counts in no throughput): {where}."
    ),
    "finding_threads_exceeded": (
        "{case}: {backend} had {busy} threads at work or waiting for a CPU, and {threads} allowed."
    ),
    "finding_threads_idle": "{case}: fewer threads were busy than the {threads} allowed: {busy}.",
    "finding_target_missed": "{case}: {reached} of {runs} runs of {backend} reached {target} test accuracy.",
    "finding_wide": (
        "The interval of the training rate is wider than {share} % of it for {names}: more --repeats would narrow it."
    ),
    "finding_machine_kinds": (
        "Run on several machines: {what}. Rates, seconds and memory are told of each machine; ratios are taken within "
        "one and pooled over those of a kind, never over kinds."
    ),
    "machine_is": "{names}: {what}",
    "finding_agree": "{case}: {backend} trains fastest on every kind of machine, {told}.",
    "finding_agree_partly": (
        "{case}: {backend} trains fastest, {told}; on {machines} it is not told apart from all others."
    ),
    "finding_order_differs": "{case}: the order differs: {told}. {more}",
    "finding_none_ahead": "{case}: on no kind of machine is one fastest; not told apart at the head are {told}.",
    "finding_not_everywhere": "{case}: {backend} has no rank on {machines}.",
    "ahead_on": "{backend} is {what}",
    "on_machine": "{what} on {machine}",
    "more_pairs": "So it does for {count} more pairs.",
    "finding_machines": "The runs come from different {what}: {values}.",
    "finding_damaged": "A record could not be read and is left out: {line}",
    "finding_damaged_more": "Records that could not be read beside these: {count}.",
    # the report
    "title": "Framework comparison",
    "set_created": "Measured {created}",
    "made": "Report made {when} from {runs} runs.",
    "theme": "Theme",
    "theme_auto": "automatic",
    "theme_light": "light",
    "theme_dark": "dark",
    "contents": "Contents",
    "filter": "Filter rows",
    "jump_row": "row",
    "jump_plot": "plot",
    "shown": "rows",
    "sort_hint": "Click a heading to sort.",
    "heading_summary": "Summary",
    "heading_changes": "What changed",
    "heading_agreement": "From machine to machine",
    "heading_machines": "Machines",
    "heading_speed": "Speed",
    "heading_ladder": "How the frameworks are used",
    "heading_accuracy": "Accuracy",
    "heading_resources": "Time and memory",
    "heading_plots": "Plots",
    "heading_conformance": "Conformance",
    "heading_failures": "What failed",
    "heading_environment": "Environment",
    "heading_fingerprints": "Fingerprints",
    "heading_runs": "All runs",
    "heading_repeat": "To repeat this",
    "level_sameness": "Sameness",
    "level_change": "What changed",
    "level_agreement": "Machines",
    "level_race": "Speed by turns",
    "level_speed": "Speed of the training runs",
    "level_accuracy": "Accuracy",
    "level_memory": "Memory",
    "level_problem": "Problems",
    "level_warning": "Mind this",
    "level_note": "Also worth knowing",
    "about_summary": (
        "Figures are medians with 95 % intervals. Ratios are taken between runs of the same round and seed. No "
        "difference means that the whole interval lies within 10 % of 1; one that holds 1 and is wider cannot be told."
    ),
    "about_terminal": "Training runs: medians, with 95 % intervals in brackets",
    "about_changes": (
        "{after} against {before}: a ratio above 1 means that {after} trains faster. The sets were measured at "
        "different times, so only runs that had the same inputs are compared, and their rounds are not paired."
    ),
    "about_agreement": (
        "How many times as fast as {baseline} each trains on each kind of machine, with 95 % intervals: by turns where "
        "there was a race, else by the training runs, from pairs within one machine."
    ),
    "about_machines": (
        "Machines are of one kind, and have one letter, where all of this agrees; numbers tell those of a kind apart."
    ),
    "about_speed": (
        "Medians; small figures are 95 % intervals: bootstrapped from five runs on, by Student's t on logarithms below "
        "that. Steady training only: import, building and the first step are apart. Ratios are to {baseline}."
    ),
    "about_ladder": (
        "The same training in three manners. Default: as the framework comes, what its first tutorial does. "
        "Recommended: public, documented settings that its own guides name. Expert: whatever makes the same "
        "computation fastest. Rates, and how many times as fast each is as the manner before it, with 95 % intervals."
    ),
    "about_accuracy": (
        "Test accuracy after the last epoch, precision, recall and F1 averaged over the classes that occur or are "
        "predicted; repeats of one seed are one sample. Equal means that two one-sided t-tests over three or more "
        "seeds put the difference to {baseline} within 1 point. Time to an accuracy counts training alone."
    ),
    "about_resources": "Memory is the kernel's figure for the worker process. Medians with 95 % intervals.",
    "about_conformance": "Whether each backend computes the same as the NumPy reference, by the conformance suite.",
    "about_fingerprints": (
        "SHA-256 of what the runs were given (first 12 digits). Runs are compared only where all four agree."
    ),
    "about_runs": "Every run, also those that failed. A dash means that the run has no such figure; it is never zero.",
    "about_plots": "Axis texts are in English. The same plots lie in plots/ as SVG and PNG.",
    "caption_race": "The race by turns: ratios of training speed with their 95 % intervals.",
    "caption_throughput": "Training throughput: median, 95 % interval, and each run as a dot.",
    "caption_ladder": "Training rates in the three manners of using each framework, with 95 % intervals.",
    "caption_memory": "Peak memory of the worker: after importing the framework, and what building and training add.",
    "caption_phases": "Where the time of a run goes, medians.",
    "caption_loss": (
        "Training losses of {about}, runs from the same start overlaid: backends that compute the same lie on one "
        "another. Below, how far each is from the reference."
    ),
    "caption_accuracy": "Test accuracy of {about} per epoch and against training time. The bands span the runs.",
    "caption_confusion": "Errors on {about}: which class is taken for which. Right answers are left out.",
    "caption_gallery": (
        "The images of {about} most often misclassified: true class → the class most often said, and in how many runs."
    ),
    "conformance_passed": "passed",
    "conformance_failed": "failed",
    "conformance_unchecked": "not checked",
    "conformance_other_version": "checked with version {version}",
    "yes": "yes",
    "no": "no",
    "unknown": "unknown",
    "absent": "absent",
    "unsure": "not shown",
    "agreement_same": "agree",
    "agreement_partly": "differ",
    "agreement_opposed": "order differs",
    "agreement_untold": "cannot be told",
    "untested": "not tested",
    "seeds_0": "no seed in common",
    "seeds_1": "one seed",
    "seeds_2": "two seeds",
    "disturbed": "too disturbed to tell",
    "not_reached": "not reached",
    "reached_some": "{reached} of {runs} runs",
    "rounds_count": "{count} rounds",
    "attempt_repeated": "repeated later",
    "noisy": "disturbed",
    "noisy_count": "{count} disturbed",
    "tuned_by": "Done for speed",
    "manner": "Manner",
    "tuned_allocator": "the C library's allocator keeps freed memory ({variables})",
    "no_tuning": "none",
    "study": "The study as it was asked for",
    "set_command": "The whole set",
    "one_run": "One run: its command is in the last column of the table of all runs.",
    "log_tail": "Last lines of its log",
    "traceback": "Traceback",
    "more_failures": "{count} more are in the table of all runs.",
    "machine": "Machine",
    "varies": "varies: {values}",
    # columns
    "column_set": "Set",
    "column_run_id": "Run",
    "column_status": "Status",
    "column_backend": "Backend",
    "column_framework_version": "Version",
    "column_model": "Model",
    "column_dataset": "Dataset",
    "column_case": "Case",
    "column_seed": "Seed",
    "column_round": "Round",
    "column_runs": "Runs",
    "column_test_accuracy": "Accuracy",
    "column_accuracy_difference": "Difference",
    "column_accuracy_equivalent": "Equal",
    "column_macro_precision": "Precision",
    "column_macro_recall": "Recall",
    "column_macro_f1": "F1",
    "column_test_loss": "Loss",
    "column_time_to_highest": "Time to accuracy",
    "column_time_to": "Time to {target}",
    "column_train_samples_per_second": "Training",
    "column_train_samples_per_second_before": "Before",
    "column_train_samples_per_second_after": "After",
    "column_train_ratio": "Ratio",
    "column_ratio": "Ratio",
    "column_train_verdict": "Verdict",
    "column_verdict": "Verdict",
    "column_step_up": "{manner} over the one before",
    "column_inference_samples_per_second": "Inference",
    "column_inference_ratio": "Inference ratio",
    "column_step_p50_ms": "Step p50",
    "column_step_p90_ms": "Step p90",
    "column_step_p99_ms": "Step p99",
    "column_gflops": "Arithmetic",
    "column_share_of_peak": "Of peak",
    "column_import_s": "Import",
    "column_build_s": "Build",
    "column_first_step_s": "First step",
    "column_train_s": "Training",
    "column_eval_s": "Evaluation",
    "column_total_s": "Total",
    "column_peak_rss_mb": "Peak memory",
    "column_after_import_rss_mb": "After import",
    "column_device_peak_mb": "Device memory",
    "column_parameters": "Parameters",
    "column_busy_threads": "Busy threads",
    "column_wanted_threads": "Wanted threads",
    "column_notes": "Notes",
    "column_command": "Command",
    "column_version_before": "Version before",
    "column_version_after": "Version after",
    "column_accuracy_before": "Accuracy before",
    "column_accuracy_after": "Accuracy after",
    "column_passed": "Passed",
    "column_failed": "Failed",
    "column_unsupported": "Unsupported",
    "column_checked_at": "Checked",
    "column_machine": "Machine",
    "column_agreement": "Agreement",
    "column_gpu": "GPU",
    "column_instruction_sets": "Instruction sets",
    "column_cpu": "Processor",
    "column_cores": "Cores",
    "column_threads": "Threads",
    "column_ram_mb": "Memory",
    "column_os": "Operating system",
    "column_python": "Python",
    "column_cpu_quota": "CPU quota",
    "column_governor": "Frequency governor",
    "column_matmul_peak_gflops": "Matrix-multiply peak",
    "column_git_commit": "Harness commit",
    "column_framework_build": "Build",
    "column_packages": "Packages",
    "column_variables": "Variables",
    "column_device": "Device",
    "column_precision": "Precision",
}
