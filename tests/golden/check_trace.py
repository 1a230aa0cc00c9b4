"""Recomputes a file of `roap trace` in PyTorch, from its weights, inputs and noise alone, and compares.

    python tests/golden/check_trace.py TRACE.safetensors [--rows N]      needs torch, torchvision, safetensors

Reference: the same step in float64; beside it PyTorch's own float32, the worst of three ways to compute it (contiguous,
channels last, pairs in reverse order). Criteria, relative to the reference:
  winners    the pair that the file names for a maximum over the set: below the largest value by at most 4 times PyTorch's own
             error of those values. Where pairs are that close, which one wins is a matter of rounding and the gradient
             jumps with it, so everything else is computed through the file's winners;
  outputs    symbols, logits, z, yhat, length, loss (method marginal: symbols, evidence, loss; an MLP: symbols, yhat, loss): largest error within 1e-4 of the largest value, or within 3 times
             PyTorch's own where that is more (programs of high degree amplify rounding);
  gradients  error norm within 3 times PyTorch's own, plus a floor of 1e-6 of the gradient's norm;
  after      weights after Adam, recomputed in float64 from the file's own gradients: every change of a weight within
             1e-4 of the learning rate plus one rounding of the weight.
Prints the worst of each kind. Exit status 1 when something is out of bounds, missing or not finite.
"""

import argparse
import json
import sys

import torch
from safetensors import safe_open

import reference

OUTPUT_TOLERANCE = 1e-4
OWN_FACTOR = 3.0
GRADIENT_FLOOR = 1e-6
WINNER_FACTOR = 4.0  # rows compared, reference and own: two roundings on each side
AFTER_TOLERANCE = 1e-4


