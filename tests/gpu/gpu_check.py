#!/usr/bin/env python3
"""Everything that needs a GPU: parity of all operators, compute-sanitizer, training against the CPU, profiles.

    gpu_check.py [--out DIR] [--binaries DIR] [--cifar10 DIR] [--without STEP ...] [--budget SECONDS]
    gpu_check.py --probe          only says whether there is a GPU

Runs from a checkout after `make gpu-check-build`, or from a copy of build/gpu-check/gpu_check on a machine that has a GPU, its
driver and Python 3.8, and nothing else. Writes DIR/DATE-CARD.json after every step (default: this folder). Exit codes: 0 all
steps passed, 1 some did not, 2 the binaries are missing, 5 there is no GPU.
"""

import argparse
import ctypes
import datetime
import glob
import json
import math
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FAILED, USAGE, NO_DEVICE = 1, 2, 5
BUDGET_SECONDS = 450  # of all steps; each has its own limit too

SANITIZED = ":".join(f"*CudaParity.MatchesReference/{op}_*"
                     for op in ("linear", "conv2d", "batch_norm", "layer_norm", "point_mlp", "soft_exec", "gumbel_softmax"))
SANITIZERS = ("memcheck", "racecheck")
TRAINING_STEPS = 120
PAPER_STEPS, PAPER_EVERY = 1000, 10  # steps of the published setting, of which the report has every tenth loss
PAIRS = (256, 1024, 4096)
# Predicted for an H100 in bf16, in milliseconds, by counting bytes and FLOP before anything ran on a card: steps of the published
# setting by pairs, and what groups of operators take of one with 1,024 pairs. Measurements stand beside them.
PREDICTED_STEP = {256: 1.1, 1024: 2.5, 4096: 7.2}
PREDICTED_PAIRS = 1024
PREDICTED_GROUPS = {
    "images and ResNet-18": (("image_batch", "conv2d", "batch_norm", "max_pool2d", "global_avg_pool"), 1.36),
    "point_mlp": (("point_mlp",), 0.60),
    "point_mlp, backward": (("point_mlp_backward",), 0.25),
    "programs, forward and backward": (("soft_exec", "task_loss"), 0.13),
    "Adam": (("adam_step", "gradient_guard"), 0.06),
}
MISS = 1.5  # times the prediction: to be explained
# Losses differ by rounding at first, then chaotically: on the CPU, instruction sets differ by 6e-6 within 20 steps, by up to
# 1.2 (of the loss) at single steps around the fiftieth, and by 0.03 in the mean of later ones.
FIRST_STEPS = 20
FIRST_TOLERANCE = {"f32": 1e-3, "bf16": 5e-2}
LATE_TOLERANCE = {"f32": 0.05, "bf16": 0.1}
SMALLEST_SCALE = 0.1  # the loss passes through 0
# What a build without bf16 or a library says; such a step is reported as unavailable and is no failure.
UNAVAILABLE = ("is not available in this version", "was built without that library")


