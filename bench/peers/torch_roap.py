"""The same training step as users would write it in PyTorch: the peers that roap-bench is set against.

    python bench/peers/torch_roap.py [--variant eager ...] [--tasks 500 --pairs 64 --lines 30 --width 256 --threads 2 --steps 3 --json]

torchvision's ResNet-18 with one output, PointNet MLPs over all tasks x pairs rows, Gumbel-softmax, a soft executor as
a loop over lines under autograd, the squared error over sigma^2 with the length prior, torch.optim.Adam (fused). Variants:
  eager           f32
  channels_last   f32, images and filters of the ResNet in NHWC order
  bf16            autocast to bf16
  compile         torch.compile of model and executor
  same_algorithm  f32 with roap's exact savings: MLPs on distinct rows (y per pair, for MLP_out per batch), maxima by gather,
                  gradients through the winning rows only, which are computed again
Prints seconds, the median and the fastest (which other programs disturb least), of the whole step and of
its parts, each forward and backward:
  resnet      images -> symbols, pairs x symbols images of 32x32x3
  point_mlp   all branches (out, io, rel per symbol), max over pairs, gradients of weights and symbols
  soft_exec   z, symbols -> yhat, gradients of both
y are values of a table per task over the symbols behind the images, as in roap's data: `distinct` values on each pair.
"""

import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet18

SYMBOLS = 3
SHARPNESS = 1.0
LENGTH_WEIGHT = 2e-4
VARIANTS = ("eager", "channels_last", "bf16", "compile", "same_algorithm")


def mlp(inputs, width, outputs):
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, outputs))


class WinnersOnly(torch.autograd.Function):
    """Maximum over pairs of an MLP on distinct rows; the backward pass goes through the winning rows, computed again."""

    @staticmethod
    def forward(ctx, network, rows, row_of, *parameters):
        with torch.no_grad():
            values, index = network(rows)[row_of].max(1)  # [tasks, pairs, width] -> [tasks, width]
        winners, inverse = torch.unique(row_of.gather(1, index), return_inverse=True)
        ctx.network, ctx.inverse = network, inverse
        ctx.save_for_backward(rows, winners)
        return values

    @staticmethod
    def backward(ctx, gradient):
        rows, winners = ctx.saved_tensors
        with torch.enable_grad():
            x = rows[winners].detach().requires_grad_()
            z = ctx.network(x)
        dz = torch.zeros_like(z)
        columns = torch.arange(z.shape[1]).expand_as(ctx.inverse)
        dz.index_put_((ctx.inverse, columns), gradient, accumulate=True)
        gradients = torch.autograd.grad(z, [x, *ctx.network.parameters()], dz)
        dx = torch.zeros_like(rows).index_copy_(0, winners, gradients[0])
        return None, dx, None, *gradients[1:]


