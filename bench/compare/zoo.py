"""The networks of models/ that are measured beside PyTorch, eager, in channels_last, with the fused Adam, on images of noise.

Before anything is timed, both sides start from the same weights, which Halcyon trained for some steps, and without dropout must agree on
the loss of a step and of the first steps of Adam, and for inference on the logits. Halcyon's gradients are held against PyTorch's in
float64, whose own in float32 are no better."""

import contextlib
import json
import math
import pathlib
import random
import statistics
import struct
import sys
from argparse import Namespace
from typing import Any

from measure import DESCENT, LOSS_TOLERANCE, Framework, Halcyon, check_logits, check_losses, in_turns, opened, training_windows

Result = dict[str, Any]

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The batch of training, and that of inference beside the single image.
ZOO = {
    "lenet5": (64, 256),
    "mnist_convnet": (64, 256),
    "tensorflow_cnn": (64, 256),
    "cifar10": (64, 256),
    "vgg": (64, 256),
    "resnet20": (64, 256),
    "resnet18": (32, 32),
    "mobilenet_v2": (32, 32),
    "flowers": (32, 32),
}

NOISE_BYTES = 2**26  # of a network's images: more than the caches hold
TRAINED_STEPS = 32
STEP_TOLERANCE = 1e-4  # relative, of one step's loss: PyTorch's batch normalisations alone take 5e-6
STEPS_TOLERANCES = {"mobilenet_v2": 3e-2}  # where LOSS_TOLERANCE is too little: Adam amplified rounding through its 53 batch norms to 1.5e-2, to 3e-3 at most elsewhere
GRADIENT_TOLERANCE = 3e-2  # of the norm of a weight's gradient: rounding makes a few ReLUs and pools choose otherwise, which takes up to 9e-3, and 2.1e-2 in MobileNetV2's 53 batch norms
GRADIENT_BATCHES = 4  # one that agrees will do: a single ReLU of a dense layer can take 5e-2, a wrong gradient is wrong in all of them
VANISHED = 1e-3  # of the largest norm: the gradient of a bias before a batch normalisation is rounding alone, and is held against this


