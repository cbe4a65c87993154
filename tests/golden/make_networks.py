#!/usr/bin/env python3
"""Writes networks.safetensors: what Keras makes in float64 of the networks in models/, for networks.cpp to repeat.

    pip install keras jax safetensors
    KERAS_BACKEND=jax python3 make_networks.py

Weights and images are not in the file: both sides draw them with draw(), a tensor's numbers by its place in Keras's order. Of each network
there are

    NETWORK/logits       (images, classes)   in inference
    NETWORK/losses       (STEPS + 1)         in training, before each step of plain gradient descent and after the last
    NETWORK/gradients    (weights, 2)        of the first step: each tensor's norm, and its dot product with what is drawn for it

and in the metadata the number of images, the rate of the steps and Keras's version. Dropout is left out.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import keras
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "models"
STEPS = 10
RATE = 1 / 128

# Each with its number of images.
NETWORKS = {
    "cifar10": 3,
    "efficientnet_blocks": 3,
    "inception": 3,
    "lenet5": 3,
    "mnist_convnet": 3,
    "mobilenet_v2": 2,
    "resnet18": 2,
    "resnet20": 3,
    "squeeze_excite": 3,
    "vgg": 3,
}

LAYERS: dict[str, type[keras.layers.Layer]] = {
    "activation": keras.layers.Activation,
    "add": keras.layers.Add,
    "batch_normalization": keras.layers.BatchNormalization,
    "concatenate": keras.layers.Concatenate,
    "conv2d": keras.layers.Conv2D,
    "dense": keras.layers.Dense,
    "depthwise_conv2d": keras.layers.DepthwiseConv2D,
    "flatten": keras.layers.Flatten,
    "max_pooling2d": keras.layers.MaxPooling2D,
    "multiply": keras.layers.Multiply,
    "relu": keras.layers.ReLU,
    "rescaling": keras.layers.Rescaling,
    "reshape": keras.layers.Reshape,
    "zero_padding2d": keras.layers.ZeroPadding2D,
}

KINDS = {"kernel": 0, "gamma": 1, "beta": 2, "bias": 2, "moving_mean": 2, "moving_variance": 1}


def draw(stream: int, count: int) -> np.ndarray:
    """`count` numbers from -1 to 1: splitmix64 of their places."""
    with np.errstate(over="ignore"):
        z = (np.uint64(stream) << np.uint64(32)) + np.arange(1, count + 1, dtype=np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1


def weight_of(stream: int, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels have a variance of 2 / fan-in, scales lie near 1, shifts near 0."""
    values = draw(stream, int(np.prod(shape))).reshape(shape)
    if KINDS[kind] == 0:
        return values * np.sqrt(6 / np.prod(shape[:-1]))
    return values / 8 + (1 if KINDS[kind] == 1 else 0)


def layer_of(type_: str, options: dict[str, Any], shape: tuple[int, ...]) -> keras.layers.Layer:
    """A pool of the whole input for a global mean, which Keras takes through float32. Kernels' constants are float32."""
    if type_ == "batch_normalization":
        options = options | {"epsilon": float(np.float32(options.get("epsilon", 1e-3)))}
    if type_ == "global_average_pooling2d":
        pool = keras.layers.AveragePooling2D(shape[1:3], dtype="float64")
        return keras.Sequential([pool, keras.layers.Flatten(dtype="float64")])
    return LAYERS[type_](**options, dtype="float64")


def build(text: dict[str, Any]) -> tuple[keras.Model, list[keras.Variable]]:
    """The network up to its logits, and its weights in the order of the file."""
    image = keras.Input(tuple(text["input"]["shape"]), dtype="float64")
    values = {"input": image}
    output, weights = image, []
    for i, layer in enumerate(text["layers"]):
        skipped = ("type", "inputs", "name", "kernel_initializer", "kernel_regularizer")
        options = {key: value for key, value in layer.items() if key not in skipped}
        inputs = [values[name] for name in layer["inputs"]] if "inputs" in layer else [output]
        if layer["type"] == "dropout":
            output = inputs[0]
        else:
            if i + 1 == len(text["layers"]):
                options.pop("activation", None)
            margins = options.get("padding")
            if layer["type"] in ("conv2d", "max_pooling2d") and isinstance(margins, list):
                top, bottom, left, right = margins
                outside = 0.0 if layer["type"] == "conv2d" else -np.inf
                padding = ((0, 0), (top, bottom), (left, right), (0, 0))
                inputs = [keras.ops.pad(inputs[0], padding, constant_values=outside)]
                del options["padding"]
            made = layer_of(layer["type"], options, inputs[0].shape)
            output = made(inputs[0] if len(inputs) == 1 else inputs)
            weights += made.weights
        if "name" in layer:
            values[layer["name"]] = output
    return keras.Model(image, output), weights


def tensors_of(name: str, images: int) -> dict[str, np.ndarray]:
    text = json.loads((MODELS / f"{name}.json").read_text())
    model, weights = build(text)
    for stream, weight in enumerate(weights):
        weight.assign(weight_of(stream, weight.name, weight.shape))
    shape = (images, *text["input"]["shape"])
    pixels = np.floor((draw(10**6, int(np.prod(shape))).reshape(shape) + 1) * 128)
    if text["layers"][0]["type"] != "rescaling":
        pixels /= 255
    labels = jnp.arange(images)

    logits, _ = model.stateless_call(
        [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables], pixels, training=False
    )

    def loss_of(trained: list[Any], moving: list[Any]) -> tuple[Any, list[Any]]:
        made, moved = model.stateless_call(trained, moving, pixels, training=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, made), moved

    step = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
    trained = [v.value for v in model.trainable_variables]
    moving = [v.value for v in model.non_trainable_variables]
    losses, gradients = [], None
    for _ in range(STEPS + 1):
        (loss, moving), d_trained = step(trained, moving)
        losses.append(float(loss))
        gradients = gradients or [np.asarray(g).ravel() for g in d_trained]
        trained = [w - RATE * g for w, g in zip(trained, d_trained, strict=True)]
    assert gradients is not None
    of_variable = {id(v): g for v, g in zip(model.trainable_variables, gradients, strict=True)}
    in_order = [(stream, of_variable[id(v)]) for stream, v in enumerate(weights) if v.trainable]
    summary = [[np.linalg.norm(g), g @ draw(stream, g.size)] for stream, g in in_order]
    return {"logits": np.asarray(logits), "losses": np.array(losses), "gradients": np.array(summary)}


def main() -> None:
    keras.config.set_floatx("float64")
    keras.src.backend.result_type = lambda *_: "float64"  # batch normalisation would be float32's
    tensors, metadata = {}, {"keras": keras.__version__, "jax": jax.__version__, "rate": str(RATE)}
    for name, images in NETWORKS.items():
        tensors |= {f"{name}/{key}": value for key, value in tensors_of(name, images).items()}
        metadata[name] = str(images)
    save_file(tensors, HERE / "networks.safetensors", metadata)


if __name__ == "__main__":
    main()
