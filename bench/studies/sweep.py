#!/usr/bin/env python3
"""Runs `roap train` for many seeds and sums up how often it succeeds.

    bench/studies/sweep.py digits-500 --seeds 20 --jobs 2

Writes NAME-DATE.json (every run) and NAME-DATE.md (one line and a table) into bench/results. Each run has one thread and
lowered priority, two at a time, so that a machine stays usable; `cpu` is the process' own processor time, which other
work on the machine hardly changes, `wall` is what the clock said. The tasks differ from seed to seed too. `--set` changes
settings of a study; give it another `--out` then, because results are named by the study.
"""
import concurrent.futures
import datetime
import json
import math
import platform
import tempfile
import time

import study

MARGINAL = ["train.method=marginal"]
# No choice among several starts: it would hide how often a start fails.
ONE_START = ["tasks.count=100", "train.runs=1", "train.steps=1500"]
STUDIES = {
    "digits-500": MARGINAL + ["tasks.count=500", "tasks.max_operators=3"],
    "digits-500-wide": MARGINAL + ["tasks.count=500", "tasks.max_operators=3", "search.max_operators=4"],
    "digits-10": MARGINAL + ["tasks.count=10", "tasks.max_operators=3"],
    "digits-3": MARGINAL + ["tasks.count=3", "tasks.max_operators=3"],
    "digits-roap": ONE_START,
    "digits-roap-regauge": ONE_START + ["train.regauge=50"],
    "digits-hybrid": ONE_START + ["train.method=hybrid"],
    "digits-marginal": MARGINAL + ["tasks.count=100"],
}
COLUMNS = ("seed", "solved", "solved_exact", "symbols", "symbolic_loss_train", "symbols_right_train",
           "symbols_right_test", "synthesised_solved", "cpu", "wall")


def wilson(successes, runs, z=1.959964):
    """95 % interval of a rate."""
    p, n = successes / runs, runs
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def run(arguments, settings, seed):
    with tempfile.TemporaryDirectory() as folder:
        words = ["train", "--preset", arguments.preset, "--json", "--out", f"{folder}/run", "--seed", seed]
        for setting in ["device.threads=1", f"tasks.seed={seed}", *settings]:
            words += ["--set", setting]
        before = time.monotonic()
        with open(f"{folder}/err", "w") as err, open(f"{folder}/out", "w") as out:
            code, cpu, _ = study.run_roap(arguments, *words, stdout=out, stderr=err)
        wall = time.monotonic() - before
        if code != 0:
            return {"seed": seed, "failed": code, "error": open(f"{folder}/err").read()[-500:]}
        result = json.load(open(f"{folder}/out"))
    result.pop("run")
    return result | {"seed": seed, "cpu": round(cpu, 2), "wall": round(wall, 2)}


def number(value):
    return f"{value:.5f}" if isinstance(value, float) and abs(value) < 1 else f"{value:.1f}" if isinstance(
        value, float) else str(value)


def summary(name, settings, runs, arguments):
    done = [r for r in runs if "failed" not in r]
    whole = sum(r["solved_exact"] == r["tasks"] for r in done)
    right = sum(r["symbols_right_train"] >= 0.9 for r in done)
    cpu = sorted(r["cpu"] for r in done) or [math.nan]
    text = [f"# {name}, {arguments.date}", "",
            f"`bench/studies/sweep.py {name} --seeds {arguments.seeds}` on {platform.machine()}, preset {arguments.preset}, "
            + " ".join(settings), ""]
    for what, count in (("runs with every task proved equal", whole), ("runs with at least 90 % of the training "
                                                                       "images' symbols right", right)):
        low, high = wilson(count, len(runs))
        text.append(f"- {what}: {count} of {len(runs)} (95 % interval {100 * low:.0f} to {100 * high:.0f} %)")
    proved = sorted(r["solved_exact"] for r in done) or [math.nan]
    text += [f"- tasks proved equal: median {proved[len(proved) // 2]}, {proved[0]} to {proved[-1]}",
             f"- processor seconds of a run, start and last decision included: median {cpu[len(cpu) // 2]:.1f}, "
             f"longest {cpu[-1]:.1f}", "", "| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
    for r in runs:
        text.append("| " + " | ".join(number(r.get(c, "failed" if "failed" in r else "")) for c in COLUMNS) + " |")
    return "\n".join(text) + "\n"


def main():
    parser = study.options_of_trainings(__doc__, seeds=20)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="section.key=value")
    arguments = parser.parse_args()
    arguments.date = datetime.date.today().isoformat()
    settings = STUDIES[arguments.study] + arguments.settings
    runs = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        for result in pool.map(lambda seed: run(arguments, settings, seed), seeds):
            runs.append(result)
            print(json.dumps({c: result.get(c) for c in COLUMNS if c in result} or result), flush=True)
            arguments.out.mkdir(parents=True, exist_ok=True)
            stem = arguments.out / f"{arguments.study}-{arguments.date}"
            stem.with_suffix(".json").write_text(
                json.dumps({"study": arguments.study, "settings": settings, "runs": runs}, indent=1) + "\n")
            stem.with_suffix(".md").write_text(summary(arguments.study, settings, runs, arguments))
    print(summary(arguments.study, settings, runs, arguments).split("\n| seed")[0])


if __name__ == "__main__":
    main()
