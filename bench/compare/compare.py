#!/usr/bin/env python3
"""Halcyon beside other frameworks: one network, one batch size, one number of threads, float32, measured in turns on one machine in one
run. Training beside Keras on TensorFlow; inference, by images a second in large batches and by the milliseconds of a single image, beside
ONNX Runtime and OpenVINO; PyTorch too with --torch.

    python3 bench/compare/compare.py [--data DIR] [--batch 32 64 128 256] [--only training] [--torch] [--torch-compiled] [--out DIR]
    python3 bench/compare/compare.py --zoo [NETWORK...] [--only training] [--out DIR]

It makes its own environment, .venv-compare, from requirements.txt. PyTorch's wheels for Linux on PyPI need NVIDIA's libraries even to be
imported, about 3 GB, 6 GB installed, so they come only with --torch, --torch-compiled or --zoo; nothing uses a GPU.

Before anything is timed, all sides must agree: from the same weights (a safetensors file) on the logits of the first test images, up to
a constant, and in training on the mean loss of the first steps of Adam without dropout. Then the sides take turns: every round gives each
a window of about --seconds. A window of training is shuffled and with dropout as in Keras's fit; loading, evaluation and the first
window, which compiles, do not count. A window of inference runs batches of test images that are in memory as the side takes them: bytes
for Halcyon, which scales them itself, floats for the others. Printed and written to --out: tables as markdown, and everything as JSON.

--zoo measures the networks of zoo.py instead, beside PyTorch alone.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import venv

from measure import Framework, Halcyon, check_logits, check_losses, in_turns, opened, training_windows
from zoo import ZOO, compare_zoo, zoo_table

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH = "torch==2.12.1"


def requirements(arguments):
    """What .venv-compare must hold: PyTorch's wheel is large, and the zoo needs no other framework."""
    pinned = (HERE / "requirements.txt").read_text().split()
    if arguments.zoo is not None:
        return [line for line in pinned if line.startswith(("numpy==", "safetensors=="))] + [TORCH]
    return pinned + [TORCH] * (arguments.torch or arguments.torch_compiled)


def environment(wanted):
    """The interpreter of .venv-compare, made and filled where it is not yet."""
    folder = ROOT / ".venv-compare"
    stamp = folder / "installed.txt"
    python = folder / "bin" / "python"
    installed = stamp.read_text().split() if stamp.exists() else []
    missing = [line for line in wanted if line not in installed]
    if missing:
        print(f"setting up {folder}", file=sys.stderr)
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *missing], check=True)
        stamp.write_text("\n".join([*installed, *missing]) + "\n")
    return python


def noise_data(folder):
    """Images of noise in CIFAR-10's files, for where there are no real ones: the speed does not depend on what they show."""
    generator = random.Random(1)
    for file in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        records = (bytes([generator.randrange(10)]) + generator.randbytes(3072) for _ in range(4000))
        (folder / file).write_bytes(b"".join(records))
    return str(folder)


def compare_training(halcyon, batch, names, options, arguments, images, scratch):
    with contextlib.ExitStack() as stack:
        frameworks = opened((Framework("training", name, batch=batch, **options) for name in names), stack)
        file = str(scratch / "initial.safetensors")
        frameworks[0].save(file=file)
        sides = [*frameworks, halcyon]
        differences = {"logits": check_logits(sides, file), "loss": check_losses(sides, batch)}
        sides = [halcyon, *frameworks]
        sizes = training_windows(sides, batch, arguments.seconds, images)
        values = in_turns(sides, arguments.rounds, "images/s", lambda side: sizes[side.name] / side.window(images=sizes[side.name]))
        return result("training", batch, "images/s", sides, differences, values)


def compare_inference(halcyon, batch, unit, names, options, arguments):
    with contextlib.ExitStack() as stack:
        own = {"library": str(arguments.library), "schedule": halcyon.versions["schedule"]}
        sides = opened((Framework("inference", name, batch=batch, **options) for name in names), stack)
        sides[:0] = opened([Framework("inference", "halcyon", batch=batch, **options, **own)], stack)
        differences = {"logits": check_logits(sides, halcyon.trained_weights())}
        for side in sides:
            side.window(seconds=1)
        values = in_turns(sides, arguments.rounds, unit, lambda side: side.window(seconds=arguments.seconds)[unit])
        return result("inference", batch, unit, sides, differences, values)


def result(measure, batch, unit, sides, differences, values):
    versions = {side.name: side.versions for side in sides}
    return {"measure": measure, "batch": batch, "unit": unit, "versions": versions, "differences": differences, "values": values}


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} CPUs, {platform.system()} {platform.release()}"


