#!/usr/bin/env python3
"""Writes normalization.safetensors: what Keras makes of tests/kernels/normalised.json on a few images, for normalization.cpp to repeat.

    pip install keras jax numpy safetensors
    KERAS_BACKEND=jax python3 make_normalization.py

Images and weights come from formulas. Its tensors:

    images                       (n, h, w, c)  whole numbers, 0 to 250
    dense/kernel, dense/bias
    normalization/mean, .../variance           as adapt() takes them from the images
    probabilities                (n, classes)  of the images, by the adapted model
    scaled/probabilities         (n, classes)  of images / 64 - 1, by the same model
"""

import json
import pathlib

import keras
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
MODEL = json.loads((HERE.parents[1] / "tests" / "kernels" / "normalised.json").read_text())
IMAGES = 6


def make_model() -> keras.Model:
    layers = [keras.Input(MODEL["input"]["shape"])]
    for layer in MODEL["layers"]:
        options = {key: value for key, value in layer.items() if key != "type"}
        layers.append(getattr(keras.layers, layer["type"].capitalize())(**options))
    return keras.Sequential(layers)


def main() -> None:
    h, w, c = MODEL["input"]["shape"]
    images = (np.arange(IMAGES * h * w * c) * 7919 % 251).reshape(IMAGES, h, w, c).astype(np.float32)
    model = make_model()
    rescaling, normalization, *_, dense = model.layers
    normalization.adapt(np.asarray(rescaling(images)))
    rows, classes = dense.kernel.shape
    dense.kernel.assign(np.sin(np.arange(rows * classes)).reshape(rows, classes) / 4)
    dense.bias.assign(np.arange(classes) / 8)
    tensors = {
        "images": images,
        "dense/kernel": dense.kernel,
        "dense/bias": dense.bias,
        "normalization/mean": normalization.adapt_mean,
        "normalization/variance": normalization.adapt_variance,
        "probabilities": model(images),
        "scaled/probabilities": model(images / 64 - 1),
    }
    tensors = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}
    save_file(tensors, HERE / "normalization.safetensors", {"keras": keras.__version__})
    print(tensors["normalization/mean"], tensors["normalization/variance"], tensors["probabilities"][:2], tensors["scaled/probabilities"][:2])


if __name__ == "__main__":
    main()
