"""Writes the golden files of this folder: inputs, outputs and gradients of whole models, computed by PyTorch.

    python tests/golden/make_golden.py [NAME...]      needs torch, torchvision, safetensors

Everything is computed in float64 and stored as float32. Beside each value X stands X.f32_error, the largest error
that PyTorch's own float32 makes on it (over several memory layouts): the scale of what a correct float32 program may
deviate.

Grounder weights are not stored but follow a formula (formula_uniform), the same in tests/models/golden.h. Of each of
their gradients a file holds grad.NAME.summary (sum, L2 norm), and 16 elements grad.NAME.samples at grad.NAME.index.
"""

import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

import reference

FOLDER = pathlib.Path(__file__).parent
SAMPLES = 16


def name_hash(name):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2 ** 64
    return value


def formula_uniform(name, count):
    """`count` numbers in (-1, 1), float64: 24 bits of splitmix64(name_hash(name) + index * golden ratio)."""
    with np.errstate(over="ignore"):
        x = np.uint64(name_hash(name)) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(40)).astype(np.float64) + 0.5) / 2 ** 23 - 1


def formula_weight(name, shape):
    """He-uniform matrices and filters; scales and variances in 1 +- 0.2; biases and means in +- 0.1; as float32."""
    uniform = formula_uniform(name, int(np.prod(shape)))
    if len(shape) > 1:
        values = uniform * np.sqrt(6.0 / np.prod(shape[1:]))
    elif name.endswith(("bias", "running_mean")):
        values = 0.1 * uniform
    else:
        values = 1 + 0.2 * uniform
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def set_formula_weights(module, prefix):
    state = {name: value if name.endswith("num_batches_tracked") else formula_weight(prefix + name, tuple(value.shape))
             for name, value in module.state_dict().items()}
    module.load_state_dict(state)


class Golden:
    """Collects the tensors of one file."""

    def __init__(self):
        self.tensors = {}

    def put(self, name, value, dtype=np.float32):
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        self.tensors[name] = np.ascontiguousarray(array.astype(dtype))

    def put_checked(self, name, exact, rounded):
        """`exact` in float64, `rounded` the same in float32 (one or several evaluations)."""
        self.put(name, exact)
        self.put(name + ".f32_error", [max(float((r.double() - exact).abs().max()) for r in rounded)])

    def put_summary(self, name, exact, rounded, generator):
        """Sum, norm and samples of a large gradient; f32_error: of sum, norm and samples."""
        exact = exact.flatten()
        errors = [r.double().flatten() - exact for r in rounded]
        norm_error = max(float(e.norm()) for e in errors)
        sum_error = norm_error * len(exact) ** 0.5  # the most that an error of this norm can do to a sum
        nonzero = exact.nonzero().flatten().numpy()
        index = np.sort(generator.choice(nonzero, SAMPLES, replace=len(nonzero) < SAMPLES))
        self.put(name + ".summary", [float(exact.sum()), float(exact.norm())])
        self.put(name + ".index", index, np.int32)
        self.put(name + ".samples", exact[index])
        self.put(name + ".f32_error", [sum_error, norm_error, max(float(e.abs().max()) for e in errors)])

    def add(self, part, prefix, shared):
        """The tensors of another one with `prefix` before their names, but for the `shared` ones, which both have."""
        self.tensors |= {k if k in shared else f"{prefix}.{k}": v for k, v in part.tensors.items()}

    def save(self, name):
        path = FOLDER / f"{name}.safetensors"
        save_file(self.tensors, path)
        print(f"{path.name}: {len(self.tensors)} tensors, {path.stat().st_size} bytes")


def rounded(*tensors):
    """Inputs as both precisions will see them: float64 values that are float32 numbers."""
    return [t.float().double() for t in tensors]


def evaluate(function, inputs, output_gradients):
    """outputs and input gradients of `function`, in float64 and in float32."""
    results = []
    for dtype in (torch.float64, torch.float32):
        leaves = [x.detach().to(dtype, copy=True).requires_grad_() for x in inputs]
        outputs = function(*leaves)
        torch.autograd.backward(outputs, [g.to(dtype) for g in output_gradients])
        results.append(([y.detach() for y in outputs], [x.grad for x in leaves]))
    return results


def put_evaluation(golden, function, inputs, outputs):
    """Stores inputs, outputs, output gradients and input gradients. `inputs` are named tensors, `outputs` named output
    gradients: in the order of the function's arguments and results."""
    for name, value in inputs.items():
        golden.put(name, value)
    for name, value in outputs.items():
        golden.put("grad." + name, value)
    exact, single = evaluate(function, list(inputs.values()), list(outputs.values()))
    for i, name in enumerate(outputs):
        golden.put_checked(name, exact[0][i], [single[0][i]])
    for i, name in enumerate(inputs):
        golden.put_checked("grad." + name, exact[1][i], [single[1][i]])