def write_npy(path: pathlib.Path, shape: tuple[int, ...], data: bytes) -> None:
    """Bytes as a NumPy array; this program has no numpy."""
    header = str({"descr": "|u1", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def noise_arrays(folder: pathlib.Path, model: dict[str, Any]) -> int:
    """A folder of images and labels for the model. Returns how many there are."""
    shape, classes = model["input"]["shape"], model["layers"][-1]["units"]
    size = shape[0] * shape[1] * shape[2]
    images = NOISE_BYTES // size
    generator = random.Random(1)
    folder.mkdir()
    write_npy(folder / "images.npy", (images, *shape), generator.randbytes(images * size))
    write_npy(folder / "labels.npy", (images,), bytes(generator.randrange(classes) for _ in range(images)))
    return images


def worst_gradient(apart: dict[str, tuple[float, float]]) -> tuple[str, float]:
    """The name of the weight whose gradients differ most, and by how much, relative to their norm."""
    floor = VANISHED * max(norm for _, norm in apart.values())
    relative = {name: difference / max(norm, floor) for name, (difference, norm) in apart.items()}
    name = max(relative, key=lambda key: math.inf if math.isnan(relative[key]) else relative[key])
    return name, relative[name]


def check_gradients(halcyon: Halcyon, torch: Framework, batch: int) -> float:
    """Ends the program where the gradients of every batch tried, each an image smaller, differ. Returns the largest difference of the last."""
    for images in range(batch, batch - GRADIENT_BATCHES, -1):
        file = halcyon.descended_weights(images)
        name, apart = worst_gradient(torch.gradients_apart(images=images, file=file, rate=DESCENT))
        print(f"{torch.name:15} the gradients of {images} images differ by {apart:.1e} at most, those of {name}", file=sys.stderr)
        if apart <= GRADIENT_TOLERANCE:
            return apart
    sys.exit(f"compare.py: {torch.name} does not compute the gradients of {halcyon.name}: {name} differs by {apart:.1e}")


def result(network: str, measure: str, batch: int, sides: list[Any], differences: dict[str, Any], values: dict[str, list[float]]) -> Result:
    versions = {side.name: side.versions for side in sides}
    return {"network": network, "measure": measure, "batch": batch, "versions": versions, "differences": differences, "values": values}


def train(network: str, batch: int, weights: str, halcyon: Halcyon, images: int, options: dict[str, Any], arguments: Namespace) -> Result:
    with contextlib.ExitStack() as stack:
        (torch,) = opened([Framework("training", "torch", batch=batch, **options)], stack)
        sides = [halcyon, torch]
        for side in sides:
            side.load(file=weights)
        differences = {
            "loss": check_losses(sides, batch, steps=1, tolerance=STEP_TOLERANCE),
            "gradients": check_gradients(halcyon, torch, batch),
            "losses": check_losses(sides, batch, tolerance=STEPS_TOLERANCES.get(network, LOSS_TOLERANCE)),
        }
        sizes = training_windows(sides, batch, arguments.seconds, images)
        values = in_turns(sides, arguments.rounds, "images/s", lambda side: sizes[side.name] / side.window(images=sizes[side.name]))
        return result(network, "training", batch, sides, differences, values)


def infer(network: str, batch: int, weights: str, own: dict[str, str], options: dict[str, Any], arguments: Namespace) -> Result:
    with contextlib.ExitStack() as stack:
        sides = opened([Framework("inference", "halcyon", batch=batch, **own, **options)], stack)
        sides += opened([Framework("inference", "torch", batch=batch, **options)], stack)
        differences = {"logits": check_logits(sides, weights)}
        for side in sides:
            side.window(seconds=min(1, arguments.seconds))
        values = in_turns(sides, arguments.rounds, "images/s", lambda side: side.window(seconds=arguments.seconds)["images/s"])
        return result(network, "inference", batch, sides, differences, values)


def compare_network(network: str, arguments: Namespace, python: str, scratch: pathlib.Path) -> list[Result]:
    """The results of one network."""
    print(f"{network}:", file=sys.stderr)
    training_batch, inference_batch = ZOO[network]
    data = scratch / network
    images = noise_arrays(data, json.loads((ROOT / "models" / f"{network}.json").read_text()))
    built = pathlib.Path(arguments.binary).parent, pathlib.Path(arguments.library).parent
    halcyon = Halcyon(built[0] / network, str(data), training_batch, arguments.threads, scratch)
    weights = halcyon.trained_weights(TRAINED_STEPS * training_batch)
    options = {"python": python, "data": str(data), "threads": arguments.threads, "model": network}
    results = []
    if arguments.only != "inference":
        results.append(train(network, training_batch, weights, halcyon, images, options, arguments))
    if arguments.only != "training":
        own = {"library": str(built[1] / f"lib{network}.so"), "schedule": halcyon.versions["schedule"]}
        for batch in inference_batch, 1:
            results.append(infer(network, batch, weights, own, options, arguments))
    return results


def compare_zoo(networks: list[str], arguments: Namespace, python: str, scratch: pathlib.Path) -> list[Result]:
    return [result for network in networks for result in compare_network(network, arguments, python, scratch)]


def zoo_table(results: list[Result]) -> str:
    """The markdown table. A ratio is that of one round's two windows."""
    versions = {f"{key} {value}" for result in results for side in result["versions"].values() for key, value in side.items()}
    lines = ["| network | measure | halcyon, images/s | torch, images/s | ratio, median | lowest to highest |", "|---|---|---:|---:|---:|---:|"]
    for result in results:
        ours, theirs = result["values"]["halcyon"], result["values"]["torch"]
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        medians = f"{statistics.median(ours):.0f} | {statistics.median(theirs):.0f} | {statistics.median(ratios):.2f}"
        measure = f"{result['measure']}, batch {result['batch']}"
        lines.append(f"| {result['network']} | {measure} | {medians} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return "\n".join([*lines, "", f"Versions: {', '.join(sorted(versions))}."])
