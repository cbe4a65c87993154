#!/usr/bin/env python3
"""Halcyon beside other frameworks: one network, one batch size, one number of threads, float32, measured in turns on one machine in one
run. Training beside Keras on TensorFlow; inference, by images a second in large batches and by the milliseconds of a single image, beside
ONNX Runtime and OpenVINO; PyTorch too with --torch.

    python3 bench/compare/compare.py [--data DIR] [--batch 32 64 128 256] [--only training] [--torch] [--torch-compiled] [--out DIR]

It makes its own environment, .venv-compare, from requirements.txt. PyTorch's wheels for Linux on PyPI need NVIDIA's libraries even to be
imported, about 3 GB, 6 GB installed, so they come only with --torch or --torch-compiled; nothing uses a GPU.

Before anything is timed, all sides must agree: from the same weights (a safetensors file) on the logits of the first test images, up to
a constant, and in training on the mean loss of the first steps of Adam without dropout. Then the sides take turns: every round gives each
a window of about --seconds. A window of training is shuffled and with dropout as in Keras's fit; loading, evaluation and the first
window, which compiles, do not count. A window of inference runs batches of test images that are in memory as the side takes them: bytes
for Halcyon, which scales them itself, floats for the others. Printed and written to --out: tables as markdown, and everything as JSON.
"""

import argparse
import contextlib
import datetime
import json
import math
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH = "torch==2.12.1"

CHECKED_IMAGES = 64
CHECKED_STEPS = 4
LOGIT_TOLERANCE = 1e-4  # of the largest logit, or of 1: a hundred times float32's rounding through ten layers
TRAINED_IMAGES = 6400  # before inference: batch normalisation's statistics must have moved for the logits to depend on them
PAUSE = 0.3  # seconds before a window, in which the threads of the side before it stop spinning
LOSS_TOLERANCE = 1e-2  # relative: Adam's first steps are +-learning_rate by the gradient's sign and amplify rounding (tests/golden)


class Halcyon:
    """The trainer binary: a run of one epoch is a window."""

    name = "halcyon"

    def __init__(self, binary, data, batch, threads, scratch):
        self.binary, self.data, self.scratch = binary, data, scratch
        self.options = ["--data", data, "--batch", str(batch), "--threads", str(threads), "--epochs", "1", "--no-evaluate"]
        self.versions = {"schedule": json.loads(self.run("schedules", "--json"))["auto"]}

    def run(self, *arguments):
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"compare.py: {' '.join([str(self.binary), *arguments])}: {done.stderr.strip()}")
        return done.stdout

    def train(self, images, *arguments):
        """metrics.jsonl's line of an epoch."""
        out = self.scratch / "run"
        shutil.rmtree(out, ignore_errors=True)
        self.run("train", "--recipe", "keras", *self.options, "--limit", str(images), "--out", str(out), *arguments)
        return json.loads((out / "metrics.jsonl").read_text().splitlines()[0])

    def trained_weights(self):
        """A file of weights after some steps."""
        self.train(TRAINED_IMAGES)
        return shutil.copy(self.scratch / "run" / "best.safetensors", str(self.scratch / "trained.safetensors"))

    def load(self, file):
        self.file = file

    def logits(self, images):
        """Logarithms of the probabilities: the logits up to a constant of each image."""
        lines = self.run("predict", "--weights", self.file, "--data", self.data, "--records", f"0:{images}", "--json").splitlines()
        return [[math.log(p) for p in json.loads(line)["probabilities"]] for line in lines]

    def loss(self, images):
        return self.train(images, "--init", self.file, "--no-shuffle", "--no-dropout")["loss"]

    def window(self, images):
        return self.train(images, "--init", self.file)["seconds"]

    def close(self):
        """Nothing runs between the calls."""


class Framework:
    """A process of sides.py."""

    def __init__(self, measure, name, python, threads, **options):
        self.name = name
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow", "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [python, HERE / "sides.py", measure, name, json.dumps({"threads": threads} | options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment,
        )  # fmt: skip
        self.versions = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"compare.py: the process of {self.name} ended: its messages are above")
        return json.loads(line)["result"]

    def __getattr__(self, method):
        def call(**arguments):
            self.process.stdin.write(json.dumps({"do": method} | arguments) + "\n")
            self.process.stdin.flush()
            return self.answer()

        return call

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def environment(torch):
    """The interpreter of .venv-compare, made and filled where it is not yet."""
    folder = ROOT / ".venv-compare"
    wanted = (HERE / "requirements.txt").read_text() + (TORCH + "\n" if torch else "")
    stamp = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not stamp.exists() or not set(wanted.split()) <= set(stamp.read_text().split()):
        print(f"setting up {folder}", file=sys.stderr)
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted.split()], check=True)
        stamp.write_text(wanted)
    return python


