"""The model and its losses in PyTorch, written for clarity: what the golden files and the trace check compare with.

Shapes: T tasks, B pairs, V symbols, L lines, P logits of a task. Works in float32 and float64.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from torchvision.models import resnet18
from torchvision.models.resnet import BasicBlock

OPERATORS = 4  # add, sub, mul, no-op


class SmallResNet(nn.Module):
    """conv1 3x3, bn1, ReLU, three stages of one basic block each, global average pool, fc."""

    def __init__(self, width, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(BasicBlock(width, width))
        self.layer2 = nn.Sequential(BasicBlock(width, 2 * width, 2, self.shortcut(width, 2 * width)))
        self.layer3 = nn.Sequential(BasicBlock(2 * width, 4 * width, 2, self.shortcut(2 * width, 4 * width)))
        self.fc = nn.Linear(4 * width, 1)

    @staticmethod
    def shortcut(c_in, c_out):
        return nn.Sequential(nn.Conv2d(c_in, c_out, 1, 2, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def make_grounder(kind, stem, width, channels):
    """Module image [n, channels, h, w] -> symbol [n, 1] whose state-dict names are those of a checkpoint."""
    if kind == "resnet-small":
        return SmallResNet(width, channels)
    model = resnet18(num_classes=1)
    if stem == "imagenet":
        model.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    else:
        model.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    return model


def mlp(inputs, width, outputs):
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, outputs))


def mlp_head(weights, symbols):
    """symbols [B, V] -> yhat [T, B]: an MLP per task, or one of [symbols; one-hot task] (then head.0.weight has no axis of tasks)."""
    tasks, pairs = weights["head.0.bias"].shape[0], symbols.shape[0]
    layers = [(weights[f"head.{i}.weight"], weights[f"head.{i}.bias"]) for i in (0, 2, 4)]
    x = symbols.expand(tasks, *symbols.shape)
    if layers[0][0].dim() == 2:
        codes = torch.eye(tasks, dtype=symbols.dtype)[:, None, :].expand(tasks, pairs, tasks)
        x = torch.cat([x, codes], 2).reshape(1, tasks * pairs, -1)
        of_symbols, of_tasks = layers[0]
        layers[0] = torch.cat([of_symbols, of_tasks.T], 1)[None], torch.zeros_like(of_tasks[:1])
    for i, (weight, bias) in enumerate(layers):
        x = torch.einsum("gri,goi->gro", x, weight) + bias[:, None, :]
        x = x.relu() if i + 1 < len(layers) else x
    return x.reshape(tasks, pairs)


class Synthesizer(nn.Module):
    """y [T, B], symbols [B, V] -> logits [T, P]."""

    def __init__(self, symbols, width, logits):
        super().__init__()
        self.mlp_out = mlp(1, width, width)
        self.mlp_rel = mlp(2, width, width)
        self.mlp_io = mlp(1 + symbols, width, width)
        self.mlp_prog = mlp((2 + symbols) * width, width, logits)

    def rows(self, y, symbols):
        """Features of every pair before the maximum: name -> [T, B, F], or [T, B, V F] for mlp_rel."""
        y = y[..., None]
        s = symbols.expand(y.shape[0], *symbols.shape)
        rel = [self.mlp_rel(torch.cat([y, s[..., j:j + 1]], -1)) for j in range(symbols.shape[1])]
        return {"mlp_out": self.mlp_out(y), "mlp_io": self.mlp_io(torch.cat([y, s], -1)), "mlp_rel": torch.cat(rel, -1)}

    def forward(self, y, symbols, winners=None):
        """`winners`: name -> index of the pair to take instead of the largest one."""
        def pool(tasks):
            rows = self.rows(y[tasks], symbols)
            if winners is None:
                return torch.cat([r.amax(1) for r in rows.values()], -1)
            return torch.cat([r.gather(1, winners[n][tasks, None]).squeeze(1) for n, r in rows.items()], -1)

        # A set network's rows are the whole memory: those of a few tasks at a time, computed again on the way back.
        features = [checkpoint(pool, tasks, use_reentrant=False) for tasks in self.chunks(y)]
        return self.mlp_prog(torch.cat(features))

    @staticmethod
    def chunks(y, rows=50_000):
        """Indices of tasks, in pieces of about so many pairs."""
        return torch.arange(y.shape[0]).split(max(1, rows // y.shape[1]))


class StraightLine:
    """A sketch of L lines over V symbols. Logits: operators [L, 4], then left and right arguments ragged by line."""

    def __init__(self, lines, symbols):
        self.lines, self.symbols = lines, symbols
        arguments = [symbols + line for line in range(lines)]
        self.groups = [OPERATORS] * lines + arguments + arguments

    def split(self, z):
        parts = torch.split(z, self.groups, -1)
        return [parts[i * self.lines:(i + 1) * self.lines] for i in range(3)]

    def execute(self, z, symbols):
        """z [T, P], symbols [B, V] -> yhat [T, B]."""
        values = [symbols[:, j].expand(z.shape[0], -1) for j in range(self.symbols)]
        for operator, left, right in zip(*self.split(z)):
            earlier = torch.stack(values, 1)
            a = torch.einsum("tk,tkb->tb", left, earlier)
            b = torch.einsum("tk,tkb->tb", right, earlier)
            values.append(combine(operator, a, b))
        return values[-1]

    def length(self, z):
        """z [T, P] -> expected number of operators of the tree-expanded program [T]."""
        lengths = [z.new_zeros(z.shape[0])] * self.symbols
        for operator, left, right in zip(*self.split(z)):
            earlier = torch.stack(lengths, 1)
            lengths.append(combine_length(operator, (left * earlier).sum(1), (right * earlier).sum(1)))
        return lengths[-1]


class Tree:
    """A full binary tree in heap order (children of i: 2i + 1, 2i + 2) with D levels of inner nodes. Logits: operators
    [2^D - 1, 4], then symbols of the leaves [2^D, V]."""

    def __init__(self, depth, symbols):
        self.inner = 2 ** depth - 1
        self.groups = [OPERATORS] * self.inner + [symbols] * (self.inner + 1)

    def fold(self, z, leaf, node):
        parts = torch.split(z, self.groups, -1)
        values = [None] * self.inner + [leaf(choice) for choice in parts[self.inner:]]
        for i in reversed(range(self.inner)):
            values[i] = node(parts[i], values[2 * i + 1], values[2 * i + 2])
        return values[0]

    def execute(self, z, symbols):
        return self.fold(z, lambda choice: choice @ symbols.T, combine)

    def length(self, z):
        return self.fold(z, lambda choice: choice.new_zeros(choice.shape[0]), combine_length)


def combine(operator, a, b):
    add, sub, mul, noop = (operator[:, k:k + 1] for k in range(OPERATORS))
    return add * (a + b) + sub * (a - b) + mul * (a * b) + noop * a


def combine_length(operator, a, b):
    return operator[:, :3].sum(1) * (1 + a + b) + operator[:, 3] * a


def gumbel_softmax(logits, noise, sharpness, groups, straight_through=False):
    """softmax((logits + noise) sharpness) in every group of the last axis; straight-through: one-hot values with the
    gradient of the softmax (ties go to the lowest index)."""
    parts = []
    for part in torch.split((logits + noise) * sharpness, groups, -1):
        soft = part.softmax(-1)
        if straight_through:
            hard = F.one_hot(part.argmax(-1), part.shape[-1]).to(soft.dtype)
            soft = hard + (soft - soft.detach())
        parts.append(soft)
    return torch.cat(parts, -1)


def task_errors(yhat, y, sigma):
    """yhat [T S, B] of S samples a task (rows t S to t S + S - 1), y [T, B], sigma [T] -> mean squared error over
    sigma_t^2, [T, S]."""
    return ((yhat.unflatten(0, (len(y), -1)) - y[:, None]) ** 2).mean(2) / sigma[:, None] ** 2


def task_loss(kind, yhat, y, sigma, length=None, length_weight=0.0, floor=1.0):
    """yhat, y, sigma as in task_errors, length [T S] -> scalar, the mean over tasks of
    gaussian: mean_s error; profiled: -log mean_s 1 / (floor + error), which is log(floor + error) for one sample."""
    error = task_errors(yhat, y, sigma)
    per_task = -torch.log((1 / (floor + error)).mean(1)) if kind == "profiled" else error.mean(1)
    if length is not None:
        per_task = per_task + length_weight * length.unflatten(0, (len(y), -1)).mean(1)
    return per_task.mean()


def adam_update(weight, gradient, moment1, moment2, step, lr, eps, betas=(0.9, 0.999)):
    """One step of Adam; `step` counts from 1. Returns weight, moment1, moment2."""
    moment1 = betas[0] * moment1 + (1 - betas[0]) * gradient
    moment2 = betas[1] * moment2 + (1 - betas[1]) * gradient ** 2
    scale = math.sqrt(1 - betas[1] ** step)
    return weight - lr / (1 - betas[0] ** step) * moment1 / (moment2.sqrt() / scale + eps), moment1, moment2


def formula_posterior(values, y, sigma, temperature, floor, penalty):
    """values [K, B], y [T, B], sigma [T], penalty [K] -> evidence [T], loss."""
    errors = torch.stack([((values - row) ** 2).mean(1) / scale ** 2 for row, scale in zip(y, sigma)])
    scores = -torch.log(errors + floor) / temperature - penalty
    evidence = torch.logsumexp(scores, 1)
    return evidence, -temperature * evidence.mean()
