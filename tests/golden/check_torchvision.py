"""Loads the grounder of a model.safetensors into torchvision's resnet18, strictly, and runs it once.

    python tests/golden/check_torchvision.py MODEL.safetensors      needs torch, torchvision, safetensors

Only what the data and the task size differently is replaced (reference.make_grounder): fc has one output, and conv1
(with the max pool) follows the stem and the number of channels. Exit status 1 when a name, a shape or a type does not fit.
"""

import argparse
import sys

import torch
from safetensors.torch import load_file

from reference import make_grounder

PREFIX = "grounder."


def load_grounder(path):
    """The network of a checkpoint in evaluation mode; RuntimeError names what does not fit."""
    state = {n.removeprefix(PREFIX): t for n, t in load_file(path).items() if n.startswith(PREFIX)}
    wrong = [n for n, t in state.items() if t.dtype != torch.float32 and not n.endswith("num_batches_tracked")]
    if not state or wrong:
        raise RuntimeError(f"no tensors named {PREFIX}*" if not state else f"not float32: {wrong}")
    channels, kernel = state["conv1.weight"].shape[1:3] if "conv1.weight" in state else (3, 7)
    model = make_grounder("resnet18", "imagenet" if kernel == 7 else "cifar", 64, channels)
    model.load_state_dict(state, strict=True)
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.safetensors", help="of a checkpoint of a run with model.grounder = resnet18")
    path = parser.parse_args().model
    try:
        model = load_grounder(path)
    except RuntimeError as error:
        print(f"{path}: {error}")
        return 1
    with torch.no_grad():
        symbols = model(torch.zeros(2, model.conv1.in_channels, 32, 32))
    print(f"{path}: {len(model.state_dict())} tensors fit torchvision's resnet18, "
          f"output {symbols.flatten().tolist()}")
    return 0 if torch.isfinite(symbols).all() else 1


if __name__ == "__main__":
    sys.exit(main())