def run_grounder(module, images, output_gradient, dtype, memory_format):
    """One training pass from the formula's weights, then one in evaluation mode from the same statistics as before."""
    set_formula_weights(module, "grounder.")
    module.to(dtype).to(memory_format=memory_format)
    images = images.to(dtype).contiguous(memory_format=memory_format)
    module.eval()
    with torch.no_grad():
        eval_symbols = module(images)
    module.train()
    module.zero_grad()
    symbols = module(images)
    symbols.backward(output_gradient.to(dtype))
    statistics = {k: v.clone() for k, v in module.state_dict().items() if "running" in k}
    gradients = {k: p.grad.clone() for k, p in module.named_parameters()}
    return symbols.detach(), eval_symbols, statistics, gradients


def grounder_golden(kind, stem, width, shape):
    def make(name, seed):
        generator = torch.Generator().manual_seed(seed)
        n, channels, height, wide = shape
        images, = rounded(torch.randn(n, channels, height, wide, generator=generator, dtype=torch.float64))
        output_gradient, = rounded(torch.randn(n, 1, generator=generator, dtype=torch.float64))
        module = reference.make_grounder(kind, stem, width, channels)
        layouts = (torch.contiguous_format, torch.channels_last)
        exact = run_grounder(module, images, output_gradient, torch.float64, layouts[0])
        single = [run_grounder(module, images, output_gradient, torch.float32, layout) for layout in layouts]
        golden = Golden()
        golden.put("images", images.permute(0, 2, 3, 1))
        golden.put("grad.symbols", output_gradient)
        golden.put("guard", [1, 1])  # this step is finite; its gradient norm plays no part
        golden.put_checked("symbols", exact[0], [s[0] for s in single])
        golden.put_checked("eval.symbols", exact[1], [s[1] for s in single])
        layers = ("bn1.", "layer2.0.downsample.1", "layer3.0.bn2", "layer4.1.bn1")
        for key in (k for k in exact[2] if k.startswith(layers)):
            golden.put_checked("after.grounder." + key, exact[2][key], [s[2][key] for s in single])
        choice = np.random.default_rng(seed)
        for key, gradient in exact[3].items():
            golden.put_summary("grad.grounder." + key, gradient, [s[3][key] for s in single], choice)
        golden.save(name)
    return make


def synthesizer(name, seed):
    tasks, pairs, symbols, width = 3, 9, 3, 16
    logits = sum(reference.StraightLine(3, symbols).groups)
    torch.manual_seed(seed)
    module = reference.Synthesizer(symbols, width, logits).float().double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_((parameter + 0.1 * torch.randn_like(parameter)).float())
    names = ["synthesizer." + key for key, _ in module.named_parameters()]
    y, s, g = rounded(torch.randn(tasks, pairs).double(), torch.rand(pairs, symbols).double(),
                      torch.randn(tasks, logits).double())

    def function(symbols, *weights):
        state = {n.removeprefix("synthesizer."): w for n, w in zip(names, weights)}
        module.to(symbols.dtype)  # a checkpoint computes its part again with the module's own weights, which are equal
        return [torch.func.functional_call(module, state, (y.to(symbols.dtype), symbols))]

    golden = Golden()
    golden.put("y", y)
    inputs = {"symbols": s} | {n: p.detach() for n, p in zip(names, module.parameters())}
    put_evaluation(golden, function, inputs, {"logits": g})
    golden.save(name)


def sketch_golden(make_sketch, tasks, pairs, symbols):
    """Execution and length of relaxed programs; gradients of both together."""
    def make(name, seed):
        torch.manual_seed(seed)
        sketch = make_sketch(symbols)
        logits = torch.randn(tasks, sum(sketch.groups)).double()
        z = reference.gumbel_softmax(logits, 0, 2.0, sketch.groups)
        z, s, gy, gl = rounded(z, torch.rand(pairs, symbols).double(), torch.randn(tasks, pairs).double(),
                               torch.randn(tasks).double())
        golden = Golden()
        put_evaluation(golden, lambda z, s: [sketch.execute(z, s)], {"z": z, "symbols": s}, {"yhat": gy})
        length = Golden()
        put_evaluation(length, lambda z: [sketch.length(z)], {"z": z}, {"length": gl})
        golden.add(length, "length", shared=["z"])
        golden.save(name)
    return make


def philox(key, index):
    """Philox4x32-10 (Salmon et al. 2011): four words for each index; key = (seed low, seed high, stream, step)."""
    seed_low, seed_high, stream, step = key
    index = np.asarray(index, np.uint64)
    low = np.uint64(0xFFFFFFFF)
    counter = [index & low, index >> np.uint64(32), np.full_like(index, step), np.full_like(index, stream)]
    keys = [seed_low, seed_high]
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * counter[0], np.uint64(0xCD9E8D57) * counter[2]
        counter = [(second >> np.uint64(32)) ^ counter[1] ^ np.uint64(keys[0]), second & low,
                   (first >> np.uint64(32)) ^ counter[3] ^ np.uint64(keys[1]), first & low]
        keys = [(keys[0] + 0x9E3779B9) % 2 ** 32, (keys[1] + 0xBB67AE85) % 2 ** 32]
    return np.stack(counter, -1)