def group(tensors, prefix):
    """Tensors whose names start with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


class Trace:
    """The file: tensors by name, the run's config (nested dicts) and the step's numbers."""

    def __init__(self, path):
        with safe_open(path, "pt") as file:
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}
            self.metadata = file.metadata() or {}
        self.config = json.loads(self.metadata["config"])
        self.symbols = self.tensors["symbols"].shape[1]

    def number(self, key):
        return float(self.metadata[key])

    def setting(self, path, default=None):
        section, key = path.split(".")
        return self.config[section].get(key, default)

    def group(self, prefix):
        return group(self.tensors, prefix)

    def sketch(self):
        if self.setting("model.sketch") == "tree" or self.setting("train.method") == "tree":
            return reference.Tree(int(self.setting("model.depth")), self.symbols)
        return reference.StraightLine(int(self.setting("model.lines")), self.symbols)

    def learning_rate(self, name):
        rate = self.number("grounder_lr") if name.startswith("grounder.") else 0.0
        return rate or self.number("lr")


def ground(trace, weights, images, memory_format):
    """images [B*V, C, H, W] -> symbols [B, V], BatchNorm in train mode."""
    module = reference.make_grounder(trace.setting("model.grounder"), trace.setting("model.stem"),
                                     int(trace.setting("model.grounder_width", 16)), images.shape[1])
    module.to(images.dtype).train()
    state = group(weights, "grounder.")
    buffers = {n.removeprefix("grounder."): b.to(images.dtype, copy=True) for n, b in trace.group("buffer.").items()}
    own = module.state_dict()
    missing = [n for n in own if n not in state and n not in buffers and not n.endswith("num_batches_tracked")]
    extra = [n for n in state if n not in own or own[n].shape != state[n].shape]
    if missing or extra:
        raise SystemExit(f"the grounder's weights do not fit {trace.setting('model.grounder')}: "
                         f"missing {missing}, unfitting {extra}")
    images = images.contiguous(memory_format=memory_format)
    state = {n: w.contiguous(memory_format=memory_format) if w.dim() == 4 else w for n, w in state.items()}
    return torch.func.functional_call(module, state | buffers, (images,)).view(-1, trace.symbols)


def synthesizer(trace, weights, y, logits):
    """Module and its weights."""
    state = group(weights, "synthesizer.")
    module = reference.Synthesizer(trace.symbols, state["mlp_out.0.weight"].shape[0], logits).to(y.dtype)
    module.load_state_dict(state)  # strict: names and shapes
    return module, state


def synthesise(trace, weights, y, symbols, logits, winners):
    if trace.setting("train.method") == "free":
        return weights["free.logits"]
    module, state = synthesizer(trace, weights, y, logits)
    return torch.func.functional_call(module, state, (y, symbols, winners))


def recompute(trace, dtype, memory_format=torch.contiguous_format, reverse=False):
    """One step: dict of outputs, dict of gradients by weight name."""
    order = torch.arange(trace.tensors["batch.y"].shape[1])
    order = order.flip(0) if reverse else order
    images = trace.tensors["batch.inputs"].to(dtype)
    images = images.view(len(order), trace.symbols, *images.shape[1:])[order].flatten(0, 1)
    y, sigma = trace.tensors["batch.y"].to(dtype)[:, order], trace.tensors["sigma"].to(dtype)
    weights = {n: w.to(dtype, copy=True).requires_grad_() for n, w in trace.group("param.").items()}
    sketch = trace.sketch()

    symbols = ground(trace, weights, images, memory_format)
    method = trace.setting("train.method")
    outputs = {"symbols": symbols[order]}
    if method in ("marginal", "hybrid"):
        outputs |= posterior(trace, symbols, y, sigma)
        outputs["loss"].backward()
        symbols = symbols.detach()
    if method == "marginal":
        return finish(outputs, weights)
    if method.startswith("mlp-"):
        yhat = reference.mlp_head(weights, symbols)
        loss = reference.task_loss(trace.setting("train.loss"), yhat, y, sigma, floor=trace.number("loss_floor"))
        loss.backward()
        return finish(outputs | {"yhat": yhat[:, order], "loss": loss.view(1)}, weights)
    winners = {n: order.argsort()[w.long()] for n, w in trace.group("winner.").items()}
    logits = synthesise(trace, weights, y, symbols, sum(sketch.groups), winners or None)
    noisy = trace.setting("train.method") != "softmax" and "noise.gumbel" in trace.tensors
    noise = trace.tensors["noise.gumbel"].to(dtype) if noisy else 0.0  # [T samples, P]
    samples = int(trace.setting("train.samples", 1))
    z = reference.gumbel_softmax(logits.repeat_interleave(samples, 0), noise, trace.number("sharpness"), sketch.groups,
                                 bool(trace.setting("train.straight_through", False)))
    yhat, length = sketch.execute(z, symbols), sketch.length(z)
    floor = trace.number("loss_floor")
    loss = reference.task_loss(trace.setting("train.loss"), yhat, y, sigma, length, trace.number("lambda"), floor)
    loss.backward()
    outputs |= {"logits": logits, "z": z, "yhat": yhat[:, order], "length": length,
                "program_loss" if method == "hybrid" else "loss": loss.view(1)}
    return finish(outputs, weights)


def posterior(trace, symbols, y, sigma):
    """Every formula evaluated as it is written."""
    columns = {f"s{j + 1}": symbols[:, j] for j in range(trace.symbols)}
    values = torch.stack([eval(f, {"__builtins__": {}}, columns) for f in json.loads(trace.metadata["formulas"])])
    operators = torch.tensor(json.loads(trace.metadata["operators"]), dtype=symbols.dtype)
    evidence, loss = reference.formula_posterior(values, y, sigma, trace.number("temperature"),
                                                 float(trace.setting("search.floor")),
                                                 float(trace.setting("search.penalty")) * operators)
    return {"evidence": evidence, "loss": loss.view(1)}


def finish(outputs, weights):
    gradients = {n: w.grad if w.grad is not None else torch.zeros_like(w) for n, w in weights.items()}
    return {n: t.detach() for n, t in outputs.items()}, gradients


class Report:
    """Rows (kind, name, error, allowed); a row passes when error <= allowed."""

    def __init__(self):
        self.rows = []

    def add(self, kind, name, error, allowed):
        self.rows.append((kind, name, float(error), float(allowed)))

    def failures(self):
        return [r for r in self.rows if not r[2] <= r[3]]  # NaN fails

    def print(self, count):
        for kind in dict.fromkeys(r[0] for r in self.rows):
            rows = [r for r in self.rows if r[0] == kind]
            rows.sort(key=lambda r: r[2] / max(r[3], 1e-300) if r[2] == r[2] else float("inf"), reverse=True)
            print(f"{kind}: {len(rows)} tensors, worst first\n  {'error':>10} {'allowed':>10}  name")
            for _, name, error, allowed in rows[:count]:
                print(f"  {error:10.2e} {allowed:10.2e}  {name}{'' if error <= allowed else '   FAILED'}")


def compare_shapes(trace, name, expected):
    """The file's tensor in float64; a missing one or a wrong shape ends the check."""
    if name not in trace.tensors:
        raise SystemExit(f"the trace lacks {name}")
    found = trace.tensors[name].double()
    if found.shape != expected.shape:
        raise SystemExit(f"{name}: expected shape {list(expected.shape)}, got {list(found.shape)}")
    return found


def relative(error, scale):
    return float(error) / max(float(scale), 1e-300) if error else 0.0


