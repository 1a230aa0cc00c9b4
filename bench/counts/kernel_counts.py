#!/usr/bin/env python3
"""One page on what the CUDA kernels do where there is no GPU: counts of the emulator for a training step, and what nvcc made of them.

    kernel_counts.py PROGRAM [OBJECT...] [--out DIR] [--set KEY=VALUE]   runs the program kernel_counts, reads the compiled .cu files
    kernel_counts.py --self-test                                          written examples

`cmake --build --preset release --target kernel_page` passes program and objects. Writes kernels-DATE.json and .md into DIR. Resources
need cuobjdump (CUDA toolkit, or pip install nvidia-cuda-cuobjdump); without it, or without objects, the page says that they are missing.
"""

import argparse
import datetime
import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "cuda"))
from sass_test import ARCHITECTURE, RESOURCES, find_tool, split_by  # noqa: E402

# Of a multiprocessor: bytes of shared memory. Both have 65,536 registers, 64 warps and 32 blocks.
SHARED = {"sm_80": 164 << 10, "sm_90a": 228 << 10}
REGISTERS, WARPS, BLOCKS = 65536, 64, 32
MOST_OPERATORS, MOST_KERNELS = 14, 22  # on the page; the JSON has all


def blocks_per_multiprocessor(architecture, registers, threads, shared):
    """How many blocks run at a time, by NVIDIA's rules of allocation."""
    warps = -(-threads // 32)
    of_warp = -(-registers * 32 // 256) * 256
    by_registers = REGISTERS // of_warp // 4 * 4 // warps  # four schedulers have a quarter each
    by_shared = SHARED[architecture] // (-(-shared // 128) * 128 + 1024)
    return min(by_registers, by_shared, WARPS // warps, BLOCKS)


def form_of(mangled):
    """A function of roap::cuda without the names of anonymous namespaces, which each compiler makes up; None for others."""
    if not mangled.startswith("_ZN4roap4cuda"):
        return None
    form = ""
    while match := re.search(r"(\d+)_GLOBAL__N_", mangled):
        form, mangled = form + mangled[:match.start()], mangled[match.end(1) + int(match.group(1)):]
    return form + mangled


def symbols_of(nm_output):
    """Offset -> form."""
    rows = (line.split() for line in nm_output.splitlines())
    return {int(row[0], 16): form_of(row[2]) for row in rows if len(row) == 3 and form_of(row[2])}


def resources_of(cuobjdump_outputs):
    """(form, architecture) -> registers and bytes of stack and local memory of a thread."""
    return {(form_of(name), architecture): {"registers": int(registers), "stack": int(stack), "local": int(local)}
            for output in cuobjdump_outputs for architecture, text in split_by(ARCHITECTURE, output)
            for name, registers, stack, local in RESOURCES.findall(text) if form_of(name)}


def add_resources(counts, symbols, resources):
    """Adds to every kernel its form and, for each architecture, its resources and blocks per multiprocessor."""
    for operator in counts["operators"]:
        for kernel in operator["kernels"]:
            kernel["form"] = symbols.get(kernel.pop("offset"))
            if not resources:
                continue
            found = {a: resources[kernel["form"], a] for a in SHARED if (kernel["form"], a) in resources}
            if not found:
                raise SystemExit(f"{kernel['name']}: its form {kernel['form']} is in no object; are both of the same sources?")
            for architecture, r in found.items():
                r = dict(r, blocks=blocks_per_multiprocessor(architecture, r["registers"], kernel["block_threads"], kernel["shared_bytes"]))
                if kernel["wgmma"] == 0 or architecture == "sm_90a":  # elsewhere it is empty
                    kernel.setdefault("resources", {})[architecture] = r


def moved(kernel):
    return kernel["loaded_bytes"] + kernel["copied_bytes"] + kernel["stored_bytes"]


def ratio(a, b):
    return f"{a / b:.2f}" if b else ""


def millions(x):
    return f"{x / 1e6:,.1f}" if x else ""


def table(header, rows):
    return ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]


def operator_rows(counts):
    rows = []
    for o in counts["operators"]:
        kernels = o["kernels"]
        products = sum(k["multiplies"] for k in kernels)
        bytes_moved = sum(map(moved, kernels))
        rows.append((-products - bytes_moved, [
            f"`{o['operator']}`", str(o["nodes"]), str(sum(k["launches"] for k in kernels)),
            *([millions(o["useful_multiplies"]), millions(o["dense_multiplies"]), millions(products), ratio(products, o["useful_multiplies"])]
              if products else [""] * 4),
            millions(o["least_bytes"]), millions(bytes_moved), ratio(bytes_moved, o["least_bytes"])]))
    return [row for _, row in sorted(rows, key=lambda r: r[0])][:MOST_OPERATORS]


def kernel_rows(counts):
    kernels = [k for o in counts["operators"] for k in o["kernels"]]
    by_form = {}
    for k in kernels:  # a form that several operators launch
        same = by_form.setdefault((k["name"], k["form"]), dict(k, launches=0, blocks=0, multiplies=0, bytes=0))
        same["bytes"] += moved(k)
        for key in ("launches", "blocks", "multiplies"):
            same[key] += k[key]
    rows = []
    for k in sorted(by_form.values(), key=lambda k: -k["multiplies"] - k["bytes"])[:MOST_KERNELS]:
        resources = k.get("resources", {})

        def each(key, r=resources):
            return ", ".join(str(r[a][key]) if a in r else "none" for a in SHARED) if r else "not known"

        spills = sum(r["stack"] + r["local"] for r in resources.values())
        rows.append([f"`{k['name']}`", str(k["launches"]), f"{k['blocks']:,}", str(k["block_threads"]), f"{k['shared_bytes'] / 1024:.1f}",
                     each("registers"), str(spills) if resources else "not known", each("blocks"), millions(k["multiplies"]),
                     millions(k["bytes"])])
    return rows, len(by_form)


def page_of(counts, date):
    kernels = [k for o in counts["operators"] for k in o["kernels"]]
    rows, forms = kernel_rows(counts)
    operators = operator_rows(counts)
    lines = [
        f"# What the CUDA kernels of a training step do, counted ({date})", "",
        f"The published setting with {counts['pairs']} pairs and {counts['tasks']} tasks in bf16, one step on the emulator (shaped like an H100). "
        "No GPU was used, and **nothing here is a time**. "
        f"The step launches {sum(k['launches'] for k in kernels)} kernels, {forms} different ones, for {sum(o['nodes'] for o in counts['operators'])} nodes.", "",
        "Multiply-adds are in millions: useful ones by the operators' own count of the work (without padding, equal rows and rows that win no maximum; "
        "of `point_mlp` also as the CPU computes rows that differ in y alone, which CUDA does not), "
        "those of an implementation without exact savings (dense), and those of the `mma` and `wgmma` that ran; what has none of these runs on CUDA "
        "cores, which are not counted. MB: the least that must be read and written once, and what threads asked global memory for, from which "
        "caches serve a part.", "",
        *table(["operator", "nodes", "launches", "useful", "dense", "on tensor cores", "over useful", "least MB", "asked MB", "over least"],
               operators), "",
        f"(The {len(operators)} operators with the most of both, of {len(counts['operators'])}.) The {len(rows)} kernels with the most of both. Registers, stack and spills by nvcc, blocks of a multiprocessor computed from them, for sm_80 and sm_90a "
        "(none: of wgmma, which sm_80 lacks; 0 blocks: for a card with more shared memory).", "",
        *table(["kernel", "launches", "blocks", "threads", "shared KiB", "registers", "stack, spills", "blocks each", "products", "asked MB"], rows), ""]
    return "\n".join(lines)


def json_of(counts):
    """One operator a line."""
    head = json.dumps({key: value for key, value in counts.items() if key != "operators"})
    return head[:-1] + ', "operators": [\n' + ",\n".join(json.dumps(o) for o in counts["operators"]) + "\n]}\n"


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("objects", nargs="*")
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--set", action="append", default=[], help="section.key=value of the step, as for roap train")
    options = parser.parse_args(arguments)
    tool = find_tool("cuobjdump")
    if not options.objects or tool is None:
        print("kernel_counts: no compiled kernels or no cuobjdump: the page will have no resources", file=sys.stderr)
    outputs = [output_of(tool, "--dump-resource-usage", o) for o in options.objects] if tool else []
    counts = json.loads(output_of(options.program, *[word for s in options.set for word in ("--set", s)]))
    add_resources(counts, symbols_of(output_of("nm", options.program)), resources_of(outputs))
    date = datetime.date.today().isoformat()
    (options.out / f"kernels-{date}.json").write_text(json_of({"date": date, **counts}))
    (options.out / f"kernels-{date}.md").write_text(page_of(counts, date))
    print(options.out / f"kernels-{date}.md")
    return 0


def self_test():
    ours = "_ZN4roap4cuda12_GLOBAL__N_121conv2d_product_kernelILi4EEEvv"
    theirs = "_ZN4roap4cuda17_GLOBAL__N__f_1_x21conv2d_product_kernelILi4EEEvv"
    kernel = {"name": "conv2d_product", "offset": 256, "launches": 3, "blocks": 6, "block_threads": 128, "shared_bytes": 30000, "wgmma": 0,
              "multiplies": 4e6, "loaded_bytes": 1e6, "copied_bytes": 2e6, "stored_bytes": 3e6}
    counts = {"pairs": 2, "tasks": 3, "operators": [{"operator": "conv2d", "nodes": 3, "useful_multiplies": 2e6, "dense_multiplies": 5e6,
                                                     "least_bytes": 3e6, "kernels": [kernel]}]}
    resources = resources_of([f"arch = sm_80\n Function {theirs}:\n  REG:99 STACK:0 SHARED:0 LOCAL:8 CONSTANT[0]:1\n"
                              f"arch = sm_90a\n Function {theirs}:\n  REG:255 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:1\n"])
    add_resources(counts, symbols_of(f"0000000000000100 t {ours}\n                 U puts\n"), resources)
    page = page_of(counts, "today")
    expected = [
        ("registers bound", blocks_per_multiprocessor("sm_80", 255, 128, 0), 2),
        ("registers of whole quarters", blocks_per_multiprocessor("sm_90a", 168, 384, 0), 1),
        ("warps bound", blocks_per_multiprocessor("sm_90a", 32, 256, 0), 8),
        ("blocks bound", blocks_per_multiprocessor("sm_90a", 16, 32, 0), 32),
        ("shared bound", [blocks_per_multiprocessor(a, 32, 128, 100 << 10) for a in SHARED], [1, 2]),
        ("too much shared", blocks_per_multiprocessor("sm_80", 32, 128, 200 << 10), 0),
        ("other functions", form_of("_ZN4roap4simt5launchEv"), None),
        ("types of anonymous namespaces", form_of("_ZN4roap4cuda1fINS0_12_GLOBAL__N_11XEEEvv"),
         form_of("_ZN4roap4cuda1fINS0_17_GLOBAL__N__f_1_x1XEEEvv")),
        ("JSON", json.loads(json_of(counts)), counts),
        ("operator's row", "| `conv2d` | 3 | 3 | 2.0 | 5.0 | 4.0 | 2.00 | 3.0 | 6.0 | 2.00 |" in page, True),
        ("kernel's row", "| `conv2d_product` | 3 | 6 | 128 | 29.3 | 99, 255 | 8 | 4, 2 | 4.0 | 6.0 |" in page, True),
    ]
    failures = [f"{name}: {found}, expected {right}" for name, found, right in expected if found != right]
    try:
        add_resources({"operators": [{"kernels": [dict(kernel, offset=1)]}]}, {}, resources)
        failures.append("a kernel that is in no object was accepted")
    except SystemExit:
        pass
    print(f"self-test: {len(expected) + 1} examples, wrong: {failures or 'none'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main(sys.argv[1:]))
