#!/usr/bin/env python3
"""roap beside every way of running the same training step in PyTorch, in turn, on the same threads of the CPU.

    bench/peers/compare.py [--pairs 64] [--rounds 2] [--threads 2] [--variants eager bf16 ...] [--python PYTHON] [--json FILE]

Every round runs `roap-bench step` once and torch_roap.py once per variant, each a process of its own. The figure of a round is its
median (and its fastest, which other programs disturb least), that of the table the median of the rounds. The fastest variant that
computes what users write is the peer; same_algorithm has roap's exact savings too, so that algorithm and kernels are told apart:
ratio to the peer = ratio of the algorithms x ratio of the kernels.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VARIANTS = ("eager", "channels_last", "bf16", "compile", "same_algorithm")
PARTS = {"step": None, "resnet": ("conv2d", "batch_norm", "max_pool2d", "global_avg_pool"),
         "point_mlp": ("point_mlp",), "soft_exec": ("soft_exec",)}


def clock_options(a):
    return ["--processor-time"] if a.processor_time else []


def of_samples(samples):
    return {"median": statistics.median(samples), "fastest": min(samples)}


def run_roap(a):
    """{part: {median, fastest}} of the published step, forward and backward together."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        subprocess.run([a.roap_bench, "step", "--preset", "paper", "--pairs", str(a.pairs), "--device", "cpu", "--threads",
                        str(a.threads), "--repetitions", str(a.steps), "--seconds", str(a.limit), "--max-seconds", str(2 * a.limit),
                        "--json", str(report), *clock_options(a)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        measurements = {m["name"]: m["seconds"] for m in json.loads(report.read_text())["measurements"]}
    name = f"paper, {a.pairs} pairs"
    if name not in measurements:
        sys.exit(f"compare.py: roap-bench measured no step with {a.pairs} pairs; give it more memory or --limit")
    result = {"step": of_samples(measurements[name])}
    for part, operators in list(PARTS.items())[1:]:
        # Sums of a step's operators; steps are in the same order in all of them.
        rows = [s for n, s in measurements.items() if n.startswith(tuple(f"{name}: {op}" for op in operators))]
        result[part] = of_samples([sum(step) for step in zip(*rows)])
    return result


def run_torch(a, variant):
    """The same of a variant of torch_roap.py, or a text that says why there is nothing."""
    command = [a.python, str(ROOT / "bench/peers/torch_roap.py"), "--variant", variant, "--pairs", str(a.pairs), "--threads",
               str(a.threads), "--steps", str(a.steps), "--json", *clock_options(a)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=a.limit)
    except subprocess.TimeoutExpired:
        return f"not done within {a.limit:.0f} s (--limit)"
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    report = json.loads(done.stdout)
    if variant in report["failed"]:
        return report["failed"][variant]
    return {part: of_samples(samples) for part, samples in report["seconds"][variant].items()}


def middle(rounds, part, key):
    return statistics.median(r[part][key] for r in rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="of a round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true", help="of one thread instead of the clock, where other programs run")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--limit", type=float, default=600, help="seconds of one process at most")
    parser.add_argument("--roap-bench", default=str(ROOT / "build/release/roap-bench"))
    parser.add_argument("--python", default=sys.executable, help="one that has torch and torchvision")
    parser.add_argument("--json", type=pathlib.Path, help="FILE for all figures")
    a = parser.parse_args()

    ours, theirs, failed = [], {}, {}
    for number in range(a.rounds):
        print(f"round {number + 1} of {a.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        ours.append(run_roap(a))
        for variant in a.variants:
            if variant in failed:
                continue
            result = run_torch(a, variant)
            if isinstance(result, str):
                failed[variant] = result
                theirs.pop(variant, None)
            else:
                theirs.setdefault(variant, []).append(result)

    whole = [v for v in theirs if v != "same_algorithm"]
    peer = min(whole, key=lambda v: middle(theirs[v], "step", "median"), default=None)
    table = []
    for part in PARTS:
        row = {"part": part, "roap": {k: middle(ours, part, k) for k in ("median", "fastest")}}
        for variant, rounds in theirs.items():
            row[variant] = {k: middle(rounds, part, k) for k in ("median", "fastest")}
            row[variant]["ratio"] = statistics.median(t[part]["median"] / o[part]["median"] for t, o in zip(rounds, ours))
            row[variant]["ratio_fastest"] = statistics.median(t[part]["fastest"] / o[part]["fastest"] for t, o in zip(rounds, ours))
        table.append(row)
    print(f"{'seconds (ratio to roap)':24} {'roap':>9}" + "".join(f"{v:>20}" for v in theirs))
    for key, ratio in (("median", "ratio"), ("fastest", "ratio_fastest")):
        for row in table:
            print(f"{row['part'] + ', ' + key:24} {row['roap'][key]:9.4f}" +
                  "".join(f"{row[v][key]:12.4f} ({row[v][ratio]:5.1f})" for v in theirs))
    for variant, reason in failed.items():
        print(f"{variant}: {reason}")
    if peer is not None:
        print(f"the peer is {peer}")
    if a.json:
        a.json.write_text(json.dumps({"pairs": a.pairs, "threads": a.threads, "clock": "processor" if a.processor_time else "wall",
                                      "rounds": a.rounds, "peer": peer, "table": table,
                                      "failed": failed}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
