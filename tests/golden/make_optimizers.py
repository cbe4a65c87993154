#!/usr/bin/env python3
"""Writes optimizers.safetensors: ten steps of Keras's optimizers in float64, for optimizers.cpp to repeat.

    pip install keras tensorflow-cpu numpy safetensors
    KERAS_BACKEND=tensorflow python3 make_optimizers.py

Its tensors:

    initial                    (64)      the weights before
    gradients                  (10, 64)  those of each step
    OPTIMIZER/{step1,step10}   (64)      the weights after that many

and its metadata what each optimizer was made with. All of these numbers are exact in float32, so that what a kernel in float32 is off by
is its own rounding. A weight in eight has no gradient at all, and a weight in eight has one of 64 in one step alone.
"""

import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
STEPS, WEIGHTS = 10, 64

ADAM = {"learning_rate": 2**-7, "beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2**-10}
SGD = {"learning_rate": 2**-7, "momentum": 0.875}
RMSPROP = {"learning_rate": 2**-7, "rho": 0.875, "epsilon": 2**-6}
OPTIMIZERS = {
    "adam": ("Adam", ADAM),
    "adamw": ("AdamW", {**ADAM, "weight_decay": 2**-2}),
    "sgd": ("SGD", {**SGD, "weight_decay": 2**-2}),
    "sgd_nesterov": ("SGD", {**SGD, "weight_decay": 2**-3, "nesterov": True}),
    "rmsprop": ("RMSprop", {**RMSPROP, "momentum": 0.5, "weight_decay": 2**-3}),
    "rmsprop_centered": ("RMSprop", {**RMSPROP, "momentum": 0, "weight_decay": 2**-3, "centered": True}),
    "adagrad": ("Adagrad", {"learning_rate": 2**-5, "initial_accumulator_value": 0.125, "epsilon": 2**-10, "weight_decay": 2**-3}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "rho": 0.875, "epsilon": 2**-10, "weight_decay": 2**-3}),
    "nadam": ("Nadam", ADAM),
}


def steps_of(optimizer, initial: np.ndarray, gradients: np.ndarray) -> list[np.ndarray]:
    """The weights after each step."""
    import keras

    weight = keras.Variable(initial.astype(np.float64))
    after = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float64))], [weight])
        after.append(np.array(keras.ops.convert_to_numpy(weight)))
    return after


def main() -> None:
    import keras
    from safetensors.numpy import save_file

    keras.config.set_floatx("float64")
    random = np.random.default_rng(1)
    initial = random.uniform(-2, 2, WEIGHTS).astype(np.float32)
    gradients = random.normal(0, 1, (STEPS, WEIGHTS)).astype(np.float32)
    gradients[:, 0::8] = 0
    gradients[3, 1::8] *= 64
    tensors = {"initial": initial, "gradients": gradients}
    for name, (kind, settings) in OPTIMIZERS.items():
        after = steps_of(getattr(keras.optimizers, kind)(**settings), initial, gradients)
        tensors[f"{name}/step1"], tensors[f"{name}/step10"] = after[0], after[-1]
    metadata = {name: json.dumps(settings) for name, (_, settings) in OPTIMIZERS.items()}
    save_file(tensors, HERE / "optimizers.safetensors", metadata | {"keras": keras.__version__})


if __name__ == "__main__":
    main()
