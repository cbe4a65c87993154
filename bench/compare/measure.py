"""The sides that compare.py and zoo.py measure, and how: what must agree before anything is timed, and windows in turns."""

import contextlib
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent

CHECKED_IMAGES = 64
CHECKED_STEPS = 4
LOGIT_TOLERANCE = 1e-4  # of the largest logit, or of 1: a hundred times float32's rounding through ten layers
TRAINED_IMAGES = 6400  # before inference: batch normalisation's statistics must have moved for the logits to depend on them
PAUSE = 0.3  # seconds before a window, in which the threads of the side before it stop spinning
LOSS_TOLERANCE = 1e-2  # relative: Adam's first steps are +-learning_rate by the gradient's sign and amplify rounding (tests/golden)
DESCENT = 1024  # learning rate of the step that shows the gradients: so large that the weights' own rounding does not matter


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

    def train(self, images, *arguments, recipe="keras"):
        """metrics.jsonl's line of an epoch."""
        out = self.scratch / "run"
        shutil.rmtree(out, ignore_errors=True)
        self.run("train", "--recipe", recipe, *self.options, "--limit", str(images), "--out", str(out), *arguments)
        return json.loads((out / "metrics.jsonl").read_text().splitlines()[0])

    def keep_weights(self, file):
        """Copies the last run's weights."""
        return shutil.copy(self.scratch / "run" / "best.safetensors", str(self.scratch / file))

    def trained_weights(self, images=TRAINED_IMAGES):
        """A file of weights after some steps."""
        self.train(images)
        return self.keep_weights("trained.safetensors")

    def descended_weights(self, images):
        """A file of the weights after a step of plain descent at the rate DESCENT on the first images, without dropout."""
        recipe = self.scratch / "descent.json"
        rate = {"schedule": "constant", "peak": DESCENT}
        recipe.write_text(json.dumps({"optimizer": {"name": "sgd"}, "learning_rate": rate, "dropout": 0, "flip": 0}))
        self.train(images, "--init", self.file, "--no-shuffle", recipe=str(recipe))
        return self.keep_weights("descended.safetensors")

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


def check_losses(sides, batch, steps=CHECKED_STEPS, tolerance=LOSS_TOLERANCE):
    """The same of the mean loss of the first steps."""
    losses = {side.name: side.loss(images=steps * batch) for side in sides}
    differences = {name: abs(loss / losses[sides[0].name] - 1) for name, loss in losses.items()}
    for name, apart in differences.items():
        print(f"{name:15} the loss of {steps} steps differs by {apart:.1e}", file=sys.stderr)
        if not apart <= tolerance:
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
