#!/usr/bin/env python3
"""Reads what nvcc made of the hot kernels: no spills, no local memory, tensor-core instructions where they belong.

    sass_test.py OBJECT...     checks compiled .cu files (ctest passes those of the program)
    sass_test.py --self-test   judges written examples, good and bad

Needs cuobjdump, which calls nvdisasm: from the CUDA toolkit, or pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm.
Exits with 77 (skipped) where there is nothing to read or nothing to read it with.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SKIPPED = 77

# Tensor-core instructions, and the architectures whose code must have one; wgmma is HGMMA and only on sm_90a.
ANY_PRODUCT = ({"HMMA", "HGMMA"}, None)
WGMMA = ({"HGMMA"}, {"sm_90a"})

# Kernels that multiply on tensor cores in every form, by operator's folder.
PRODUCTS = [
    ("conv2d", "conv2d_product_kernel", ANY_PRODUCT),
    ("conv2d", "conv2d_product_wgmma_kernel", WGMMA),
    ("conv2d", "conv2d_weight_kernel", ANY_PRODUCT),
    ("conv2d", "conv2d_weight_wgmma_kernel", WGMMA),
    ("conv2d", "outer_products_wgmma_kernel", WGMMA),
    ("conv2d", "conv2d_stem_kernel", ANY_PRODUCT),
    ("conv2d", "conv2d_stem_weight_kernel", ANY_PRODUCT),
    ("linear", "linear_mma_kernel", ANY_PRODUCT),
    ("point_mlp", "point_mlp_maxima_mma_kernel", ANY_PRODUCT),
    ("point_mlp", "point_mlp_maxima_wgmma_kernel", WGMMA),
    ("point_mlp", "point_mlp_values_mma_kernel", ANY_PRODUCT),
    ("point_mlp", "point_mlp_backward_rows_mma_kernel", ANY_PRODUCT),
    ("point_mlp", "point_mlp_backward_rows_wgmma_kernel", WGMMA),
    ("point_mlp", "point_mlp_backward_w3_mma_kernel", ANY_PRODUCT),
    ("point_mlp", "outer_products_wgmma_kernel", WGMMA),
]
# The others whose time grows with pairs, tasks or weights. Not here: what is done once per call on a few numbers, and
# point_mlp layer by layer, which calls linear, layer_norm and point_max.
OTHERS = {
    "adam_step": ["adam_step_kernel"],
    "batch_norm": ["batch_norm_moments_kernel", "batch_norm_combine_kernel", "batch_norm_normalize_kernel",
                   "batch_norm_sums_kernel", "batch_norm_apply_kernel"],
    "concat_columns": ["concat_columns_forward_kernel", "concat_columns_backward_kernel"],
    "conv2d": ["conv2d_f32_kernel", "conv2d_f32_weight_kernel", "conv2d_pack_kernel", "conv2d_add_parts_kernel"],
    "formula_posterior": ["formula_errors_kernel", "formula_gradients_kernel", "formula_values_kernel",
                          "formula_sweep_kernel"],
    "global_avg_pool": ["global_avg_pool_forward_kernel", "global_avg_pool_backward_kernel"],
    "gradient_guard": ["gradient_guard_kernel"],
    "gumbel_softmax": ["gumbel_softmax_forward_kernel", "gumbel_softmax_backward_kernel"],
    "image_batch": ["image_batch_kernel"],
    "layer_norm": ["layer_norm_forward_kernel", "layer_norm_backward_data_kernel", "layer_norm_backward_weight_kernel"],
    "linear": ["linear_forward_kernel", "linear_backward_data_kernel", "linear_backward_weight_kernel",
               "linear_backward_bias_kernel"],
    "max_pool2d": ["max_pool2d_forward_kernel", "max_pool2d_backward_kernel"],
    "pair_batch": ["pair_batch_kernel"],
    "point_max": ["point_max_forward_kernel", "point_max_backward_kernel"],
    "point_mlp": ["point_mlp_maxima_f32_kernel", "point_mlp_merge_maxima_kernel", "point_mlp_list_winners_kernel",
                  "point_mlp_sort_winners_kernel", "point_mlp_backward_rows_f32_kernel",
                  "point_mlp_backward_w3_f32_kernel", "point_mlp_backward_w6_kernel", "point_mlp_add_parts_kernel",
                  "point_mlp_backward_symbols_kernel", "point_mlp_values_f32_kernel", "point_mlp_find_values_kernel",
                  "point_mlp_look_up_kernel"],
    "program_length": ["program_length_forward_kernel", "program_length_backward_kernel"],
    "repeat_rows": ["repeat_rows_forward_kernel", "repeat_rows_backward_kernel"],
    "soft_exec": ["soft_exec_forward_kernel", "soft_exec_backward_kernel", "soft_exec_general_forward_kernel",
                  "soft_exec_general_backward_kernel"],
    "task_loss": ["task_loss_forward_kernel", "task_loss_backward_kernel"],
    "tree_exec": ["tree_exec_forward_kernel", "tree_exec_backward_kernel"],
}
HOT_KERNELS = sorted(PRODUCTS + [(folder, kernel, None) for folder, kernels in OTHERS.items() for kernel in kernels],
                     key=lambda row: row[0])

RESOURCES = re.compile(r"^\s*Function (\S+):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", re.MULTILINE)
ARCHITECTURE = re.compile(r"^\s*arch = (\S+)", re.MULTILINE)
FUNCTION = re.compile(r"^\s*Function : (\S+)", re.MULTILINE)
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_]+)", re.MULTILINE)
LOCAL_MEMORY = {"LDL", "STL"}


def is_kernel(mangled, kernel):
    """Whether a mangled name is that of the kernel: names are preceded by their length."""
    return f"{len(kernel)}{kernel}" in mangled


def split_by(pattern, text):
    """(match's first group, text up to the next match) for every match."""
    matches = list(pattern.finditer(text))
    ends = [m.start() for m in matches[1:]] + [len(text)]
    return [(m.group(1), text[m.end():end]) for m, end in zip(matches, ends)]


def problems_of(kernel, product, resources, sass):
    """(forms found, problems) of one kernel, from cuobjdump's output for one object."""
    forms, read, problems = 0, 0, []
    for architecture, text in split_by(ARCHITECTURE, resources):
        for name, registers, stack, local in RESOURCES.findall(text):
            if not is_kernel(name, kernel):
                continue
            forms += 1
            if int(stack) or int(local):
                problems.append(f"{name} for {architecture}: {stack} bytes of stack, {local} of local memory "
                                f"({registers} registers): spills, or an array that is not in registers")
    for architecture, text in split_by(ARCHITECTURE, sass):
        for name, code in split_by(FUNCTION, text):
            if not is_kernel(name, kernel):
                continue
            read += 1
            used = set(INSTRUCTION.findall(code))
            if not used:
                problems.append(f"{name} for {architecture}: no instruction could be read")
            elif used & LOCAL_MEMORY:
                problems.append(f"{name} for {architecture}: uses local memory ({', '.join(sorted(used & LOCAL_MEMORY))})")
            instructions, architectures = product or (set(), set())
            needed = architectures is None or architecture in architectures
            if needed and not used & instructions:
                problems.append(f"{name} for {architecture}: no tensor-core instruction ({' or '.join(sorted(instructions))})")
    if read != forms:
        problems.append(f"{kernel}: {forms} forms have resources, {read} have instructions")
    return forms, problems


def check(objects, read):
    """All problems of the hot kernels; read(object, option) gives cuobjdump's output. Prints a line per kernel."""
    problems = []
    for folder in dict.fromkeys(row[0] for row in HOT_KERNELS):
        own = [o for o in objects if f"kernels/{folder}/" in o]
        if not own:
            print(f"{folder}: has no CUDA kernels in this build")
            continue
        outputs = [(read(o, "--dump-resource-usage"), read(o, "-sass")) for o in own]
        for _, kernel, product in (row for row in HOT_KERNELS if row[0] == folder):
            results = [problems_of(kernel, product, *output) for output in outputs]
            forms = sum(count for count, _ in results)
            found = [problem for _, list_of_object in results for problem in list_of_object]
            if forms == 0:
                found.append(f"{kernel}: not in any object of kernels/{folder}; is the table of {Path(__file__).name} out of date?")
            print(f"{kernel}: {forms} forms, {'FAILED' if found else 'ok'}")
            problems += found
    return problems


def find_tool(name):
    """The tool from PATH, the toolkit's usual place, or NVIDIA's Python packages; None where there is none."""
    folders = os.environ.get("PATH", "").split(os.pathsep) + ["/usr/local/cuda/bin"]
    folders += [str(f) for p in sys.path if p for f in Path(p).glob("nvidia/*/bin")]
    return shutil.which(name, path=os.pathsep.join(folders))


def skip(reason):
    print(f"skipped: {reason}")
    return SKIPPED


def main(objects):
    if not objects:
        return skip("this build has no CUDA kernels (ROAP_CUDA is off, or there is no nvcc)")
    tools = {name: find_tool(name) for name in ("cuobjdump", "nvdisasm")}
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        return skip(f"{' and '.join(missing)} not found; pip install {' '.join(f'nvidia-cuda-{name}' for name in missing)}, "
                    "or install it with the CUDA toolkit")
    path = os.pathsep.join([str(Path(tool).parent) for tool in tools.values()] + [os.environ.get("PATH", "")])

    def read(name, option):
        return subprocess.run([tools["cuobjdump"], option, name], env={**os.environ, "PATH": path}, check=True,
                              capture_output=True, text=True).stdout

    problems = check(objects, read)
    print("\n".join(problems))
    return 1 if problems else 0


def self_test():
    mangled = "_ZN4roap4cuda1_21conv2d_product_kernelILi4EEEvv"
    good = (f"arch = sm_80\n Function {mangled}:\n  REG:99 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:1\n",
            f"arch = sm_80\n\tFunction : {mangled}\n        /*0010*/   @!P0 HMMA.16816.F32.BF16 R4, R8 ;  /* 0x1 */\n")

    def found(old="", new="", kernel="conv2d_product_kernel", product=ANY_PRODUCT):
        return problems_of(kernel, product, *(text.replace(old, new) if old else text for text in good))

    expected = [
        ("good", found(), 1, ""),
        ("stack", found("STACK:0", "STACK:8"), 1, "8 bytes of stack"),
        ("local", found("LOCAL:0", "LOCAL:16"), 1, "16 of local memory"),
        ("spill", found("HMMA.16816.F32.BF16 R4, R8 ;", "HMMA R4 ;\n        /*0020*/  STL.64 [R1], R2 ;"), 1, "uses local memory (STL)"),
        ("CUDA cores", found("HMMA.16816.F32.BF16", "FFMA"), 1, "no tensor-core instruction"),
        ("HMMA for wgmma", found("sm_80", "sm_90a", product=WGMMA), 1, "no tensor-core instruction (HGMMA)"),
        ("wgmma elsewhere", found("HMMA", "FFMA", product=WGMMA), 1, ""),
        ("no product", found("HMMA", "FFMA", product=None), 1, ""),
        ("no code", found("/*0010*/", ""), 1, "no instruction could be read"),
        ("no SASS", found("Function : ", "Name : "), 1, "1 forms have resources, 0 have instructions"),
        ("other kernel", found(kernel="product_kernel"), 0, ""),
    ]
    failures = [name for name, (forms, problems), count, part in expected
                if forms != count or bool(problems) != bool(part) or part not in " ".join(problems)]
    missing = check(["kernels/conv2d/a.o"], lambda name, option: "")
    if len(missing) != sum(row[0] == "conv2d" for row in HOT_KERNELS) or not all("out of date" in problem for problem in missing):
        failures.append("a kernel of the table that is nowhere")
    print(f"self-test: {len(expected) + 1} examples, wrong: {failures or 'none'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main(sys.argv[1:]))
