"""Simplified Chinese."""

TEXTS = {
    "comma": "、",
    "and": " 和 ",
    "and_more": "{names}等（另有 {count} 个）",
    "case": "{dataset} 上的 {model}",
    "threads_count": "{count} 线程",
    "untuned": "未调优",
    "version_unknown": "版本未知",
    "times_as_fast_as": "{backend} 的 {ratio} 倍（{interval}）",
    # statuses
    "status_ok": "正常",
    "status_failed": "失败",
    "status_crashed": "崩溃",
    "status_timed_out": "超时",
    "status_out_of_memory": "内存不足",
    "status_diverged": "发散",
    "status_unsupported": "不支持",
    "status_interrupted": "被中断",
    # inputs and machine
    "input_architecture": "网络结构",
    "input_data": "数据",
    "input_schedule": "训练计划",
    "input_initial_weights": "初始权重",
    "machine_cpu": "处理器",
    "machine_cores": "核心数",
    "machine_accelerator": "加速器",
    "machine_os": "操作系统",
    # verdicts
    "verdict_faster": "更快",
    "verdict_slower": "更慢",
    "verdict_no difference": "无差异",
    "verdict_not comparable": "不可比",
    "verdict_baseline": "基准",
    # reasons why two things are not comparable
    "reason_no_pair": "没有双方都正常完成的同一轮次",
    "reason_fingerprints": "指纹不同：{parts}",
    "reason_single": "只有一对结果，无法给出区间",
    "reason_one_sided": "其中一个结果集没有这样的运行",
    "reason_no_baseline": "没有基准的运行结果",
    # findings
    "finding_no_runs": "这里还没有任何运行记录。",
    "finding_fastest": "{case}：{backend} 训练最快，达到 {rate}，是 {others}。",
    "finding_level_ahead": (
        "{case}：就 {rounds} 轮结果而言，{leaders} 训练速度相当（约 {rate}）；{backend} 是 {others}。"
    ),
    "finding_level": "{case}：{rounds} 轮结果显示 {leaders} 的训练速度没有差异（约 {rate}）。",
    "finding_fastest_unsure": (
        "{case}：{backend} 的训练速率最高（{rate}），但可比的轮次太少，不能下结论；请使用 --repeats 5。"
    ),
    "finding_tuning": "{case}：调优后 {backend} 的速度是默认状态的 {ratio} 倍（{interval}）。",
    "finding_far_slower": (
        "{case}：{backend} 比最快者慢 {times} 倍。这通常不是它的真实速度："
        "python -m harness profile --backend {name} --model {model} 可以找出是哪一层造成的。"
    ),
    "finding_accuracy_equivalent": (
        "{case}：{backends} 的测试准确率相同（差别在 {margin} 个百分点以内，中位数 {low} 至 {high}）。"
    ),
    "finding_accuracy_differs": (
        "{case}：{backend} 的测试准确率与 {baseline} 不同：相差 {difference}（{interval}），"
        "差别在 {margin} 个百分点以内才算相同。"
    ),
    "finding_accuracy_unsure": (
        "{case}：运行次数太少或波动太大，不能认定 {backend} 与 {baseline} 的测试准确率相同："
        "相差 {difference}（{interval}），差别在 {margin} 个百分点以内才算相同。"
    ),
    "finding_memory": "{case}：{least} 占用内存最少，峰值 {least_mb}；{most} 最多，峰值 {most_mb}。",
    "finding_failed": "{case}：{backend} 的 {runs} 次运行中有 {count} 次{status}：{message} {advice}",
    "finding_nonconforming": (
        "{backend} 有 {count} 项一致性检查未通过（第一项：{first}），它计算的并不是同样的内容，因此不参与速度排名。"
    ),
    "finding_unchecked": "这些运行没有检查 {backends} 的计算是否与参考实现一致：python -m harness conform",
    "finding_noisy": (
        "{runs} 次运行中有 {count} 次受到机器上其他任务的干扰（{names}）；--retry-noisy 2 会重跑这样的运行。"
    ),
    "finding_fingerprints": "{case}：{backend} 与 {baseline} 的输入不同（{parts}不同），因此这些运行不作比较。",
    "finding_no_fingerprints": "有 {count} 次运行没有输入指纹，不与任何运行比较（{names}）。",
    "finding_first_step": (
        "{case}：{backend} 的第一步用时 {seconds}，相当于之后的 {steps} 步（编译）；它不计入任何吞吐量。"
    ),
    "finding_threads_exceeded": "{case}：只允许 {threads} 个线程，而 {backend} 占用了 {busy} 个。",
    "finding_threads_idle": "{case}：{backend} 只用了 {threads} 个线程中的 {busy} 个。",
    "finding_target_missed": "{case}：{backend} 的 {runs} 次运行中有 {reached} 次达到 {target} 的测试准确率。",
    "finding_wide": "{names} 的训练速率区间宽度超过其 {share} %：增加 --repeats 可以缩小区间。",
    "finding_machines": "这些运行来自不同的{what}：{values}。",
    "finding_damaged": "有一条记录无法读取，已略去：{line}",
    "finding_damaged_more": "另有 {count} 条记录无法读取，已略去。",
}
