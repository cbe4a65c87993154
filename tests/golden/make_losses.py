#!/usr/bin/env python3
"""Writes losses.safetensors: Keras's binary cross-entropy of single logits, for losses.cpp to repeat.

    pip install keras jax numpy safetensors
    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python3 make_losses.py

Its tensors, for each logit:

    logits                      (n)  exact in float32
    probabilities               (n)  of class 1
    LABEL/{losses,gradients}    (n)  of the image alone, with label 0 or 1; gradients are those of the logit

The logits go from -100 to 100, where the loss is 100 or, below FLT_MIN, 0. Keras's loss rounds to float32, its gradients are float64.
"""

import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def main() -> None:
    import jax
    import keras
    from safetensors.numpy import save_file

    keras.config.set_floatx("float64")
    positive = [0, 2**-20, 2**-6, 0.25, 0.5, 1, 1.5, 2, 3, 5, 8, 12, 17, 24, 40, 64, 80, 100]
    logits = np.array([-value for value in reversed(positive)] + positive[1:], np.float32)
    binary = keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")
    tensors = {"logits": logits, "probabilities": np.asarray(keras.ops.sigmoid(logits.astype(np.float64)))}
    for label in (0, 1):

        def loss(logit, label: int = label):
            return binary(np.array([[label]], np.float64), logit.reshape(1, 1))

        tensors[f"{label}/losses"] = np.array([loss(logit) for logit in logits.astype(np.float64)])
        tensors[f"{label}/gradients"] = np.array([jax.grad(loss)(logit) for logit in logits.astype(np.float64)])
    save_file(tensors, HERE / "losses.safetensors", {"keras": keras.__version__, "jax": jax.__version__})


if __name__ == "__main__":
    main()