def noise_data(folder):
    """Images of noise in CIFAR-10's files, for where there are no real ones: the speed does not depend on what they show."""
    generator = random.Random(1)
    for file in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        records = (bytes([generator.randrange(10)]) + generator.randbytes(3072) for _ in range(4000))
        (folder / file).write_bytes(b"".join(records))
    return str(folder)


def centred(rows):
    return [[value - sum(row) / len(row) for value in row] for row in rows]


def check_logits(sides, file):
    """Ends the program where a side computes something else than the first one. Returns the largest differences."""
    differences, expected = {}, None
    for side in sides:
        side.load(file=file)
        logits = centred(side.logits(images=CHECKED_IMAGES))
        expected = expected or logits
        apart = max(abs(a - b) for row, other in zip(logits, expected, strict=True) for a, b in zip(row, other, strict=True))
        differences[side.name] = apart / max(1, max(abs(value) for row in expected for value in row))
        print(f"{side.name:15} logits differ by {differences[side.name]:.1e}", file=sys.stderr)
        if not differences[side.name] <= LOGIT_TOLERANCE:
            sys.exit(f"compare.py: {side.name} does not compute what {sides[0].name} computes")
    return differences


def check_losses(sides, batch):
    """The same of the mean loss of the first steps."""
    losses = {side.name: side.loss(images=CHECKED_STEPS * batch) for side in sides}
    differences = {name: abs(loss / losses[sides[0].name] - 1) for name, loss in losses.items()}
    for name, apart in differences.items():
        print(f"{name:15} the loss of {CHECKED_STEPS} steps differs by {apart:.1e}", file=sys.stderr)
        if not apart <= LOSS_TOLERANCE:
            sys.exit(f"compare.py: {name} does not train as {sides[0].name} does")
    return differences


def in_turns(sides, rounds, unit, window):
    """What `window` returns of every side in every round, by side; each round begins with another one."""
    values = {side.name: [] for side in sides}
    for turn in range(rounds):
        for side in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
            time.sleep(PAUSE)
            values[side.name].append(window(side))
            print(f"round {turn + 1:2}  {side.name:15} {values[side.name][-1]:10.4g} {unit}", file=sys.stderr)
    return values


def training_windows(sides, batch, seconds, images_there_are):
    """The number of images of every side's window, after it has compiled and allocated."""
    sizes = {}
    for side in sides:
        trial = 16 * batch
        side.window(images=trial)
        rate = trial / side.window(images=trial)
        sizes[side.name] = min(round(rate * seconds / batch + 1) * batch, images_there_are // batch * batch)
        print(f"{side.name:15} about {rate:.0f} images/s: windows of {sizes[side.name]} images", file=sys.stderr)
        side.window(images=sizes[side.name])  # fit compiles anew for another number of images
    return sizes


def opened(sides, stack):
    """The sides, which the stack will close."""
    return [stack.enter_context(contextlib.closing(side)) for side in sides]


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
    return "\n\n".join([*map(table, report["results"]), f"{conditions}; {report['machine']}; {report['date']}."])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", default=ROOT / "build/release/bin/cifar10", help="the trainer")
    parser.add_argument("--library", default=ROOT / "build/release/bench/libcifar10.so", help="the network behind its C API")
    parser.add_argument("--data", default=os.environ.get("CIFAR10_DIR"), help="CIFAR-10's binary files (default: CIFAR10_DIR, or noise)")
    parser.add_argument("--torch", action="store_true", help="PyTorch too")
    parser.add_argument("--torch-compiled", action="store_true", help="PyTorch under torch.compile, which takes minutes and a C++ compiler")
    parser.add_argument("--python", help="an interpreter that has the frameworks, instead of .venv-compare")
    parser.add_argument("--only", choices=["training", "inference"], help="default: both")
    parser.add_argument("--batch", type=int, nargs="+", default=[64], help="of training (default: 64)")
    parser.add_argument("--inference-batch", type=int, nargs="+", default=[256, 1], help="1: milliseconds of an image (default: 256 1)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="windows of each side")
    parser.add_argument("--seconds", type=float, default=5, help="of a window")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/compare", help="folder of compare.md and compare.json")
    return parser.parse_args()


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


def main():
    arguments = parse_arguments()
    python = arguments.python or environment(arguments.torch or arguments.torch_compiled)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        data = arguments.data or noise_data(scratch)
        if (pathlib.Path(data) / "cifar-10-batches-bin").is_dir():
            data = str(pathlib.Path(data) / "cifar-10-batches-bin")
        report = {
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
            "threads": arguments.threads,
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "results": compare(arguments, python, data, scratch),
        }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "compare.json").write_text(json.dumps(report, indent=1) + "\n")
    (arguments.out / "compare.md").write_text(document(report) + "\n")
    print(document(report))


if __name__ == "__main__":
    main()
