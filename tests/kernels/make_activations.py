#!/usr/bin/env python3
"""Writes activations.safetensors: Keras's activations and their gradients in float64, for activations.cpp.

    pip install keras jax numpy safetensors
    python3 make_activations.py

Its tensors:

    input             (n)  exact in float32, none of them where a slope changes
    ROW/output        (n)  what the layer or the activation makes of the input
    ROW/gradient      (n)  the gradient of the sum of those

ROW is the row of plan/pointwise.cpp with its numbers, as the names of kernels have it. The metadata has the row of each of Keras's activations.
"""

import os
import pathlib
from collections.abc import Callable

os.environ |= {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}

import jax
import keras
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent

ACTIVATIONS = {
    "elu": "eluv1",
    "exponential": "exponential",
    "gelu": "gelu",
    "hard_sigmoid": "hardsigmoid",
    "hard_silu": "hardsilu",
    "hard_swish": "hardsilu",
    "leaky_relu": "leakyreluv0p2",
    "relu": "relu",
    "relu6": "boundedreluv6v0v0",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softplus": "softplus",
    "softsign": "softsign",
    "swish": "silu",
    "tanh": "tanh",
}


def layers() -> dict[str, keras.Layer]:
    """With their defaults, and with numbers that are exact in float32."""
    return {
        "eluv1": keras.layers.ELU(),
        "eluv0p375": keras.layers.ELU(alpha=0.375),
        "leakyreluv0p3": keras.layers.LeakyReLU(),
        "leakyreluv0p125": keras.layers.LeakyReLU(negative_slope=0.125),
        "relu": keras.layers.ReLU(),
        "boundedreluv2v0p25v0": keras.layers.ReLU(max_value=2, negative_slope=0.25),
        "boundedreluvinfv0v0p75": keras.layers.ReLU(threshold=0.75),
        "boundedreluv5v0p125v1p5": keras.layers.ReLU(max_value=5, negative_slope=0.125, threshold=1.5),
    }


def main() -> None:
    keras.config.set_floatx("float64")
    values = np.concatenate([np.linspace(-9.01, 9.02, 64), np.geomspace(1e-6, 30, 16), -np.geomspace(1e-6, 30, 16)]).astype(np.float32)
    tensors = {"input": values.astype(np.float64)}

    def add(row: str, function: Callable[[jax.Array], jax.Array]) -> None:
        value = jax.numpy.asarray(tensors["input"])
        tensors[f"{row}/output"] = np.array(function(value))
        tensors[f"{row}/gradient"] = np.array(jax.grad(lambda x: function(x).sum())(value))

    for row, layer in layers().items():
        add(row, layer)
    add("approximategelu", lambda x: keras.activations.gelu(x, approximate=True))
    for name, row in ACTIVATIONS.items():
        # Keras's tanh is JAX's, of float32 whatever goes in.
        add(row, jax.numpy.tanh if name == "tanh" else keras.activations.get(name))
    save_file(tensors, HERE / "activations.safetensors", ACTIVATIONS | {"keras": keras.__version__})


if __name__ == "__main__":
    main()
