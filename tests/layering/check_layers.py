#!/usr/bin/env python3
"""Reads the #includes of all sources and fails where one points against the layers, or where a file is too long.

    check_layers.py [ROOT]       checks the repository at ROOT (default: this one)
    check_layers.py --self-test  plants one violation of each rule in a temporary tree and expects to find it
"""

import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from planted import verdict  # noqa: E402

MAX_LINES = 400
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
FOLDERS = ("kernels", "engine", "models", "io", "bin", "bench", "tests")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)

# A file may include its own layer and those below it.
LAYERS = ["common", "kernel", "engine", "operator", "models", "io", "bin"]
# Metrics may know the hidden formulas and symbols; training may not.
GOLD = {"models/data/gold.h", "models/data/benchmark.h"}
PROGRAM_FOLDERS = ("models/programs/", "models/search/")
PROGRAM_COMMON = ("kernels/common/error.h", "kernels/common/parallel.h")
# Words that may stand in few places only, and what to do instead.
WORDS = [
    (re.compile(r"\b__shared__\b"), ("kernels/common/shared.h", "tests/simt/"),
     "__shared__ is for kernels/common/shared.h: say ROAP_SHARED or dynamic_shared"),
    (re.compile(r"\bROAP_SIMT\b"), ("kernels/common/", "tests/simt/", "tests/cuda/cuda_test.h"),
     "only kernels/common, the emulator and tests/cuda/cuda_test.h may tell it apart from CUDA (ROAP_SIMT)"),
]
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def layer_of(path):
    """Layer of a source file by its path, or None for a file outside the layers (tests, bench, cases)."""
    folder, _, name = path.rpartition("/")
    if path.startswith("kernels/common/"):
        return "common"
    if path.startswith("kernels/"):
        if name.endswith("_cases.cpp"):
            return None
        return "operator" if re.search(r"_op\.(h|cpp)$", name) else "kernel"
    first = folder.split("/")[0]
    return first if first in LAYERS else None


def include_problem(path, include):
    """Why `path` must not include `include`, or None."""
    is_case = path.startswith("kernels/") and path.endswith("_cases.cpp")
    is_test_code = is_case or path.startswith(("tests/", "bench/"))
    if include.startswith("tests/") and not is_test_code:
        return "only tests, benchmarks and *_cases.cpp may include tests/"
    if include.endswith("_reference.h") and not is_test_code and not path.endswith("_reference.h"):
        return "references are for tests and benchmarks only"
    if include.startswith("bench/") and not path.startswith(("bench/", "tests/bench/", "tests/bench_cuda/")):
        return "nothing but its tests includes bench/"
    if path.startswith(PROGRAM_FOLDERS):
        allowed = PROGRAM_FOLDERS if path.startswith("models/search/") else PROGRAM_FOLDERS[:1]
        if include not in PROGRAM_COMMON and not include.startswith(allowed):
            return f"programs and search know no engine: only {' '.join(allowed + PROGRAM_COMMON)} are allowed"
    own = "operator" if is_case else layer_of(path)
    target = layer_of(include)
    if own is not None and target is not None and LAYERS.index(target) > LAYERS.index(own):
        return f"layer {own} must not include layer {target}"
    return None


def word_problems(path, text):
    """Words in the code, comments aside, that have no place in this file."""
    code = COMMENT.sub("", text)
    return [reason for word, places, reason in WORDS if word.search(code) and not path.startswith(places)]


def reach(start, includes):
    """Files that `start` includes, directly or not, each with the file it came from. A header brings its .cpp along."""
    origin = {start: None}
    queue = [start]
    while queue:
        path = queue.pop()
        source = path[:-2] + ".cpp"
        following = list(includes.get(path, []))
        if path.endswith(".h") and source in includes:
            following.append(source)
        for include in following:
            if include not in origin:
                origin[include] = path
                queue.append(include)
    return origin


def gold_problems(includes):
    """Training, and everything it pulls in, must be unable to name the hidden truth."""
    problems = []
    training = [p for p in includes if p.startswith(("models/trainer.", "engine/"))]
    for start in sorted(training):
        origin = reach(start, includes)
        for gold in sorted(GOLD & origin.keys()):
            chain = [gold]
            while origin[chain[-1]] is not None:
                chain.append(origin[chain[-1]])
            problems.append(f"{start}: training reaches the hidden truth: {' <- '.join(chain)}")
    return problems


def check(root):
    """All violations in the tree at `root`, one line each."""
    problems, includes = [], {}
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in SUFFIXES or not file.is_file():
                continue
            path, text = file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")
            includes[path] = INCLUDE.findall(text)
            lines = text.count("\n")
            if lines > MAX_LINES:
                problems.append(f"{path}: {lines} lines; at most {MAX_LINES} are allowed, split it")
            problems += [f"{path}: {reason}" for reason in word_problems(path, text)]
    for path, list_of_path in includes.items():
        for include in list_of_path:
            if "/" not in include or not (root / include).is_file():
                problems.append(f"{path}: include \"{include}\" is not a path from the repository's root")
                continue
            reason = include_problem(path, include)
            if reason:
                problems.append(f"{path}: includes {include}: {reason}")
    return problems + gold_problems(includes), len(includes)


