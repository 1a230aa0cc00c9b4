#!/usr/bin/env python3
"""Draws how runs learned: solved tasks and symbolic loss against processor time.

    bench/studies/curves.py NAME RUN [RUN...]

Reads the evaluations in each run's metrics.jsonl; writes NAME-DATE.svg (a plot) and NAME-DATE.md (the same as a table)
into bench/results. Processor time is that of all threads of a run; what else runs on the machine hardly changes it.
"""
import argparse
import datetime
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLORS = ("#1f6fb2", "#c4541a", "#2e8b57", "#8a4fb0", "#a07d00", "#5c5c5c")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 440, 300, 60, 46, 50, 70


def evaluations(run):
    """The evaluations of a run in the order of steps, each step once (the last one counts)."""
    steps = {}
    for line in open(run / "metrics.jsonl"):
        entry = json.loads(line)
        if entry.get("kind") in ("evaluation", "final"):
            steps[entry["step"]] = entry | {"minutes": entry["cpu_seconds"] / 60}
    if not steps:
        raise SystemExit(f"{run}/metrics.jsonl has no evaluations; train with log.eval_every_steps below the number of steps")
    return [steps[s] for s in sorted(steps)]


def ticks(most):
    """About five round numbers from 0 to most."""
    raw = most / 5
    unit = 10.0 ** len(str(int(raw))) / 10 if raw >= 1 else 1.0
    while unit > raw:
        unit /= 10
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= raw)
    return [step * i for i in range(int(most / step) + 1)]


class Panel:
    """One diagram with axes from 0."""

    def __init__(self, left, title, x_label, x_most, y_most):
        self.left, self.x_most, self.y_most = left, x_most, y_most
        self.parts = [f'<text x="{left}" y="20" class="title">{title}</text>']
        for x in ticks(x_most):
            self.parts += [f'<line x1="{self.x(x):.1f}" y1="{TOP}" x2="{self.x(x):.1f}" y2="{TOP + HEIGHT}" class="grid"/>',
                           f'<text x="{self.x(x):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{x:g}</text>']
        for y in ticks(y_most):
            self.parts += [f'<line x1="{left}" y1="{self.y(y):.1f}" x2="{left + WIDTH}" y2="{self.y(y):.1f}" class="grid"/>',
                           f'<text x="{left - 8}" y="{self.y(y) + 4:.1f}" text-anchor="end">{y:g}</text>']
        self.parts.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">{x_label}</text>')

    def x(self, value):
        return self.left + WIDTH * value / self.x_most

    def y(self, value):
        return TOP + HEIGHT * (1 - min(value, self.y_most) / self.y_most)

    def line(self, points, color, dashed=False):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        self.parts += [f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="2.5" fill="{color}"/>' for x, y in points]


def plot(curves):
    minutes = max(e["minutes"] for _, list_ in curves for e in list_)
    tasks = max(e["tasks"] for _, list_ in curves for e in list_)
    loss = max(e[k] for _, list_ in curves for e in list_ for k in ("symbolic_loss_train", "symbolic_loss_test"))
    solved = Panel(LEFT, f"Solved tasks of {tasks}", "processor time in minutes", minutes, tasks)
    symbols = Panel(LEFT + WIDTH + GAP, "Symbolic loss: training (line) and test images (dashed)",
                    "processor time in minutes", minutes, loss)
    legend = []
    for i, (name, list_) in enumerate(curves):
        color = COLORS[i % len(COLORS)]
        solved.line([(e["minutes"], e["solved"]) for e in list_], color)
        symbols.line([(e["minutes"], e["symbolic_loss_train"]) for e in list_], color)
        symbols.line([(e["minutes"], e["symbolic_loss_test"]) for e in list_], color, dashed=True)
        y = TOP + HEIGHT + BOTTOM + 14 + 18 * i
        legend += [f'<line x1="{LEFT}" y1="{y - 4}" x2="{LEFT + 24}" y2="{y - 4}" stroke="{color}" stroke-width="3"/>',
                   f'<text x="{LEFT + 32}" y="{y}">{name}</text>']
    width, height = LEFT + 2 * WIDTH + GAP + 20, TOP + HEIGHT + BOTTOM + 20 + 18 * len(curves)
    style = "text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.grid{stroke:#ddd}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
            f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>'
            + "\n".join(solved.parts + symbols.parts + legend) + "</svg>\n")


def table(curves):
    lines = ["| run | step | processor minutes | solved | proved equal | symbolic loss, training images | test images | nearest level right, training | test |",
             "| --- " * 9 + "|"]
    for name, list_ in curves:
        for e in list_:
            proved = e["solved_exact"] if e["kind"] == "final" else ""  # proofs are made at the end
            lines.append(f'| {name} | {e["step"]} | {e["minutes"]:.1f} | {e["solved"]} of {e["tasks"]} | {proved} '
                         f'| {e["symbolic_loss_train"]:.4f} | {e["symbolic_loss_test"]:.4f} '
                         f'| {100 * e["symbols_right_train"]:.0f} % | {100 * e["symbols_right_test"]:.0f} % |')
    return "\n".join(lines) + "\n"


def command(run):
    """The run's command without the paths of the machine that it ran on."""
    text = (run / "command.txt").read_text().strip()
    text = re.sub(r"^\S+", "roap", text)
    return re.sub(r" --out \S+", "", re.sub(r"(cifar10|table):\S+", r"\1:DIR", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--labels", nargs="*", help="of the runs; default: their folders' names")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench/results")
    arguments = parser.parse_args()
    labels = arguments.labels or [run.name for run in arguments.runs]
    if len(labels) != len(arguments.runs):
        parser.error(f"{len(labels)} labels for {len(arguments.runs)} runs")
    curves = [(label, evaluations(run)) for label, run in zip(labels, arguments.runs)]
    stem = arguments.out / f"{arguments.name}-{datetime.date.today().isoformat()}"
    stem.with_suffix(".svg").write_text(plot(curves))
    commands = "\n".join(f"    {command(run)}" for run in arguments.runs)
    stem.with_suffix(".md").write_text(f"# {arguments.name}\n\n![solved tasks and symbolic loss]({stem.name}.svg)\n\n"
                                       f"{table(curves)}\n{commands}\n")
    print(table(curves))


if __name__ == "__main__":
    main()