def table(result):
    """The markdown table of one measure. The last column is relative to the best of the others."""
    best = min if result["unit"] == "ms" else max
    medians = {name: statistics.median(values) for name, values in result["values"].items()}
    baseline = best((name for name in medians if name != "halcyon"), key=medians.get)
    digits = 3 if result["unit"] == "ms" else 0
    title = f"{result['measure']}, batch {result['batch']}"
    lines = [f"| {title} | {result['unit']}, median | lowest to highest | times {baseline} |", "|---|---:|---:|---:|"]
    for name, values in result["values"].items():
        versions = ", ".join(f"{key} {value}" for key, value in result["versions"][name].items())
        spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
        lines.append(f"| {name} ({versions}) | {medians[name]:.{digits}f} | {spread} | {medians[name] / medians[baseline]:.2f} |")
    return "\n".join(lines)


def document(report):
    conditions = "threads: {threads}, float32, {rounds} windows of about {seconds:g} s each, in turns".format(**report)
    tables = [zoo_table(report["results"])] if report["zoo"] else map(table, report["results"])
    return "\n\n".join([*tables, f"{conditions}; {report['machine']}; {report['date']}."])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", default=ROOT / "build/release/bin/cifar10", help="the trainer")
    parser.add_argument("--library", default=ROOT / "build/release/bench/compare/libcifar10.so", help="the network behind its C API")
    parser.add_argument("--data", default=os.environ.get("CIFAR10_DIR"), help="CIFAR-10's binary files (default: CIFAR10_DIR, or noise)")
    parser.add_argument("--torch", action="store_true", help="PyTorch too")
    parser.add_argument("--torch-compiled", action="store_true", help="PyTorch under torch.compile, which takes minutes and a C++ compiler")
    parser.add_argument("--zoo", nargs="*", metavar="NETWORK", help=f"the networks of the zoo beside PyTorch: {', '.join(ZOO)}, or some of them")
    parser.add_argument("--python", help="an interpreter that has the frameworks, instead of .venv-compare")
    parser.add_argument("--only", choices=["training", "inference"], help="default: both")
    parser.add_argument("--batch", type=int, nargs="+", default=[64], help="of training (default: 64)")
    parser.add_argument("--inference-batch", type=int, nargs="+", default=[256, 1], help="1: milliseconds of an image (default: 256 1)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="windows of each side")
    parser.add_argument("--seconds", type=float, default=5, help="of a window")
    parser.add_argument(
        "--out", type=pathlib.Path, default=ROOT / "build/compare", help="folder of compare.md and compare.json, or zoo.md and zoo.json"
    )
    arguments = parser.parse_args()
    for name in arguments.zoo or []:
        if name not in ZOO:
            parser.error(f"--zoo: there is no {name} in the zoo: {', '.join(ZOO)}")
    return arguments


def compare(arguments, python, data, scratch):
    """The results of all measures."""
    images = sum(file.stat().st_size // 3073 for file in pathlib.Path(data).glob("data_batch_*.bin"))
    if images < 16 * max(arguments.batch):
        sys.exit(f"compare.py: {data} has {images} training images: name the folder of CIFAR-10's binary files")
    torch = arguments.torch * ["torch"] + arguments.torch_compiled * ["torch-compiled"]
    options = {"python": python, "data": data, "threads": arguments.threads}
    results = []
    for batch in arguments.batch if arguments.only != "inference" else []:
        halcyon = Halcyon(arguments.binary, data, batch, arguments.threads, scratch)
        results.append(compare_training(halcyon, batch, ["keras", "keras-xla"] + torch, options, arguments, images, scratch))
    for batch in arguments.inference_batch if arguments.only != "training" else []:
        halcyon = Halcyon(arguments.binary, data, 64, arguments.threads, scratch)
        unit = "ms" if batch == 1 else "images/s"
        results.append(compare_inference(halcyon, batch, unit, ["onnxruntime", "openvino"] + torch, options, arguments))
    return results


def run(arguments, scratch):
    """The results of what was asked for."""
    python = arguments.python or environment(requirements(arguments))
    if arguments.zoo is not None:
        return compare_zoo(arguments.zoo or list(ZOO), arguments, python, scratch)
    data = arguments.data or noise_data(scratch)
    if (pathlib.Path(data) / "cifar-10-batches-bin").is_dir():
        data = str(pathlib.Path(data) / "cifar-10-batches-bin")
    return compare(arguments, python, data, scratch)


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        report = {
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
            "threads": arguments.threads,
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "zoo": arguments.zoo is not None,
            "results": run(arguments, pathlib.Path(folder)),
        }
    name = "zoo" if report["zoo"] else "compare"
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (arguments.out / f"{name}.md").write_text(document(report) + "\n")
    print(document(report))


if __name__ == "__main__":
    main()
