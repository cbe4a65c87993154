#!/usr/bin/env python3
"""Training throughput of Halcyon beside Keras on TensorFlow and, with --torch, PyTorch: one network, one batch size, one number of
threads, float32, measured in turns on one machine in one run.

    python3 bench/compare/compare.py [--data DIR] [--torch] [--torch-compiled] [--python PYTHON] [--out DIR]

It makes its own environment, .venv-compare, from requirements.txt. PyTorch's wheels for Linux on PyPI need NVIDIA's libraries even to be
imported, about 3 GB, 6 GB installed, so they come only with --torch or --torch-compiled; nothing uses a GPU.

Before anything is timed, all sides must agree: from the same weights (a safetensors file) on the logits of the first test images, up to
a constant, and on the mean loss of the first steps of Adam without dropout. Then the sides take turns: every round gives each a
window of about --seconds of training, shuffled and with dropout as in Keras's fit; loading, evaluation and the first window, which
compiles, do not count. Idle processes do not spin. Printed and written to --out: a table as markdown, and everything as JSON.
"""

import argparse
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
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH = "torch==2.12.1"

CHECKED_IMAGES = 64
CHECKED_STEPS = 4
LOGIT_TOLERANCE = 1e-4  # of logits around 1: a hundred times float32's rounding through ten layers
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
        self.run("train", "--recipe", "keras", *self.options, "--limit", str(images), "--out", str(out), "--init", self.file, *arguments)
        return json.loads((out / "metrics.jsonl").read_text().splitlines()[0])

    def load(self, file):
        self.file = file

    def logits(self, images):
        """Logarithms of the probabilities: the logits up to a constant of each image."""
        lines = self.run("predict", "--weights", self.file, "--data", self.data, "--records", f"0:{images}", "--json").splitlines()
        return [[math.log(p) for p in json.loads(line)["probabilities"]] for line in lines]

    def loss(self, images):
        return self.train(images, "--no-shuffle", "--no-dropout")["loss"]

    def window(self, images):
        return self.train(images)["seconds"]


class Framework:
    """A process of sides.py."""

    def __init__(self, name, python, data, batch, threads):
        self.name = name
        quiet = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        threads_of_pools = {"OMP_NUM_THREADS": str(threads), "KERAS_BACKEND": "tensorflow"}
        self.process = subprocess.Popen(
            [python, HERE / "sides.py", name, data, str(batch), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | quiet | threads_of_pools,
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


def check_agreement(sides, batch, scratch):
    """Ends the program where a side computes something else than Keras. Returns the largest differences."""
    keras = next(side for side in sides if side.name == "keras")
    file = str(scratch / "initial.safetensors")
    keras.save(file=file)
    differences = {}
    for side in [keras] + [side for side in sides if side is not keras]:
        side.load(file=file)
        logits, loss = centred(side.logits(images=CHECKED_IMAGES)), side.loss(images=CHECKED_STEPS * batch)
        if side is keras:
            expected_logits, expected_loss = logits, loss
        apart = max(abs(a - b) for row, expected in zip(logits, expected_logits, strict=True) for a, b in zip(row, expected))
        loss_apart = abs(loss / expected_loss - 1)
        differences[side.name] = {"logits": apart, "loss": loss_apart}
        print(f"{side.name:15} logits differ by {apart:.1e}, the loss of {CHECKED_STEPS} steps by {loss_apart:.1e}", file=sys.stderr)
        if not (apart <= LOGIT_TOLERANCE and loss_apart <= LOSS_TOLERANCE):
            sys.exit(f"compare.py: {side.name} does not compute what Keras computes")
    return differences


def measure(sides, batch, seconds, rounds, images_there_are):
    """Images per second of every window, by side."""
    size = {}
    for side in sides:
        trial = 16 * batch
        side.window(images=trial)  # compiles, allocates
        rate = trial / side.window(images=trial)
        size[side.name] = min(round(rate * seconds / batch + 1) * batch, images_there_are // batch * batch)
        print(f"{side.name:15} about {rate:.0f} images/s: windows of {size[side.name]} images", file=sys.stderr)
        side.window(images=size[side.name])  # fit compiles anew for another number of images
    rates = {side.name: [] for side in sides}
    for turn in range(rounds):
        for side in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
            rates[side.name].append(size[side.name] / side.window(images=size[side.name]))
            print(f"round {turn + 1:2}  {side.name:15} {rates[side.name][-1]:8.0f} images/s", file=sys.stderr)
    return rates


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} CPUs, {platform.system()} {platform.release()}"


def table(report):
    medians = {name: statistics.median(rates) for name, rates in report["rates"].items()}
    baseline = max((name for name in medians if name.startswith("keras")), key=medians.get)
    lines = [f"| | images/s, median | lowest to highest | times {baseline} |", "|---|---:|---:|---:|"]
    for name, rates in report["rates"].items():
        versions = ", ".join(f"{key} {value}" for key, value in report["versions"][name].items())
        times = medians[name] / medians[baseline]
        lines.append(f"| {name} ({versions}) | {medians[name]:.0f} | {min(rates):.0f} to {max(rates):.0f} | {times:.2f} |")
    conditions = "batch {batch}, {threads} threads, float32, {rounds} windows of about {seconds:g} s each, in turns".format(**report)
    lines += ["", f"{conditions}; {report['machine']}; {report['date']}."]
    return "\n".join(lines)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", default=ROOT / "build/release/bin/cifar10", help="the trainer")
    parser.add_argument("--data", default=os.environ.get("CIFAR10_DIR"), help="CIFAR-10's binary files (default: CIFAR10_DIR, or noise)")
    parser.add_argument("--torch", action="store_true", help="PyTorch too")
    parser.add_argument("--torch-compiled", action="store_true", help="PyTorch under torch.compile, which takes minutes to compile")
    parser.add_argument("--python", help="an interpreter that has the frameworks, instead of .venv-compare")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="windows of each side")
    parser.add_argument("--seconds", type=float, default=5, help="of a window")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/compare", help="folder of compare.md and compare.json")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    python = arguments.python or environment(arguments.torch or arguments.torch_compiled)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        data = arguments.data or noise_data(scratch)
        if (pathlib.Path(data) / "cifar-10-batches-bin").is_dir():
            data = str(pathlib.Path(data) / "cifar-10-batches-bin")
        images = sum(file.stat().st_size // 3073 for file in pathlib.Path(data).glob("data_batch_*.bin"))
        if images < 16 * arguments.batch:
            sys.exit(f"compare.py: {data} has {images} training images: name the folder of CIFAR-10's binary files")

        halcyon = Halcyon(arguments.binary, data, arguments.batch, arguments.threads, scratch)
        names = ["keras", "keras-xla"] + arguments.torch * ["torch"] + arguments.torch_compiled * ["torch-compiled"]
        sides = [halcyon] + [Framework(name, python, data, arguments.batch, arguments.threads) for name in names]
        report = {
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
            "batch": arguments.batch,
            "threads": arguments.threads,
            "rounds": arguments.rounds,
            "seconds": arguments.seconds,
            "versions": {side.name: side.versions for side in sides},
            "differences": check_agreement(sides, arguments.batch, scratch),
            "rates": measure(sides, arguments.batch, arguments.seconds, arguments.rounds, images),
        }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "compare.json").write_text(json.dumps(report, indent=1) + "\n")
    (arguments.out / "compare.md").write_text(table(report) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
