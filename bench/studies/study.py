"""What the studies share: running roap out of other programs' way, with its processor time, and the options that say where."""
import argparse
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run_roap(arguments, *words, **streams):
    """Exit code, processor seconds and peak memory in MiB of `roap WORDS` at lowered priority; `streams` as Popen takes them."""
    process = subprocess.Popen(["nice", "-n", "5", str(arguments.roap), *map(str, words)], **streams)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def options_of(description):
    """A parser of options that has those of every study."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--roap", type=pathlib.Path, default=ROOT / "build/release/roap")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench/results")
    return parser


def options_of_trainings(description, seeds):
    """The same for studies that train once for each seed, `seeds` of them."""
    parser = options_of(description)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--preset", default="digits")
    return parser