# Rule -> files of a tiny tree that breaks it, and a part of the expected message.
PLANTED = {
    "engine includes an operator": ({"engine/a.h": '#include "kernels/x/x_op.h"\n', "kernels/x/x_op.h": ""},
                                    "engine/a.h: includes kernels/x/x_op.h: layer engine must not include layer operator"),
    "kernel includes the engine": ({"kernels/x/x_cpu.cpp": '#include "engine/a.h"\n', "engine/a.h": ""},
                                   "layer kernel must not include layer engine"),
    "common includes a kernel": ({"kernels/common/a.h": '#include "kernels/x/x.h"\n', "kernels/x/x.h": ""},
                                 "layer common must not include layer kernel"),
    "operator includes a model": ({"kernels/x/x_op.cpp": '#include "models/m.h"\n', "models/m.h": ""},
                                  "layer operator must not include layer models"),
    "model includes io": ({"models/m.h": '#include "io/config.h"\n', "io/config.h": ""}, "layer models must not include layer io"),
    "io includes bin": ({"io/a.h": ' #  include "bin/b.h"\n', "bin/b.h": ""}, "layer io must not include layer bin"),
    "programs include the engine": ({"models/programs/p.h": '#include "engine/a.h"\n', "engine/a.h": ""}, "know no engine"),
    "programs include search": ({"models/programs/p.h": '#include "models/search/s.h"\n', "models/search/s.h": ""}, "know no engine"),
    "search includes a model": ({"models/search/s.cpp": '#include "models/m.h"\n', "models/m.h": ""}, "know no engine"),
    "product includes tests": ({"engine/a.cpp": '#include "tests/ops/t.h"\n', "tests/ops/t.h": ""}, "may include tests/"),
    "product includes a reference": ({"kernels/x/x_cpu.cpp": '#include "kernels/x/x_reference.h"\n', "kernels/x/x_reference.h": ""},
                                     "references are for tests"),
    "a case includes a model": ({"kernels/x/x_cases.cpp": '#include "models/m.h"\n', "models/m.h": ""},
                                "layer operator must not include layer models"),
    "training includes gold": ({"models/trainer.cpp": '#include "models/data/gold.h"\n', "models/data/gold.h": ""},
                               "training reaches the hidden truth: models/data/gold.h <- models/trainer.cpp"),
    "training reaches gold through another file": (
        {"models/trainer.h": '#include "models/m.h"\n', "models/m.h": "", "models/m.cpp": '#include "models/data/benchmark.h"\n',
         "models/data/benchmark.h": ""}, "models/data/benchmark.h <- models/m.cpp <- models/m.h <- models/trainer.h"),
    "a long file": ({"io/a.cpp": "\n" * (MAX_LINES + 1)}, "401 lines"),
    "shared memory without ROAP_SHARED": ({"kernels/x/x_cuda.cu": "__shared__ float x[32];\n"}, "say ROAP_SHARED"),
    "shared memory in a header for device code": ({"kernels/common/a.cuh": "extern __shared__ int x[];\n"}, "say ROAP_SHARED"),
    "a kernel knows the emulator": ({"kernels/x/x_cuda.cu": "#ifdef ROAP_SIMT\n#endif\n"}, "tell it apart from CUDA"),
    "a relative include": ({"io/a.cpp": '#include "a.h"\n', "io/a.h": ""}, "not a path from the repository's root"),
}

ALLOWED = {
    "kernels/x/x.h": '#include "kernels/common/error.h"\n', "kernels/common/error.h": "", "engine/a.h": '#include "kernels/x/x.h"\n',
    "kernels/x/x_op.h": '#include "engine/a.h"\n', "models/m.h": '#include "kernels/x/x_op.h"\n', "io/i.h": '#include "models/m.h"\n',
    "bin/b.cpp": '#include "io/i.h"\n#include "models/data/gold.h"\n', "models/data/gold.h": '#include "models/programs/p.h"\n',
    "models/programs/p.h": '#include "kernels/common/error.h"\n', "tests/t.h": '#include "engine/a.h"\n',
    "kernels/x/x_cases.cpp": '#include "tests/t.h"\n#include "kernels/x/x_reference.h"\n',
    "kernels/x/x_reference.h": '#include "kernels/x/x.h"\n', "io/long.cpp": "\n" * MAX_LINES,
    "kernels/common/shared.h": "#ifdef ROAP_SIMT\n#else\n__shared__ int x;\n#endif\n", "kernels/x/x_cuda.cu": "// __shared__\n",
}


def problems_of_tree(files):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return check(Path(folder))[0]


def self_test():
    return verdict(problems_of_tree(ALLOWED), [(rule, expected, problems_of_tree(files)) for rule, (files, expected) in PLANTED.items()])


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
    problems, count = check(root)
    for problem in problems:
        print(problem)
    print(f"layers: {count} files, {len(problems)} violations")
    if count == 0:
        print(f"layers: no sources under {root}")
        return 1
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