def gumbel_noise(key, shape):
    """Element e from word e mod 4 of draw e / 4; uniform (bits + 1/2) / 2^23 of the 23 high bits."""
    count = int(np.prod(shape))
    words = philox(key, np.arange((count + 3) // 4)).reshape(-1)[:count]
    uniform = ((words >> np.uint64(9)).astype(np.float64) + 0.5) / 2 ** 23
    return torch.from_numpy(-np.log(-np.log(uniform)).reshape(shape))


def gumbel(name, seed):
    tasks, sharpness = 3, 1.75
    groups = reference.StraightLine(4, 3).groups
    key = [0x243F6A88, 0x85A308D3, 3, 12345]
    torch.manual_seed(seed)
    logits, gradient = rounded(torch.randn(tasks, sum(groups)).double(), torch.randn(tasks, sum(groups)).double())
    noise = gumbel_noise(key, logits.shape)
    golden = Golden()
    golden.put("key", key, np.uint32)
    golden.put("sharpness", [sharpness])
    golden.put("groups", groups, np.int32)
    golden.put("noise", noise)
    for variant, value, straight in (("noisy", noise, False), ("plain", 0 * noise, False), ("straight", noise, True)):
        part = Golden()

        def function(x):
            return [reference.gumbel_softmax(x, value.to(x.dtype), sharpness, groups, straight)]

        put_evaluation(part, function, {"logits": logits}, {"z": gradient})
        golden.add(part, variant, shared=["logits", "grad.z"])
    golden.save(name)


def losses(samples):
    return lambda name, seed: make_losses(name, seed, samples)


def make_losses(name, seed, samples):
    tasks, pairs, floor = 5, 7, 0.05
    torch.manual_seed(seed)
    yhat, y, sigma, length = rounded(*(x.double() for x in (
        torch.randn(tasks * samples, pairs), torch.randn(tasks, pairs), 0.2 + torch.rand(tasks),
        10 * torch.rand(tasks * samples))))
    golden = Golden()
    for key, value in {"y": y, "sigma": sigma, "lambda": [0.03], "floor": [floor]}.items():
        golden.put(key, value)
    for kind in ("gaussian", "profiled"):
        part = Golden()

        def function(yhat, length):
            return [reference.task_loss(kind, yhat, y.to(yhat.dtype), sigma.to(yhat.dtype), length,
                                        np.float32(0.03).item(), np.float32(floor).item())[None]]

        put_evaluation(part, function, {"yhat": yhat, "length": length}, {"loss": torch.ones(1, dtype=torch.float64)})
        golden.add(part, kind, shared=["yhat", "length", "grad.loss"])
    golden.save(name)


def adam(name, seed):
    """Ten steps of torch.optim.Adam, two learning rates, gradients of many magnitudes (a few of them zero)."""
    steps, count, eps = 10, 40, 1e-5
    rates = [2e-3, 3e-4]
    torch.manual_seed(seed)
    weights, = rounded(torch.randn(2, count).double())
    gradients, = rounded((torch.randn(steps, 2, count) * 10.0 ** torch.randint(-7, 2, (1, 2, count))).double())
    gradients[:, :, ::9] = 0
    results = []
    for dtype in (torch.float64, torch.float32):
        parameters = [torch.nn.Parameter(w.to(dtype, copy=True)) for w in weights]
        optimizer = torch.optim.Adam([{"params": [p], "lr": r} for p, r in zip(parameters, rates)], eps=eps)
        history = []
        for gradient in gradients:
            for parameter, part in zip(parameters, gradient):
                parameter.grad = part.to(dtype)
            optimizer.step()
            history.append(torch.stack([p.detach().clone() for p in parameters]))
        results.append(torch.stack(history))
    golden = Golden()
    for key, value in {"weights": weights, "gradients": gradients, "rates": rates, "eps": [eps]}.items():
        golden.put(key, value)
    golden.put_checked("after", results[0], [results[1]])
    golden.save(name)


MAKERS = {
    "resnet18_imagenet": grounder_golden("resnet18", "imagenet", 64, (4, 3, 32, 32)),
    "resnet18_cifar": grounder_golden("resnet18", "cifar", 64, (4, 3, 32, 32)),
    "resnet18_odd": grounder_golden("resnet18", "imagenet", 64, (4, 1, 9, 11)),
    "resnet_small": grounder_golden("resnet-small", "cifar", 5, (6, 1, 9, 11)),
    "synthesizer": synthesizer,
    "straight_line_5": sketch_golden(lambda symbols: reference.StraightLine(5, symbols), 3, 7, 3),
    "straight_line_30": sketch_golden(lambda symbols: reference.StraightLine(30, symbols), 2, 17, 3),
    "tree_3": sketch_golden(lambda symbols: reference.Tree(3, symbols), 3, 7, 3),
    "gumbel_softmax": gumbel,
    "losses": losses(1),
    "adam": adam,
    "losses_of_samples": losses(4),
}


def main():
    for seed, (name, make) in enumerate(MAKERS.items()):
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, seed)


if __name__ == "__main__":
    main()
