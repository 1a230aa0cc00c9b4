"""The same training step as users would write it in plain PyTorch: the peer that roap-bench is set against.

    python bench/peers/torch_roap.py [--tasks 500 --pairs 64 --lines 30 --width 256 --threads 2 --steps 3 --json]

torchvision's ResNet-18 with one output, PointNet MLPs over all tasks x pairs rows, Gumbel-softmax, a soft executor as
a loop over lines under autograd, the squared error over sigma^2 with the length prior, torch.optim.Adam. Prints
seconds, the median and the fastest (which other programs disturb least), of the whole step and of
its parts, each forward and backward:
  resnet      images -> symbols, pairs x symbols images of 32x32x3
  point_mlp   all branches (out, io, rel per symbol), max over pairs, gradients of weights and symbols
  soft_exec   z, symbols -> yhat, gradients of both
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


def mlp(inputs, width, outputs):
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, outputs))


class PointFeatures(nn.Module):
    """y [T, B], symbols [B, V] -> features [T, (2 + V) width]."""

    def __init__(self, width):
        super().__init__()
        self.mlp_out = mlp(1, width, width)
        self.mlp_rel = mlp(2, width, width)
        self.mlp_io = mlp(1 + SYMBOLS, width, width)

    def forward(self, y, symbols):
        y = y.unsqueeze(-1)
        s = symbols.expand(y.shape[0], -1, -1)
        features = [self.mlp_out(y).amax(1), self.mlp_io(torch.cat([y, s], -1)).amax(1)]
        for j in range(SYMBOLS):
            features.append(self.mlp_rel(torch.cat([y, s[..., j:j + 1]], -1)).amax(1))
        return torch.cat(features, -1)


class Roap(nn.Module):
    def __init__(self, lines, width):
        super().__init__()
        self.lines = lines
        self.grounder = resnet18(num_classes=1)
        self.features = PointFeatures(width)
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


def sample_seconds(function, repeats):
    function()  # the first call sets up memory and primitives
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def forward_backward(module, function):
    """A callable that runs `function` and the backward pass of the sum of its result."""
    def run():
        module.zero_grad()
        function().sum().backward()
    return run


def measure(a):
    torch.manual_seed(0)
    model = Roap(a.lines, a.width).train()
    images = torch.randn(a.pairs * SYMBOLS, 3, 32, 32)
    y, sigma = torch.randn(a.tasks, a.pairs), torch.ones(a.tasks)
    if a.channels_last:
        model.grounder.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, eps=1e-5, fused=True)

    def step():
        optimizer.zero_grad()
        symbols, z = model(images, y)
        error = ((execute(*z, symbols) - y) ** 2).mean(1) / sigma ** 2
        loss = (error + LENGTH_WEIGHT * expected_length(*z)).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    symbols = torch.rand(a.pairs, SYMBOLS).requires_grad_()
    z = [part.detach().requires_grad_() for part in model.sample(torch.randn(a.tasks, sum(model.groups)))]
    parts = {
        "resnet": forward_backward(model.grounder, lambda: model.grounder(images)),
        "point_mlp": forward_backward(model.features, lambda: model.features(y, symbols)),
        "soft_exec": forward_backward(model, lambda: execute(*z, symbols)),
    }
    return {
name: sample_seconds(part, a.steps) for name, part in ({"step": step} | parts).items()
}

def main():
    parser = argparse.ArgumentParser(description="Times one training step and its parts in plain PyTorch on the CPU.")
    for name, default in {"tasks": 500, "pairs": 64, "lines": 30, "width": 256, "threads": 2, "steps": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--channels-last", action="store_true", help="images and filters of the ResNet in NHWC order")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    seconds = measure(a)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    fastest = {name: min(values) for name, values in seconds.items()}
    if a.json:
        sizes = {k: v for k, v in vars(a).items() if k != "json"}
        print(json.dumps({"torch": torch.__version__, "sizes": sizes, "seconds": median, "fastest": fastest}))
    else:
        for name in seconds:
            print(f"{name:10} {median[name]:9.4f} s   fastest {fastest[name]:9.4f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
