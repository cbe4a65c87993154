#!/usr/bin/env python3
"""Writes frozen.safetensors: what Keras makes of frozen.json, some of whose layers are not trained, for frozen.cpp to repeat.

    pip install keras jax numpy safetensors
    KERAS_BACKEND=jax python3 make_frozen.py

Images, labels and weights are random. Ten steps are taken on the same images, by SGD with momentum and weight decay. Its tensors:

    images                       (n, h, w, c)  whole numbers, 0 to 255
    labels                       (n)
    <layer>/<weight>                           before the first step; moving statistics too
    losses                       (10)          of the steps, the mean, without the regularizers' penalties
    trained <layer>/<weight>                   after the last step
"""

import json
import pathlib
import typing

import jax
import keras
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
MODEL = json.loads((HERE / "frozen.json").read_text())
IMAGES = 6
STEPS = 10
KERAS_CLASSES = {
    "batch_normalization": keras.layers.BatchNormalization,
    "conv2d": keras.layers.Conv2D,
    "dense": keras.layers.Dense,
    "flatten": keras.layers.Flatten,
    "max_pooling2d": keras.layers.MaxPooling2D,
    "relu": keras.layers.ReLU,
}


def make_model() -> keras.Model:
    layers = [keras.Input(MODEL["input"]["shape"])]
    for layer in MODEL["layers"]:
        layers.append(KERAS_CLASSES[layer["type"]](**{key: value for key, value in layer.items() if key != "type"}))
    return keras.Sequential(layers)


def name_of(weight: keras.Variable) -> str:
    return weight.path.removeprefix("sequential/")


def main() -> None:
    random = np.random.default_rng(1)
    h, w, c = MODEL["input"]["shape"]
    images = random.integers(0, 256, (IMAGES, h, w, c)).astype(np.float32)
    model = make_model()
    labels = random.integers(0, model.output_shape[-1], IMAGES)
    tensors = {"images": images, "labels": labels}
    for weight in model.variables:
        center = 1 if weight.name in ("moving_variance", "gamma") else 0
        reach = 0.1 if weight.name == "kernel" else 0.5  # small logits: Keras bounds losses of probabilities
        weight.assign(random.uniform(center - reach, center + reach, weight.shape))
        tensors[name_of(weight)] = np.array(weight.value)

    def loss_of(trainable: list[jax.Array], others: list[jax.Array]) -> tuple[jax.Array, typing.Any]:
        probabilities, moved, penalties = model.stateless_call(trainable, others, images / 255, training=True, return_losses=True)
        loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, probabilities))
        return loss + sum(penalties), (loss, moved)

    optimizer = keras.optimizers.SGD(learning_rate=0.01, momentum=0.9, weight_decay=0.1)
    optimizer.build(model.trainable_variables)
    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    state = [variable.value for variable in optimizer.variables]
    losses = []
    for _ in range(STEPS):
        (_, (loss, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, others)
        trainable, state = optimizer.stateless_apply(state, gradients, trainable)
        losses.append(float(loss))
    tensors["losses"] = np.array(losses)
    for weights, values in [(model.trainable_variables, trainable), (model.non_trainable_variables, others)]:
        for weight, value in zip(weights, values, strict=True):
            tensors["trained " + name_of(weight)] = value
    save_file(
        {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()},
        HERE / "frozen.safetensors",
        {"keras": keras.__version__, "jax": jax.__version__},
    )
    print(sorted(tensors), losses)


if __name__ == "__main__":
    main()
