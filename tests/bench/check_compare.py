#!/usr/bin/env python3
"""Checks the comparison without any framework: what it refuses, who takes turns when, what its tables say; and that Python can call the network.

Usage: check_compare.py FOLDER_OF_COMPARE libcifar10.so cifar10
"""

import contextlib
import ctypes
import io
import math
import pathlib
import subprocess
import sys
import tempfile

folder, library, trainer = sys.argv[1:]
sys.path.insert(0, folder)
import compare  # noqa: E402
import measure  # noqa: E402
import zoo  # noqa: E402

measure.PAUSE = 0


class Side:
    def __init__(self, name, logits, loss=1.0):
        self.name, self.rows, self.loss_is = name, logits, loss

    def load(self, file):
        pass

    def logits(self, images):
        return self.rows

    def loss(self, images):
        return self.loss_is


def check(right, what):
    if not right:
        sys.exit(f"compare.py: {what}")


def refuses(call):
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            call()
        except SystemExit:
            return True
    return False


first = Side("first", [[1.0, 2.0, 4.0], [0.0, 0.0, 9.0]])
shifted = Side("shifted", [[11.0, 12.0, 14.0], [-5.0, -5.0, 4.0]])  # a constant of each image
wrong = Side("wrong", [[1.0, 2.0, 4.0], [0.0, 0.01, 9.0]], loss=1.1)
check(not refuses(lambda: measure.check_logits([first, shifted], "file")), "logits that differ by a constant are refused")
check(refuses(lambda: measure.check_logits([first, shifted, wrong], "file")), "a wrong logit passes")
check(not refuses(lambda: measure.check_losses([first, shifted], 64)), "the same loss is refused")
check(refuses(lambda: measure.check_losses([first, wrong], 64)), "a wrong loss passes")

order = []
with contextlib.redirect_stderr(io.StringIO()):
    values = measure.in_turns([first, shifted, wrong], 3, "ms", lambda side: order.append(side.name) or len(order))
check(order == ["first", "shifted", "wrong", "shifted", "wrong", "first", "wrong", "first", "shifted"], f"the turns are {order}")
check(values == {"first": [1, 6, 8], "shifted": [2, 4, 9], "wrong": [3, 5, 7]}, f"the values are {values}")


def table(unit):
    values = {"halcyon": [3, 1, 2], "slow": [8, 8, 9], "fast": [4, 5, 4]} if unit == "ms" else {"halcyon": [8], "slow": [2], "fast": [4]}
    versions = {name: {name: "1.0"} for name in values}
    return compare.table({"measure": "inference", "batch": 1, "unit": unit, "versions": versions, "values": values})


check("times fast" in table("ms") and "| halcyon (halcyon 1.0) | 2.000 | 1.000 to 3.000 | 0.50 |" in table("ms"), table("ms"))
check("times fast" in table("images/s") and "| halcyon (halcyon 1.0) | 8 | 8 to 8 | 2.00 |" in table("images/s"), table("images/s"))


class Trained(Side):
    def descended_weights(self, images):
        return "file"


class Derived(Side):
    """It answers with one of the rows a batch."""

    def gradients_apart(self, **arguments):
        return self.rows.pop(0)


def gradients_refused(batches):
    return refuses(lambda: zoo.check_gradients(Trained("halcyon", []), Derived("torch", batches), 64))


right, wrong = {"kernel": (1e-3, 1.0), "bias": (1e-6, 1e-12)}, {"kernel": (1e-3, 1.0), "gamma": (1e-2, 0.1)}
check(not gradients_refused([right]), "gradients that differ by rounding are refused")
check(not gradients_refused([wrong, right]), "a batch in which a ReLU chose otherwise is refused")
check(gradients_refused([wrong] * zoo.GRADIENT_BATCHES), "a wrong gradient passes")
check(gradients_refused([{"kernel": (1e-6, 1.0), "bias": (math.nan, 1.0)}] * zoo.GRADIENT_BATCHES), "a gradient that is no number passes")

row = {"network": "vgg", "measure": "training", "batch": 64, "values": {"halcyon": [30, 10, 40], "torch": [10, 20, 20]}}
row["versions"] = {"halcyon": {"schedule": "x86_avx2"}, "torch": {"torch": "1.0"}}
shown = zoo.zoo_table([row])
check("| vgg | training, batch 64 | 30 | 20 | 2.00 | 0.50 to 3.00 |" in shown and "schedule x86_avx2, torch 1.0." in shown, shown)

network, probabilities = ctypes.c_void_p(), (ctypes.c_float * 20)()
cifar10 = ctypes.CDLL(library)
cifar10.halcyon_cifar10.restype = ctypes.c_void_p
check(cifar10.halcyon_open(ctypes.c_void_p(cifar10.halcyon_cifar10()), b"auto", 1, 2, ctypes.byref(network)) == 0, "the network does not open")
check(cifar10.halcyon_initialize(network, 1) == 0, "the network has no weights")
check(cifar10.halcyon_predict(network, bytes(range(256)) * 24, 2, probabilities) == 0, "the network does not predict")
check(abs(sum(probabilities) - 2) < 1e-5, f"the probabilities of two images are {list(probabilities)}")
cifar10.halcyon_close(network)
with tempfile.TemporaryDirectory() as scratch:
    arrays = pathlib.Path(scratch) / "noise"
    images = zoo.noise_arrays(arrays, {"input": {"shape": [32, 32, 3]}, "layers": [{"units": 10}]})
    done = subprocess.run([trainer, "data", arrays, "--json"], capture_output=True, text=True)
    check(done.returncode == 0, f"the noise is not read: {done.stderr}")
    check(images == zoo.NOISE_BYTES // 3072 and f"{images}" in done.stdout, f"the noise is read as {done.stdout}")

print("disagreement is refused, sides take turns, tables are right, and the network predicts")