def driver_and_cards():
    """(driver's CUDA version, names of cards, problem) from the driver itself."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None, [], "no NVIDIA driver is installed (libcuda.so.1 is missing)"
    status = cuda.cuInit(0)
    if status != 0:
        return None, [], f"the NVIDIA driver does not start (cuInit gives error {status}); see nvidia-smi and CUDA_VISIBLE_DEVICES"
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetCount(ctypes.byref(count))
    names = []
    for index in range(count.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        cuda.cuDeviceGet(ctypes.byref(device), index)
        cuda.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode())
    problem = "" if names else "the NVIDIA driver sees no card; see nvidia-smi and CUDA_VISIBLE_DEVICES"
    return f"{version.value // 1000}.{version.value % 1000 // 10}", names, problem


def card_details():
    """What nvidia-smi adds: driver release, memory, clocks, power limit. Empty where it is not installed."""
    fields = ["name", "driver_version", "memory.total", "clocks.max.sm", "clocks.max.mem", "power.limit"]
    try:
        output = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"], check=True,
                                capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(fields, (value.strip() for value in output.splitlines()[0].split(","))))


class StepFailed(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Check:
    """Runs the steps and keeps the report, which is written anew after each."""

    def __init__(self, binaries, report_path, header, budget, without):
        self.binaries, self.path, self.report = binaries, report_path, {**header, "passed": False, "steps": []}
        self.deadline = time.monotonic() + budget
        self.without = without
        self.scratch = Path(tempfile.mkdtemp(prefix="gpu-check-"))
        self.write()

    def write(self):
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.report, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)

    def run(self, command, limit):
        """Output of a program of ours. StepFailed when it fails or takes longer than `limit` seconds or the budget allows."""
        seconds = min(limit, self.deadline - time.monotonic())
        if seconds <= 0:
            raise StepFailed("failed", "no time is left (--budget)")
        try:
            done = subprocess.run([str(part) for part in command], cwd=self.scratch, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, errors="replace", timeout=seconds)
        except subprocess.TimeoutExpired:
            raise StepFailed("failed", f"took longer than {seconds:.0f} s") from None
        except OSError as error:
            raise StepFailed("failed", str(error)) from None
        if done.returncode != 0:
            reason = (done.stderr.strip() or done.stdout.strip())[-2000:]
            status = "unavailable" if any(text in reason for text in UNAVAILABLE) else "failed"
            raise StepFailed(status, f"exit code {done.returncode}: {reason}")
        return done.stdout

    def step(self, name, action):
        """Runs action(), which returns results to report. Gives those, or None where there are none."""
        if name.split(" ")[0] in self.without:
            entry = {"name": name, "status": "left out", "seconds": 0}
        else:
            print(f"{name} ...", end=" ", flush=True)
            started, entry, results = time.monotonic(), {"name": name, "status": "passed"}, {}
            try:
                results = action()
            except StepFailed as failure:
                entry["status"], results = failure.status, {"reason": str(failure)}
            entry["seconds"] = round(time.monotonic() - started, 2)
            entry.update(results)
        print(f"{entry['status']} in {entry['seconds']} s{': ' + entry['reason'] if 'reason' in entry else ''}", flush=True)
        self.report["steps"].append(entry)
        self.write()
        return entry if entry["status"] == "passed" else None

    def finish(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.report["passed"] = all(s["status"] in ("passed", "unavailable") for s in self.report["steps"])
        self.write()
        return self.report["passed"]


def run_tests(check, test_filter="*", tool=(), limit=150):
    """test_gpu, under a tool if one is given; counts of its tests."""
    output = check.run([*tool, check.binaries / "test_gpu", f"--gtest_filter={test_filter}", "--gtest_brief=1"], limit)
    counts = {word: int(number) for word, number in re.findall(r"\[\s+(PASSED|SKIPPED)\s+\] (\d+) tests?[.,]", output)}
    if counts.get("PASSED", 0) == 0:
        raise StepFailed("failed", f"no test passed for {test_filter}: {output[-500:]}")
    return {"tests_passed": counts["PASSED"], "tests_skipped": counts.get("SKIPPED", 0)}


def find_sanitizer():
    folders = [os.environ.get("PATH", ""), *sorted(glob.glob("/usr/local/cuda*/bin"), reverse=True)]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(folders))


def sanitize(check, tool):
    program = find_sanitizer()
    if program is None:
        raise StepFailed("failed", "compute-sanitizer is not installed (it comes with the CUDA toolkit); "
                                   f"--without {tool} does without it")
    return run_tests(check, SANITIZED, [program, "--tool", tool, "--error-exitcode", "9", "--print-limit", "20"], limit=60)


def train(check, device, *settings, preset="digits", steps=TRAINING_STEPS):
    """A short training: the loss of every step."""
    run = check.scratch / f"run-{len(check.report['steps'])}"
    fixed = [f"train.steps={steps}", "train.runs=1", "log.every_steps=1", "log.eval_every_steps=1000000", "checkpoint.every_steps=1000000"]
    command = [check.binaries / "roap", "train", "--preset", preset, "--device", device, "--out", run, "--json"]
    for setting in [*fixed, *settings]:
        command += ["--set", setting]
    result = json.loads(check.run(command, limit=100))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {"training_seconds": result["seconds"], "loss": [line["loss"] for line in lines if "kind" not in line]}


def compare_losses(losses, expected, precision):
    """The largest difference of the first steps and that of the means of the last quarter, as shares of the loss."""
    if len(losses) != len(expected) or not losses:
        raise StepFailed("failed", f"{len(losses)} losses for the CPU's {len(expected)}")

    def difference(a, b):
        return abs(a - b) / max(abs(b), SMALLEST_SCALE)

    first = max(difference(a, b) for a, b in list(zip(losses, expected))[:FIRST_STEPS])
    quarter = max(1, len(losses) // 4)
    late = difference(sum(losses[-quarter:]) / quarter, sum(expected[-quarter:]) / quarter)
    if not (first <= FIRST_TOLERANCE[precision] and late <= LATE_TOLERANCE[precision]):  # also when one is NaN
        raise StepFailed("failed", f"losses differ from the CPU's: first {FIRST_STEPS} steps by {first:.2g} (allowed "
                                   f"{FIRST_TOLERANCE[precision]}), last quarter by {late:.2g} (allowed {LATE_TOLERANCE[precision]})")
    return {"first_difference": first, "late_difference": late}


def train_and_compare(check, expected, precision, *settings):
    result = train(check, "cuda", f"device.precision={precision}", *settings)
    if expected is None:
        raise StepFailed("failed", "there is no training on the CPU to compare with")
    return {**compare_losses(result["loss"], expected["loss"], precision), **result}


def write_noise_images(folder):
    """A folder like CIFAR-10's binary one, with noise: sizes decide the time of a step, not what is to be seen."""
    folder.mkdir()
    generator, records, pixels = random.Random(0), 10000, 3072
    record = bytearray(generator.getrandbits(8 * pixels).to_bytes(pixels, "little"))
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        with open(folder / name, "wb") as file:
            for number in range(records):
                shift = generator.randrange(pixels)
                file.write(bytes([number % 10]) + record[shift:] + record[:shift])


