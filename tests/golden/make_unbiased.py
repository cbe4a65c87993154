#!/usr/bin/env python3
"""Writes unbiased.safetensors: what Keras makes of unbiased.json on a few images, for unbiased.cpp to repeat.

    pip install keras jax numpy safetensors
    KERAS_BACKEND=jax python3 make_unbiased.py

Images, labels and weights are random. Its tensors:

    images                       (n, h, w, c)  whole numbers, 0 to 255
    labels                       (n)
    <layer>/<weight>                           before the step; moving statistics too
    probabilities                (n, classes)  in inference
    loss                         (1)           of a step of training, the mean, without the regularizers' penalties
    d <layer>/<weight>                         the gradients of its sum with these
    moved <layer>/<weight>                     the moving statistics after it
"""

import json
import pathlib
import typing

import jax
import keras
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
MODEL = json.loads((HERE / "unbiased.json").read_text())
IMAGES = 6
KERAS_CLASSES = {
    "batch_normalization": keras.layers.BatchNormalization,
    "conv2d": keras.layers.Conv2D,
    "dense": keras.layers.Dense,
    "flatten": keras.layers.Flatten,
    "relu": keras.layers.ReLU,
}


KERAS_REGULARIZERS = {"l1": keras.regularizers.L1, "l2": keras.regularizers.L2, "l1_l2": keras.regularizers.L1L2}


def make_regularizer(description: str | dict[str, typing.Any]) -> keras.regularizers.Regularizer:
    options = {"type": description} if isinstance(description, str) else dict(description)
    return KERAS_REGULARIZERS[options.pop("type")](**options)


def make_model() -> keras.Model:
    layers = [keras.Input(MODEL["input"]["shape"])]
    for layer in MODEL["layers"]:
        options = {key: value for key, value in layer.items() if key != "type"}
        if "kernel_regularizer" in options:
            options["kernel_regularizer"] = make_regularizer(options["kernel_regularizer"])
        layers.append(KERAS_CLASSES[layer["type"]](**options))
    return keras.Sequential(layers)


def main() -> None:
    random = np.random.default_rng(1)
    h, w, c = MODEL["input"]["shape"]
    images = random.integers(0, 256, (IMAGES, h, w, c)).astype(np.float32)
    model = make_model()
    labels = random.integers(0, model.output_shape[-1], IMAGES)
    tensors = {"images": images, "labels": labels}
    for weight in model.variables:
        if "seed" in weight.path:
            continue
        low = 0.5 if weight.name in ("moving_variance", "gamma") else -0.5
        weight.assign(random.uniform(low, low + 1, weight.shape))
        tensors[weight.path.removeprefix("sequential/")] = np.array(weight.value)
    tensors["probabilities"] = model(images / 255)

    def loss_of(trainable: list[jax.Array]) -> tuple[jax.Array, typing.Any]:
        values = [variable.value for variable in model.non_trainable_variables]
        probabilities, moved, penalties = model.stateless_call(trainable, values, images / 255, training=True, return_losses=True)
        loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, probabilities))
        return loss + sum(penalties), (loss, moved)

    trainable = [variable.value for variable in model.trainable_variables]
    (_, (loss, moved)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable)
    tensors["loss"] = np.array([loss])
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        tensors["d " + weight.path.removeprefix("sequential/")] = gradient
    for weight, value in zip(model.non_trainable_variables, moved, strict=True):
        tensors["moved " + weight.path.removeprefix("sequential/")] = value
    save_file(
        {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()},
        HERE / "unbiased.safetensors",
        {"keras": keras.__version__, "jax": jax.__version__},
    )
    print(sorted(tensors), loss)


if __name__ == "__main__":
    main()
