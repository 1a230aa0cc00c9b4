#!/usr/bin/env python3
"""What `roap search` finds: all formulas over three symbols that need exactly three operators, from a few rows each.

    bench/studies/search_sweep.py --noise 0       # how many are found exactly
    bench/studies/search_sweep.py --noise 0.02    # how many are on the Pareto front; noise in units of y's deviation
    bench/studies/search_sweep.py --noise 0.02 --cost  # time and memory by the number of operators

Symbols are drawn from 0.1, 0.2, ..., 1. Writes a dated JSON and markdown file into bench/results.
"""
import csv
import datetime
import json
import random
import statistics
import tempfile

import study


def roap(arguments, *words):
    """Output, processor seconds and peak memory in MiB."""
    with tempfile.TemporaryFile("w+") as out:
        code, cpu, memory = study.run_roap(arguments, *words, stdout=out)
        if code != 0:
            raise SystemExit(f"roap {' '.join(map(str, words))} failed with {code}")
        out.seek(0)
        return json.load(out), cpu, memory


def write_table(path, formulas, rows, noise, rng, symbols=3):
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*(f"s{j + 1}" for j in range(symbols)), "y", "task", "gold"])
        for task, formula in enumerate(formulas):
            points = [[rng.randint(1, 10) / 10 for _ in range(symbols)] for _ in range(rows)]
            values = [eval(formula, {"__builtins__": {}}, {f"s{j + 1}": s for j, s in enumerate(p)}) for p in points]
            scale = noise * statistics.pstdev(values)
            for point, y in zip(points, values):
                table.writerow([*point, repr(y + rng.gauss(0, 1) * scale), task, formula])


def pool(arguments, operators):
    tasks, _, _ = roap(arguments, "tasks", "--max-operators", operators, "--list", "--json")
    return tasks["formulas"][-tasks["by_operators"][operators]:]  # smallest first


def sweep(arguments, folder):
    rng = random.Random(arguments.seed)
    formulas = pool(arguments, 3)
    write_table(f"{folder}/t.csv", formulas, arguments.rows, arguments.noise, rng)
    result, cpu, memory = roap(arguments, "search", f"{folder}/t.csv", "--max-operators", arguments.max_operators,
                               "--memory", "2G", "--threads", 1, "--json")
    chosen = front = certain = 0
    missed = []
    for task, gold in zip(result["tasks"], formulas):
        # A tie says the same about these rows: it is named beside the formula it equals there.
        named = any(f["front"] and (f["equal"] or gold in f["ties"]) for f in task["formulas"])
        on_front = any(f["front"] and f["equal"] for f in task["formulas"])
        picked = any(f["chosen"] and f["equal"] for f in task["formulas"])
        chosen += picked
        certain += picked and not task["rivals"]
        front += on_front
        if not on_front:
            missed.append({"task": task["task"], "gold": gold, "as_good": named})
    return {"formulas": len(formulas), "rows": arguments.rows, "noise": arguments.noise,
            "max_operators": arguments.max_operators, "on_front": front, "chosen": chosen,
            "chosen_without_rivals": certain, "cpu_seconds": round(cpu, 2), "peak_mib": round(memory, 1),
            "missed": missed}


def cost(arguments, folder):
    rng = random.Random(arguments.seed)
    table = []
    for symbols, operators in ((v, k) for v in (3, 5) for k in range(1, 6)):
        write_table(f"{folder}/t.csv", ["s1*s2*s3-s2*s2+s1"], arguments.rows, arguments.noise, rng, symbols)
        result, cpu, memory = roap(arguments, "search", f"{folder}/t.csv", "--max-operators", operators, "--threads", 1,
                                   "--json")
        table.append({"symbols": symbols, "operators": operators, "candidates": result["candidates"],
                      "cpu_seconds": round(cpu, 3), "peak_mib": round(memory, 1)})
    return {"rows": arguments.rows, "noise": arguments.noise, "cost": table}


def text_of(result):
    lines = []
    if "cost" in result:
        lines += ["| symbols | operators | candidates | processor seconds | peak MiB |",
                  "| --- | --- | --- | --- | --- |"]
        lines += [f"| {c['symbols']} | {c['operators']} | {c['candidates']:.0f} | {c['cpu_seconds']} | {c['peak_mib']} |"
                  for c in result["cost"]]
    else:
        lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in result.items() if key != "missed"]
        lines += [f"- not on the front: {m['gold']}" for m in result["missed"][:20]]
    return "\n".join(lines) + "\n"


def main():
    parser = study.options_of(__doc__)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--noise", type=float, default=0)
    parser.add_argument("--max-operators", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cost", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = (cost if arguments.cost else sweep)(arguments, folder)
    name = "search-cost" if arguments.cost else f"search-rows{arguments.rows}-noise{arguments.noise:g}"
    stem = f"{name}-{datetime.date.today().isoformat()}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n")
    (arguments.out / f"{stem}.md").write_text(f"# {name}\n\n{text_of(result)}")
    print(text_of(result))


if __name__ == "__main__":
    main()