def group_of(operator):
    """The group of PREDICTED_GROUPS that an operator belongs to, by its whole name or without what follows `_backward`."""
    names = (operator, operator.split("_backward")[0])
    return next((group for name in names for group, (operators, _) in PREDICTED_GROUPS.items() if name in operators), None)


def beside_predictions(result, pairs):
    """Rows (name, measured ms, predicted ms) of a profile in bf16."""
    rows = [("step", 1e3 * result["step_seconds"], PREDICTED_STEP[pairs])]
    if pairs == PREDICTED_PAIRS:
        measured = dict.fromkeys(PREDICTED_GROUPS, 0.0)
        for row in result["operators"]:
            if (group := group_of(row["operator"])) is not None:
                measured[group] += 1e3 * row["seconds"]
        rows += [(group, measured[group], predicted) for group, (_, predicted) in PREDICTED_GROUPS.items()]
    return rows


def print_predictions(steps):
    """Every profile that has them, misses marked."""
    for step in steps:
        for row in step.get("beside_predictions", []):
            print(f"{step['name']}: {row['name']}: {row['ms']:.3f} ms, predicted {row['predicted_ms']:.2f}"
                  f"{f', more than {MISS} times as long' if row['missed'] else ''}")


def train_paper(check, folder, precision, expected=None):
    """The first steps of the published setting on real images; the losses beside those in f32, if these are given."""
    result = train(check, "cuda", f"device.precision={precision}", f"data.source=cifar10:{folder.resolve()}", preset="paper",
                   steps=PAPER_STEPS)
    losses = result["loss"]
    if len(losses) != PAPER_STEPS or not all(map(math.isfinite, losses)):
        raise StepFailed("failed", f"{len(losses)} losses for {PAPER_STEPS} steps, or one that is not finite")
    differences = {} if expected is None else {"difference_of_means": mean_differences(losses, expected)}
    return {"training_seconds": result["training_seconds"], "loss": losses[::PAPER_EVERY], **differences}


def mean_differences(losses, expected):
    """Of the means of ten tenths of a run, the difference from those of every tenth loss of another one."""
    def means(values):
        size = len(values) // 10
        return [sum(values[i * size:(i + 1) * size]) / size for i in range(10)]
    return [a - b for a, b in zip(means(losses[::PAPER_EVERY]), means(expected["loss"]))]