class PointFeatures(nn.Module):
    """y [T, B], symbols [B, V] -> features [T, (2 + V) width]."""

    def __init__(self, width, same_algorithm):
        super().__init__()
        self.mlp_out = mlp(1, width, width)
        self.mlp_rel = mlp(2, width, width)
        self.mlp_io = mlp(1 + SYMBOLS, width, width)
        self.same_algorithm = same_algorithm

    def forward(self, y, symbols):
        if self.same_algorithm:
            return self.on_distinct_rows(y, symbols)
        y = y.unsqueeze(-1)
        s = symbols.expand(y.shape[0], -1, -1)
        features = [self.mlp_out(y).amax(1), self.mlp_io(torch.cat([y, s], -1)).amax(1)]
        for j in range(SYMBOLS):
            features.append(self.mlp_rel(torch.cat([y, s[..., j:j + 1]], -1)).amax(1))
        return torch.cat(features, -1)

    def on_distinct_rows(self, y, symbols):
        def branch(network, rows, row_of):
            return WinnersOnly.apply(network, rows, row_of, *network.parameters())

        values, value_of = torch.unique(y, return_inverse=True)
        pair = torch.arange(y.shape[1]).expand_as(y)
        cells, row_of = torch.unique(pair * values.numel() + value_of, return_inverse=True)
        cell_y, cell_s = values[cells % values.numel()].unsqueeze(-1), symbols[cells // values.numel()]
        features = [branch(self.mlp_out, values.unsqueeze(-1), value_of),
                    branch(self.mlp_io, torch.cat([cell_y, cell_s], -1), row_of)]
        for j in range(SYMBOLS):
            features.append(branch(self.mlp_rel, torch.cat([cell_y, cell_s[:, j:j + 1]], -1), row_of))
        return torch.cat(features, -1)


class Roap(nn.Module):
    def __init__(self, lines, width, same_algorithm=False):
        super().__init__()
        self.lines = lines
        self.grounder = resnet18(num_classes=1)
        self.features = PointFeatures(width, same_algorithm)
        arguments = [SYMBOLS + line for line in range(lines)]
        self.groups = [4] * lines + arguments + arguments
        self.mlp_prog = mlp((2 + SYMBOLS) * width, width, sum(self.groups))

    def sample(self, logits):
        """Relaxed choices: operators [T, L, 4], left and right arguments [T, L, V + L], zero where unreadable."""
        noise = -torch.log(-torch.log(torch.rand_like(logits).clamp(1e-7, 1 - 1e-7)))
        parts = torch.split((logits + noise) * SHARPNESS, self.groups, -1)
        choices = SYMBOLS + self.lines
        z = [F.pad(p.softmax(-1), (0, choices - p.shape[-1])) for p in parts[self.lines:]]
        operators = torch.stack(parts[:self.lines], 1).softmax(-1)
        return operators, torch.stack(z[:self.lines], 1), torch.stack(z[self.lines:], 1)

    def forward(self, images, y):
        symbols = self.grounder(images).view(-1, SYMBOLS)
        return symbols, self.sample(self.mlp_prog(self.features(y, symbols)))


def execute(operators, left, right, symbols):
    """-> yhat [T, B]: the value of the last line."""
    values = symbols.T.expand(left.shape[0], -1, -1)
    for line in range(left.shape[1]):
        reads = values.shape[1]
        arguments = torch.stack([left[:, line, :reads], right[:, line, :reads]], 1)
        a, b = torch.bmm(arguments, values).unbind(1)
        add, sub, mul, noop = operators[:, line].unsqueeze(-1).unbind(1)
        value = add * (a + b) + sub * (a - b) + mul * (a * b) + noop * a
        values = torch.cat([values, value.unsqueeze(1)], 1)
    return values[:, -1]


def expected_length(operators, left, right):
    """-> operators of the tree-expanded program [T]."""
    lengths = left.new_zeros(left.shape[0], SYMBOLS)
    for line in range(left.shape[1]):
        a = (left[:, line, :lengths.shape[1]] * lengths).sum(1)
        b = (right[:, line, :lengths.shape[1]] * lengths).sum(1)
        length = operators[:, line, :3].sum(1) * (1 + a + b) + operators[:, line, 3] * a
        lengths = torch.cat([lengths, length.unsqueeze(1)], 1)
    return lengths[:, -1]


def targets(tasks, pairs, distinct):
    """y [tasks, pairs]: `distinct` values on each pair, drawn from 2,000 of all, each for some of the tasks."""
    table = torch.randn(2000)
    of_pair = torch.randint(0, 2000, (distinct, pairs))
    return table[of_pair.gather(0, torch.randint(0, distinct, (tasks, pairs)))]


def check_same_algorithm(width):
    """The savings are exact: features and gradients as without them."""
    torch.manual_seed(1)
    plain = PointFeatures(width, False).double()
    y, symbols = targets(20, 7, 5).double(), torch.rand(7, SYMBOLS, dtype=torch.double).requires_grad_()
    results = []
    for same in (False, True):
        plain.same_algorithm = same
        features = plain(y, symbols)
        weights = torch.linspace(-1, 1, features.numel(), dtype=torch.double).view_as(features)
        results.append([features, *torch.autograd.grad((features * weights).sum(), [symbols, *plain.parameters()])])
    for a, b in zip(*results):
        torch.testing.assert_close(a, b)


class Variant:
    """One way of running the step; parts are callables that do one forward and backward pass."""

    def __init__(self, name, a):
        torch.manual_seed(0)
        model = Roap(a.lines, a.width, name == "same_algorithm").train()
        images = torch.randn(a.pairs * SYMBOLS, 3, 32, 32)
        y, sigma = targets(a.tasks, a.pairs, a.distinct), torch.ones(a.tasks)
        if name == "channels_last":
            model.grounder.to(memory_format=torch.channels_last)
            images = images.contiguous(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, eps=1e-5, fused=True)
        forward, run, length = model, execute, expected_length
        if name == "compile":
            forward, run, length = (torch.compile(f) for f in (model, execute, expected_length))

        def autocast():
            return torch.autocast("cpu", dtype=torch.bfloat16, enabled=name == "bf16")

        def step():
            optimizer.zero_grad()
            with autocast():
                symbols, z = forward(images, y)
                error = ((run(*z, symbols) - y) ** 2).mean(1) / sigma ** 2
                loss = (error + LENGTH_WEIGHT * length(*z)).mean()
            loss.backward()
            optimizer.step()
            return loss.item()

        def part(function):
            def forward_backward():
                model.zero_grad()
                with autocast():
                    result = function()
                result.float().sum().backward()
            return forward_backward

        symbols = torch.rand(a.pairs, SYMBOLS).requires_grad_()
        z = [x.detach().requires_grad_() for x in model.sample(torch.randn(a.tasks, sum(model.groups)))]
        grounder, features = model.grounder, model.features
        if name == "compile":
            grounder, features = torch.compile(grounder), torch.compile(features)
        self.parts = {"step": step, "resnet": part(lambda: grounder(images)),
                      "point_mlp": part(lambda: features(y, symbols)), "soft_exec": part(lambda: run(*z, symbols))}


def measure(a):
    """{variant: {part: [seconds]}}, variants in turn; one that PyTorch cannot run gets the reason instead."""
    seconds, ready = {}, {}
    clock = time.process_time if a.processor_time else time.perf_counter
    for name in a.variant:
        try:
            ready[name] = Variant(name, a)
            for run in ready[name].parts.values():
                run()  # sets up memory, primitives and compiled code
            seconds[name] = {part: [] for part in ready[name].parts}
        except Exception as error:  # a compiler that is missing, say
            ready.pop(name, None)
            seconds[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    for _ in range(a.steps):
        for name, variant in ready.items():
            for part, run in variant.parts.items():
                start = clock()
                run()
                seconds[name][part].append(clock() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser(description="Times one training step and its parts in PyTorch on the CPU.")
    sizes = {"tasks": 500, "pairs": 64, "lines": 30, "width": 256, "distinct": 216, "threads": 2, "steps": 3}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=["eager"], help="measured in turn")
    parser.add_argument("--processor-time", action="store_true", help="of one thread instead of the clock, where other programs run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    a = parser.parse_args()
    if a.processor_time and a.threads != 1:
        parser.error("--processor-time measures one thread: add --threads 1")
    torch.set_num_threads(a.threads)
    check_same_algorithm(16)
    measured = measure(a)
    failed = {name: reason for name, reason in measured.items() if isinstance(reason, str)}
    if a.json:
        print(json.dumps({"torch": torch.__version__, "sizes": {name: getattr(a, name) for name in sizes},
                          "seconds": {n: s for n, s in measured.items() if n not in failed}, "failed": failed}))
        return 0
    for name, parts in measured.items():
        if name in failed:
            print(f"{name:15} {parts}")
            continue
        for part, values in parts.items():
            print(f"{name:15} {part:10} {statistics.median(values):9.4f} s   fastest {min(values):9.4f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