def check_outputs(trace, report, exact, single):
    for name in exact:
        output, largest = exact[name], exact[name].abs().max()
        error = (compare_shapes(trace, name, output) - output).abs().max()
        own = max((s[name].double() - output).abs().max() for s in single)
        allowed = max(OUTPUT_TOLERANCE, OWN_FACTOR * relative(own, largest))
        report.add("outputs", name, relative(error, largest), allowed)


def check_gradients(trace, report, exact, single):
    for name, gradient in exact.items():
        norm = gradient.norm()
        error = (compare_shapes(trace, "grad." + name, gradient) - gradient).norm()
        own = max((s[name].double() - gradient).norm() for s in single)
        report.add("gradients", name, relative(error, norm), OWN_FACTOR * relative(own, norm) + GRADIENT_FLOOR)


def clip_factor(trace, gradients):
    """What train.clip multiplies all gradients with; grad.* are the gradients before it."""
    clip = float(trace.setting("train.clip", 0.0))
    norm = torch.sqrt(sum((g ** 2).sum() for g in gradients.values())).item()
    return clip / norm if 0 < clip < norm else 1.0


def check_winners(trace, report):
    """Every winner is the largest row, or as good as it within rounding."""
    winners = trace.group("winner.")
    if not winners:
        return
    y, symbols = trace.tensors["batch.y"], trace.tensors["symbols"]
    modules = []
    for dtype in (torch.float64, torch.float32):
        weights = {n: w.to(dtype) for n, w in trace.group("param.").items()}
        logits = weights["synthesizer.mlp_prog.6.weight"].shape[0]
        modules.append(synthesizer(trace, weights, y.to(dtype), logits)[0])
    distance, own = {}, {}  # of each piece, by name
    for tasks in reference.Synthesizer.chunks(y):
        with torch.no_grad():
            exact = modules[0].rows(y[tasks].double(), symbols.double())
            single = modules[1].rows(y[tasks].float(), symbols.float())
        for name, rows in exact.items():
            taken = rows.gather(1, winners[name][tasks].long()[:, None]).squeeze(1)
            distance.setdefault(name, []).append((rows.amax(1) - taken).max())
            own.setdefault(name, []).append((single[name].double() - rows).abs().max())
    for name in distance:
        report.add("winners", name, torch.stack(distance[name]).max(), WINNER_FACTOR * torch.stack(own[name]).max())


def check_after(trace, report):
    """Adam from the file's own gradients. Its moments are zero before step 0; later ones need moment1.*, moment2.*."""
    gradients = {n: g.double() for n, g in trace.group("grad.").items()}
    moments = [trace.group(f"moment{k}.") for k in (1, 2)]
    step = int(trace.number("step"))
    if step > 0 and not moments[0]:
        print(f"after: not checked, the trace of step {step} has no moments before it")
        return
    factor, eps = clip_factor(trace, gradients), float(trace.setting("train.eps"))
    for name, weight in trace.group("param.").items():
        weight = weight.double()
        before = [m[name].double() if name in m else torch.zeros_like(weight) for m in moments]
        rate = trace.learning_rate(name)
        expected, _, _ = reference.adam_update(weight, factor * gradients[name], *before, step + 1, rate, eps)
        if name.startswith("grounder.fc."):  # re-gauged after the update
            offset = float(trace.metadata.get("gauge_b", 0)) if name.endswith("bias") else 0.0
            expected = float(trace.metadata.get("gauge_a", 1)) * expected + offset
        rounding = 2.0 ** -23 * torch.maximum(weight.abs(), expected.abs())
        error = ((compare_shapes(trace, "after." + name, expected) - expected).abs() - rounding).max()
        report.add("after", name, max(float(error), 0.0) if error == error else error, AFTER_TOLERANCE * rate)


def main():
    parser = argparse.ArgumentParser(description="Recomputes a trace in PyTorch and compares.")
    parser.add_argument("trace")
    parser.add_argument("--rows", type=int, default=6, help="rows printed of each kind")
    arguments = parser.parse_args()
    trace = Trace(arguments.trace)
    torch.manual_seed(0)

    exact = recompute(trace, torch.float64)
    single = [recompute(trace, torch.float32), recompute(trace, torch.float32, torch.channels_last),
              recompute(trace, torch.float32, reverse=True)]
    report = Report()
    check_winners(trace, report)
    check_outputs(trace, report, exact[0], [s[0] for s in single])
    check_gradients(trace, report, exact[1], [s[1] for s in single])
    check_after(trace, report)
    report.print(arguments.rows)
    failures = report.failures()
    print(f"{len(report.rows) - len(failures)} of {len(report.rows)} within bounds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
