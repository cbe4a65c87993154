#!/usr/bin/env python3
"""Writes losses.safetensors: Keras's cross-entropies of logits, for losses.cpp to repeat.

    pip install keras jax numpy safetensors
    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python3 make_losses.py

Its tensors, for each logit:

    logits                      (n)  exact in float32
    probabilities               (n)  of class 1
    LABEL/{losses,gradients}    (n)  of the image alone, with label 0 or 1; gradients are those of the logit
    smoothed/LABEL/...          (n)  the same with label smoothing of 1/4

The logits go from -100 to 100, where the loss is 100 or, below FLT_MIN, 0. And of several classes, with and without that smoothing:

    categorical/logits                              (images, classes)
    categorical/labels                              (images)
    categorical/losses, .../gradients               (images), (images, classes)
    categorical/smoothed/losses, .../gradients      the same with label smoothing of 1/4

Of targets that are shares of five classes, a label among them, of which some have another sum than 1:

    shares/logits, shares/targets                   (images, classes)
    shares/accuracies                               (images)  categorical_accuracy
    shares/weights                                  (images)  of class_weight, the class c weighing c + 1
    shares/losses, .../gradients                    (images), (images, classes)  categorical_crossentropy
    shares/smoothed/losses, .../gradients           the same with label smoothing of 1/4

Of units that have a target each, 0, 1 or a share:

    units/logits, units/targets                     (images, units)
    units/accuracies                                (images)  binary_accuracy of the sigmoids
    units/losses, .../gradients                     (images), (images, units)  binary_crossentropy
    units/smoothed/losses, .../gradients            the same with label smoothing of 1/4
    squares/values, squares/targets                 (images, units)
    squares/losses, .../errors, .../gradients       (images), (images), (images, units)  mean_squared_error, mean_absolute_error

Keras's losses of single logits, and its means over units, round to float32; the rest is float64.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
SMOOTHING = {"": 0.0, "smoothed/": 0.25}
Tensors = dict[str, np.ndarray]


def binary() -> Tensors:
    positive = [0, 2**-20, 2**-6, 0.25, 0.5, 1, 1.5, 2, 3, 5, 8, 12, 17, 24, 40, 64, 80, 100]
    logits = np.array([-value for value in reversed(positive)] + positive[1:], np.float32)
    tensors = {"logits": logits, "probabilities": np.asarray(keras.ops.sigmoid(logits.astype(np.float64)))}
    for prefix, smoothing in SMOOTHING.items():
        crossentropy = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing, dtype="float64")
        for label in (0, 1):

            def loss(logit: jax.Array, label: int = label, crossentropy: keras.losses.Loss = crossentropy) -> jax.Array:
                return crossentropy(np.array([[label]], np.float64), logit.reshape(1, 1))

            tensors[f"{prefix}{label}/losses"] = np.array([loss(logit) for logit in logits.astype(np.float64)])
            tensors[f"{prefix}{label}/gradients"] = np.array([jax.grad(loss)(logit) for logit in logits.astype(np.float64)])
    return tensors


def smoothed(case: str, loss: Callable[..., Any], targets: np.ndarray, logits: np.ndarray) -> Tensors:
    """The losses of images and their gradients, with and without smoothing."""
    tensors = {}
    for prefix, smoothing in SMOOTHING.items():

        def losses(logits: jax.Array, smoothing: float = smoothing) -> jax.Array:
            return loss(targets, logits, from_logits=True, label_smoothing=smoothing)

        tensors[f"{case}/{prefix}losses"] = np.asarray(losses(jax.numpy.asarray(logits)))
        tensors[f"{case}/{prefix}gradients"] = np.asarray(jax.grad(lambda x: losses(x).sum())(jax.numpy.asarray(logits)))
    return tensors


def categorical() -> Tensors:
    generator = np.random.default_rng(1)
    logits = generator.integers(-64, 65, (12, 5)) / 16
    labels = np.arange(12) % 5
    tensors = {"categorical/logits": logits, "categorical/labels": labels.astype(np.float64)}
    one_hot = np.eye(5)[labels]
    tensors |= smoothed("categorical", keras.losses.categorical_crossentropy, one_hot, logits)
    return tensors


def shares() -> Tensors:
    generator = np.random.default_rng(5)
    logits = generator.integers(-64, 65, (12, 5)) / 16
    targets = generator.integers(0, 17, (12, 5)) / 16
    targets[:4] = np.eye(5)[:4]
    targets[4:8] = 0.75 * np.eye(5)[generator.integers(0, 5, 4)] + 0.25 * np.eye(5)[generator.integers(0, 5, 4)]  # as mixup makes them
    tensors = {
        "shares/logits": logits,
        "shares/targets": targets,
        "shares/accuracies": np.asarray(keras.metrics.categorical_accuracy(targets, logits), np.float64),
        "shares/weights": class_weight_to_sample_weights(targets, {c: c + 1.0 for c in range(5)}).astype(np.float64),
    }
    return tensors | smoothed("shares", keras.losses.categorical_crossentropy, targets, logits)


def units() -> Tensors:
    generator = np.random.default_rng(2)
    logits = generator.integers(-96, 97, (12, 10)) / 16
    targets = generator.integers(0, 2, (12, 10)).astype(np.float64)
    targets[:, ::3] = generator.integers(0, 17, (12, 4)) / 16
    right = np.asarray(keras.metrics.binary_accuracy(targets, keras.ops.sigmoid(logits)))  # of each unit
    tensors = {"units/logits": logits, "units/targets": targets, "units/accuracies": right.mean(axis=1)}
    tensors |= smoothed("units", keras.losses.binary_crossentropy, targets, logits)
    return tensors


def squares() -> Tensors:
    generator = np.random.default_rng(3)
    values, targets = generator.integers(-64, 65, (12, 3)) / 16, generator.integers(-64, 65, (12, 3)) / 16

    def losses(values: jax.Array) -> jax.Array:
        return keras.losses.mean_squared_error(targets, values)

    return {
        "squares/values": values,
        "squares/targets": targets,
        "squares/losses": np.asarray(losses(jax.numpy.asarray(values))),
        "squares/errors": np.asarray(keras.losses.mean_absolute_error(targets, values)),
        "squares/gradients": np.asarray(jax.grad(lambda x: losses(x).sum())(jax.numpy.asarray(values))),
    }


def main() -> None:
    keras.config.set_floatx("float64")
    tensors = binary() | categorical() | shares() | units() | squares()
    save_file(tensors, HERE / "losses.safetensors", {"keras": keras.__version__, "jax": jax.__version__})


if __name__ == "__main__":
    main()