def profile(check, images, pairs, precision):
    """Times of a step of the published setting and of each of its operators, in bf16 beside what was predicted."""
    settings = [f"train.pairs_per_step={pairs}", f"device.precision={precision}", f"data.source=cifar10:{images}"]
    command = [check.binaries / "roap", "profile", "--preset", "paper", "--device", "cuda", "--steps", "10", "--json"]
    for setting in settings:
        command += ["--set", setting]
    result = json.loads(check.run(command, limit=60))
    rows = beside_predictions(result, pairs) if precision == "bf16" else []
    predicted = [{"name": name, "ms": ms, "predicted_ms": expected, "missed": ms > MISS * expected} for name, ms, expected in rows]
    return {"beside_predictions": predicted} | {key: result[key] for key in ("device", "steps", "step_seconds", "node_seconds", "bytes_per_second",
                                         "f32_flop_per_second", "bf16_flop_per_second", "operators")}


def run_all(check, cifar10):
    roap = check.binaries / "roap"
    check.step("doctor", lambda: {"doctor": json.loads(check.run([roap, "doctor", "--json"], limit=60))})
    check.step("tests", lambda: run_tests(check))
    for tool in SANITIZERS:
        check.step(tool, lambda tool=tool: sanitize(check, tool))
    expected = check.step("training cpu f32", lambda: train(check, "cpu"))
    for precision in ("f32", "bf16"):
        check.step(f"training cuda {precision}", lambda p=precision: train_and_compare(check, expected, p))
    check.step("training cuda f32 by cuDNN and cuBLASLt",
               lambda: train_and_compare(check, expected, "f32", "device.conv=cudnn", "device.linear=cublaslt"))
    if cifar10 is not None:
        expected = check.step("paper cuda f32", lambda: train_paper(check, cifar10, "f32"))
        check.step("paper cuda bf16", lambda: train_paper(check, cifar10, "bf16", expected))
    images = check.scratch / "noise"
    if "profile" not in check.without:
        write_noise_images(images)
    for precision in ("f32", "bf16"):
        for pairs in PAIRS:
            check.step(f"profile {precision} {pairs} pairs", lambda n=pairs, p=precision: profile(check, images, n, p))
    print_predictions(check.report["steps"])


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Everything that needs a GPU; see the top of this file.")
    parser.add_argument("--out", type=Path, default=here, help="folder of the report")
    parser.add_argument("--binaries", type=Path, default=here, help="folder with roap and test_gpu")
    parser.add_argument("--cifar10", type=Path, help="folder with CIFAR-10's binary files: also trains the published setting, "
                        f"{PAPER_STEPS} steps in f32 and bf16")
    parser.add_argument("--without", nargs="+", default=[], help="steps to leave out (then the check does not pass)",
                        choices=["doctor", "tests", *SANITIZERS, "training", "profile"])
    parser.add_argument("--budget", type=float, default=BUDGET_SECONDS, help="seconds for all steps")
    parser.add_argument("--probe", action="store_true", help="only say whether there is a GPU")
    arguments = parser.parse_args()

    driver, cards, problem = driver_and_cards()
    if problem:
        print(f"gpu-check: {problem}. This check needs a machine with an NVIDIA GPU; `make test` checks the same kernels "
              "on the emulator.", file=sys.stderr)
        return NO_DEVICE
    if arguments.probe:
        print(f"{', '.join(cards)}; driver for CUDA {driver}")
        return 0
    missing = [name for name in ("roap", "test_gpu") if not (arguments.binaries / name).is_file()]
    if missing:
        print(f"gpu-check: {' and '.join(missing)} not found in {arguments.binaries}; build them with `make gpu-check-build`, or "
              "give their folder with --binaries", file=sys.stderr)
        return USAGE

    now = datetime.datetime.now(datetime.timezone.utc)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{now:%Y-%m-%d}-{re.sub('[^A-Za-z0-9]+', '-', cards[0]).strip('-')}.json"
    header = {"date": now.isoformat(timespec="seconds"), "cards": cards, "driver_cuda": driver, "card": card_details(),
              "system": platform.platform()}
    check = Check(arguments.binaries.resolve(), path.resolve(), header, arguments.budget, arguments.without)
    try:
        run_all(check, arguments.cifar10)
    finally:
        passed = check.finish()
    print(f"{'passed' if passed else 'FAILED'}: {path}")
    return 0 if passed else FAILED


if __name__ == "__main__":
    sys.exit(main())
