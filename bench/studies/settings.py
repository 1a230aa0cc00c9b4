#!/usr/bin/env python3
"""What each training setting gives: a fractional factorial study on digits.

    bench/studies/settings.py --seeds 3 --jobs 1

Seven settings with two levels each, in the 16 runs of a 2^(7-3) design of resolution IV (generators E = ABC, F = BCD,
G = ACD; Box, Hunter and Hunter, "Statistics for Experimenters"): the effect of each setting is clear of every interaction
of two others. Each seed is a block of 16 runs with the same tasks. All runs are `bench/studies/sweep.py digits-roap-regauge`
(100 tasks, one start, 1,500 steps, re-gauging) but for the seven settings; where a level takes more pairs a step, it takes
fewer steps, so that each run costs about the same. Writes settings-DATE.json (every run) and .md (effects) into bench/results.
"""
import concurrent.futures
import datetime
import itertools
import json
import math
import statistics

import study
import sweep

# Name: settings of the level "-" (the preset's), settings of the level "+".
FACTORS = {
    "loss": (["train.loss=profiled"], ["train.loss=gaussian"]),
    "sharpness late in the run": (["train.sharpness_late=3"], ["train.sharpness_late=1"]),
    "straight-through": (["train.straight_through=false"], ["train.straight_through=true"]),
    "pairs per step (with steps)": (["train.pairs_per_step=32", "train.steps=1500"],
                                    ["train.pairs_per_step=64", "train.steps=750"]),
    "learning rate": (["train.lr=2e-3"], ["train.lr=1e-3"]),
    "stem": (["model.stem=cifar"], ["model.stem=imagenet"]),
    "augmentation": (["data.augment=false"], ["data.augment=true"]),
}
SPLIT = 2  # the setting whose "-" half is judged by itself: straight-through
GENERATED = ((0, 1, 2), (1, 2, 3), (0, 2, 3))
RESPONSES = {
    "tasks proved equal of 100": ("solved_exact", lambda v: v),
    "log10 of the symbolic loss on test images": ("symbolic_loss_test", math.log10),
}


def design():
    """16 rows of seven levels, -1 or +1; any two columns are orthogonal."""
    rows = []
    for base in itertools.product((-1, 1), repeat=4):
        rows.append(base + tuple(math.prod(base[i] for i in word) for word in GENERATED))
    return rows


def settings_of(levels):
    return [s for pair, level in zip(FACTORS.values(), levels) for s in pair[level > 0]]


def quantile_975(degrees):
    """Student's t, 97.5 %: Cornish-Fisher expansion about the normal one, good to 0.01 from 8 degrees of freedom."""
    z = 1.959964
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def effects(runs, value, factors):
    """Mean at "+" less mean at "-" of each of these settings, and the half width of their common 95 % interval.

    Least squares on an orthogonal design are differences of means; the residual left by effects and blocks gives the error.
    """
    values = {(r["seed"], tuple(r["levels"])): value(r) for r in runs}
    blocks = sorted({seed for seed, _ in values})
    block_mean = {b: statistics.fmean(v for (seed, _), v in values.items() if seed == b) for b in blocks}
    count = len(values)
    effect = [sum(v * levels[f] for (_, levels), v in values.items()) / (count / 2) for f in factors]
    left = 0.0
    for (seed, levels), v in values.items():
        left += (v - block_mean[seed] - sum(e * levels[f] / 2 for e, f in zip(effect, factors)))**2
    degrees = count - len(blocks) - len(factors)
    return dict(zip(factors, effect)), quantile_975(degrees) * 2 * math.sqrt(left / degrees / count)


def summary(runs, arguments):
    whole = [seed for seed in sorted({r["seed"] for r in runs})
             if sum(r["seed"] == seed and "failed" not in r for r in runs) == len(design())]
    done = [r for r in runs if r["seed"] in whole]
    text = [f"# What each training setting gives, digits, {arguments.date}", "",
            f"`bench/studies/settings.py --seeds {arguments.seeds}`: {len(done)} runs of a 2^(7-3) design, seeds "
            + ", ".join(map(str, whole)) + " as blocks. Effect: the mean with the second level less the mean with the first one, with the half width of "
            "its 95 % interval; in bold where the interval excludes 0. The straight-through estimator hides what else there is, so the runs without it "
            "are judged once more by themselves; in that half an effect is not told apart from some interactions of two others.", ""]
    if not whole:
        return "\n".join(text + ["No seed has all of its runs."]) + "\n"
    head, columns = ["setting", "from", "to"], []
    for subset in (done, [r for r in done if r["levels"][SPLIT] < 0]):
        factors = [f for f in range(len(FACTORS)) if len(subset) == len(done) or f != SPLIT]
        for name, (key, transform) in RESPONSES.items():
            effect, half = effects(subset, lambda r: transform(r[key]), factors)
            head.append(f"{name}{'' if len(subset) == len(done) else ', without straight-through'} (± {half:.2f})")
            columns.append({f: f"**{e:+.2f}**" if abs(e) > half else f"{e:+.2f}" for f, e in effect.items()})
    text += ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for f, (name, pair) in enumerate(FACTORS.items()):
        levels = [", ".join(s.split("=")[1] for s in level) for level in pair]
        text.append("| " + " | ".join([name] + levels + [c.get(f, "") for c in columns]) + " |")
    text += ["", "| seed | " + " | ".join(FACTORS) + " | proved | right symbols, training images | symbolic loss, test | cpu s |",
             "| --- " * (len(FACTORS) + 5) + "|"]
    for r in done:
        marks = ["+" if x > 0 else "-" for x in r["levels"]]
        text.append("| " + " | ".join([str(r["seed"])] + marks + [str(r["solved_exact"]), f"{100 * r['symbols_right_train']:.0f} %",
                                                                    f"{r['symbolic_loss_test']:.5f}", f"{r['cpu']:.0f}"]) + " |")
    return "\n".join(text) + "\n"


def main():
    parser = study.options_of_trainings(__doc__, seeds=3)
    parser.add_argument("--summarise", action="store_true", help="only write the summary of the runs in --out anew")
    arguments = parser.parse_args()
    arguments.date = datetime.date.today().isoformat()
    if arguments.summarise:
        newest = max(arguments.out.glob("settings-*.json"))
        arguments.date = newest.stem.removeprefix("settings-")
        text = summary(json.loads(newest.read_text())["runs"], arguments)
        newest.with_suffix(".md").write_text(text)
        print(text)
        return
    plan = [(seed, levels) for seed in range(arguments.seeds) for levels in design()]
    base = sweep.STUDIES["digits-roap-regauge"]
    runs = []
    stem = arguments.out / f"settings-{arguments.date}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for (seed, levels), result in zip(plan, pool.map(lambda p: sweep.run(arguments, base + settings_of(p[1]), p[0]), plan)):
            runs.append(result | {"levels": levels})
            print(json.dumps({k: runs[-1].get(k) for k in ("seed", "levels", "solved_exact", "cpu", "error") if k in runs[-1]}), flush=True)
            stem.with_suffix(".json").write_text(json.dumps({"settings": base, "factors": FACTORS, "runs": runs}, indent=1) + "\n")
    text = summary(runs, arguments)
    stem.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
