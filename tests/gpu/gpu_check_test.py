#!/usr/bin/env python3
"""Tests of gpu_check.py without a GPU: stand-ins take the place of the driver, the programs and compute-sanitizer."""

import contextlib
import io
import json
import os
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import gpu_check  # noqa: E402

GOOD_TESTS = "print('[==========] 7 tests from 2 test suites ran.\\n[  PASSED  ] 5 tests.\\n[  SKIPPED ] 2 tests.')"
ROAP = r"""
import json, pathlib, sys
arguments = sys.argv[1:]
value = lambda option: arguments[arguments.index(option) + 1]
settings = dict(a.split("=", 1) for a, before in zip(arguments[1:], arguments) if before == "--set")
if settings.get("device.precision") == "bf16" and not HAS_BF16:
    sys.exit("device.precision: \"bf16\" is not available in this version; allowed: f32")
if "device.conv" in settings:
    sys.exit("device.conv = cudnn: this program was built without that library; set device.conv=own")
if arguments[0] == "doctor":
    print(json.dumps({"self_test_ok": True}))
elif arguments[0] == "train":
    folder, scale = pathlib.Path(value("--out")), CUDA_SCALE if value("--device") == "cuda" else 1
    folder.mkdir()
    lines = [{"step": n, "loss": scale / n} for n in range(1, int(settings["train.steps"]) + 1)] + [{"kind": "final"}]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    print(json.dumps({"seconds": 1.5}))
else:
    images = pathlib.Path(settings["data.source"].split(":")[1])
    assert all(f.stat().st_size == 10000 * 3073 and f.read_bytes()[0] == 0 for f in images.iterdir()), images
    assert len(list(images.iterdir())) == 6
    seconds = {"conv2d": 2e-4, "conv2d_backward_data": 3e-4, "point_mlp": 9.1e-4, "point_mlp_backward": 2e-4, "reshape": 1.0}
    print(json.dumps({"operators": [{"operator": name, "seconds": s} for name, s in seconds.items()]} |
                     {key: 2e-3 for key in ("device", "steps", "step_seconds", "node_seconds", "bytes_per_second",
                                            "f32_flop_per_second", "bf16_flop_per_second")}))
"""


class GpuCheckTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.program("compute-sanitizer", "import os, sys; a = sys.argv; i = a.index('20') + 1; os.execv(a[i], a[i:])")
        path, probe = os.environ["PATH"], gpu_check.driver_and_cards
        os.environ["PATH"] = f"{self.folder}{os.pathsep}{path}"
        self.addCleanup(lambda: (os.environ.update(PATH=path), setattr(gpu_check, "driver_and_cards", probe)))
        gpu_check.driver_and_cards = lambda: ("13.0", ["Stand-in (card)"], "")

    def program(self, name, text):
        file = self.folder / name
        file.write_text(f"#!{sys.executable}\n{text}\n")
        file.chmod(0o755)

    def check(self, tests=GOOD_TESTS, cuda_scale="1.00001", bf16=False, options=()):
        """Exit code, status of every step by name, whole report."""
        self.program("test_gpu", tests)
        self.program("roap", ROAP.replace("CUDA_SCALE", cuda_scale).replace("HAS_BF16", str(bf16)))
        code = self.main("--binaries", str(self.folder), "--out", str(self.folder / "out"), *options)
        reports = list((self.folder / "out").glob("*-Stand-in-card.json"))
        self.assertEqual(len(reports), 1)
        report = json.loads(reports[0].read_text())
        return code, {step["name"]: step["status"] for step in report["steps"]}, report

    def main(self, *arguments):
        sys.argv = ["gpu_check.py", *arguments]
        self.errors = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(self.errors):
            return gpu_check.main()

    def test_everything_passes(self):
        code, status, report = self.check()
        self.assertEqual(code, 0)
        self.assertTrue(report["passed"])
        self.assertEqual({name for name, value in status.items() if value != "passed"},
                         {"training cuda bf16", "training cuda f32 by cuDNN and cuBLASLt", "profile bf16 256 pairs",
                          "profile bf16 1024 pairs", "profile bf16 4096 pairs"})
        self.assertEqual({value for value in status.values()}, {"passed", "unavailable"})
        steps = {step["name"]: step for step in report["steps"]}
        self.assertEqual((steps["tests"]["tests_passed"], steps["tests"]["tests_skipped"]), (5, 2))
        self.assertEqual(len(steps["training cuda f32"]["loss"]), gpu_check.TRAINING_STEPS)
        self.assertEqual(steps["profile f32 1024 pairs"]["step_seconds"], 2e-3)
        self.assertEqual(steps["profile f32 1024 pairs"]["beside_predictions"], [])
        self.assertEqual(report["cards"], ["Stand-in (card)"])

    def test_measurements_in_bf16_stand_beside_predictions(self):
        _, status, report = self.check(bf16=True)
        self.assertEqual(status["profile bf16 256 pairs"], "passed")
        steps = {step["name"]: step["beside_predictions"] for step in report["steps"] if "beside_predictions" in step}
        self.assertEqual(steps["profile bf16 256 pairs"], [{"name": "step", "ms": 2.0, "predicted_ms": 1.1, "missed": True}])
        rows = {row["name"]: row for row in steps["profile bf16 1024 pairs"]}
        self.assertAlmostEqual(rows["images and ResNet-18"]["ms"], 0.5)
        self.assertAlmostEqual(rows["point_mlp, backward"]["ms"], 0.2)
        self.assertEqual({name for name, row in rows.items() if row["missed"]}, {"point_mlp"})

    def test_the_published_setting_in_both_precisions(self):
        code, status, report = self.check(bf16=True, options=["--cifar10", str(self.folder)])
        self.assertEqual((status["paper cuda f32"], status["paper cuda bf16"]), ("passed", "passed"))
        steps = {step["name"]: step for step in report["steps"]}
        self.assertEqual(len(steps["paper cuda bf16"]["loss"]), gpu_check.PAPER_STEPS // gpu_check.PAPER_EVERY)
        self.assertEqual(steps["paper cuda bf16"]["difference_of_means"], [0.0] * 10)
        self.assertNotIn("difference_of_means", steps["paper cuda f32"])
        _, status, _ = self.check(bf16=True, cuda_scale="float('nan')", options=["--cifar10", str(self.folder)])
        self.assertEqual(status["paper cuda f32"], "failed")

    def test_failing_tests_fail_and_the_rest_still_runs(self):
        code, status, report = self.check(tests="import sys; print('[  FAILED  ] conv2d'); sys.exit(1)")
        self.assertEqual((code, report["passed"]), (1, False))
        self.assertEqual([status[name] for name in ("tests", "memcheck", "training cuda f32")], ["failed", "failed", "passed"])
        self.assertIn("conv2d", report["steps"][1]["reason"])

    def test_no_tests_at_all_fail(self):
        _, status, _ = self.check(tests="print('[  PASSED  ] 0 tests.')")
        self.assertEqual(status["tests"], "failed")

    def test_other_losses_fail(self):
        for scale in ("1.01", "float('nan')"):
            code, status, _ = self.check(cuda_scale=scale)
            self.assertEqual((code, status["training cuda f32"]), (1, "failed"))

    def test_time_is_bounded(self):
        started = time.monotonic()
        code, status, _ = self.check(tests="import time; time.sleep(600)", options=["--budget", "2"])
        self.assertLess(time.monotonic() - started, 60)
        self.assertEqual((code, status["tests"], status["profile f32 256 pairs"]), (1, "failed", "failed"))

    def test_steps_left_out_do_not_pass(self):
        code, status, _ = self.check(options=["--without", "profile", "memcheck"])
        self.assertEqual((code, status["memcheck"], status["tests"]), (1, "left out", "passed"))

    def test_without_a_gpu(self):
        gpu_check.driver_and_cards = lambda: (None, [], "no NVIDIA driver is installed")
        for arguments in ([], ["--probe"]):
            self.assertEqual(self.main(*arguments), 5)
            self.assertIn("no NVIDIA driver is installed. This check needs a machine with", self.errors.getvalue())

    def test_without_binaries(self):
        self.assertEqual(self.main("--binaries", str(self.folder), "--out", str(self.folder)), 2)
        self.assertIn("roap and test_gpu not found", self.errors.getvalue())


if __name__ == "__main__":
    unittest.main()
