#!/usr/bin/env python3
"""Writes cifar10_steps.safetensors: ten Adam steps of models/cifar10.json as Keras takes them, for golden.cpp to repeat.

    pip install keras tensorflow-cpu numpy safetensors
    python3 make_golden.py

Weights, images and labels come from the counter-based generator that the runtime uses (runtime/engine/random.h), so that the file need not
hold them. Its tensors:

    losses                               (steps)       the loss of each step, before its update
    gradients/NAME                       NAME's shape  every gradient of the first step
    {initial,step1,step10}/NAME/samples  (<=64)        elements j * size / count of the weight, j < count = min(size, 64)
    {initial,step1,step10}/NAME/norm     (1)           its 2-norm
    {step1,step10}/NAME/spread           (2)           2-norms of its difference to the same steps in float64, which is what float32's
                                                       rounding does to it: of the samples, of the whole weight

All steps see the same batch, and IMAGES_SEED was searched for. Adam's first step is +-learning_rate by the gradient's sign, so an element
of the gradient as small as the rounding goes either way; an activation that close to a ReLU's kink or to its neighbour in a max pool does
too. With one batch the later gradients keep their signs and such a flip is no longer amplified; with seed 2 none happens at all: six
runs in float32 from weights 3e-7 apart all stayed within 3e-5 of float64's losses. With ten random batches the tenth losses of Keras
itself in float32 and float64 are 1e-3 to 1e-1 apart.
"""

import json
import os
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "cifar10.json"

WEIGHTS_SEED = 1
IMAGES_SEED = 2
STREAM_INIT = 2  # plan/step.h
STEPS, BATCH = 10, 16
SAMPLES = 64


def philox2x32(counter0, counter1, key):
    """Philox2x32-10 of Salmon et al. (2011), elementwise: two uint32 arrays."""
    c0, c1, key = (np.asarray(word, dtype=np.uint64) for word in (counter0, counter1, key))
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        product = c0 * np.uint64(0xD256D193)
        c0, c1 = (product >> np.uint64(32)) ^ key ^ c1, product & low
        key = (key + np.uint64(0x9E3779B9)) & low
    return c0.astype(np.uint32), c1.astype(np.uint32)


def initial_weight(name, shape, index):
    """The weight that is number `index` in plan.json, as the runtime initialises it."""
    if not name.endswith("/kernel"):
        return np.full(shape, 1 if name.endswith(("/gamma", "/moving_variance")) else 0, np.float32)
    receptive_field = np.prod(shape[:-2], dtype=np.int64)
    limit = np.float32(np.sqrt(6 / (receptive_field * (shape[-2] + shape[-1]))))
    key = philox2x32(0, STREAM_INIT, WEIGHTS_SEED)[0]
    word, _ = philox2x32(np.arange(np.prod(shape)), index, key)
    uniform = (word >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
    return (limit * (np.float32(2) * uniform - np.float32(1))).reshape(shape)


def batch():
    """Images (BATCH, 3072) of noise in CIFAR's planar bytes, eight bytes, little-endian, a counter {i, image}; random labels (BATCH)."""
    image = np.arange(BATCH)
    words = np.stack(philox2x32(np.arange(384)[None, :], image[:, None], IMAGES_SEED), axis=-1)
    labels = philox2x32(384, image, IMAGES_SEED)[0] % 10
    return words.astype("<u4").view(np.uint8).reshape(BATCH, 3072), labels.astype(np.int32)


def keras_network(rates):
    """models/cifar10.json in Keras, up to the logits; `rates` are its dropout rates, in order."""
    import keras

    rates = iter(rates)
    make = {
        "conv2d": lambda layer: keras.layers.Conv2D(layer["filters"], layer["kernel_size"], activation=layer["activation"]),
        "batch_normalization": lambda layer: keras.layers.BatchNormalization(),
        "max_pooling2d": lambda layer: keras.layers.MaxPooling2D(layer["pool_size"], padding=layer.get("padding", "valid")),
        "dropout": lambda layer: keras.layers.Dropout(next(rates)),
        "flatten": lambda layer: keras.layers.Flatten(),
        "dense": lambda layer: keras.layers.Dense(layer["units"], activation=layer["activation"]),
    }
    keras.utils.clear_session(free_memory=False)  # names start at conv2d again
    model = json.loads(MODEL.read_text())
    network = keras.Sequential([keras.Input(model["input"]["shape"])] + [make[layer["type"]](layer) for layer in model["layers"]])
    network.layers[-1].activation = keras.activations.linear
    return network


def weights_of(network):
    """Its weights in plan.json's order (layer by layer), by Keras's names."""
    return {f"{layer.name}/{weight.name}": weight for layer in network.layers for weight in layer.weights}


def ten_steps(precision):
    """What the ten steps leave behind, computed by Keras in `precision`."""
    import keras
    import tensorflow as tf

    keras.config.set_floatx(precision)
    network = keras_network(rates=[0] * 4)
    weights = weights_of(network)
    for index, (name, weight) in enumerate(weights.items()):
        weight.assign(initial_weight(name, tuple(weight.shape), index))
    optimizer = keras.optimizers.Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def snapshot():
        return {name: weight.numpy().copy() for name, weight in weights.items()}

    images, labels = batch()
    images = images.reshape(BATCH, 3, 32, 32).transpose(0, 2, 3, 1).astype(precision) / 255
    result = {"initial": snapshot(), "losses": []}
    for step in range(STEPS):
        with tf.GradientTape() as tape:
            logits = network(images, training=True)
            loss = loss_of(labels, logits)
        gradients = tape.gradient(loss, network.trainable_weights)
        optimizer.apply_gradients(zip(gradients, network.trainable_weights))
        result["losses"].append(loss.numpy())
        if step == 0:
            names = {id(weight): name for name, weight in weights.items()}
            result["gradients"] = {names[id(w)]: g.numpy() for w, g in zip(network.trainable_weights, gradients)}
            result["step1"] = snapshot()
    result["step10"] = snapshot()
    return result


def samples(weight):
    count = min(weight.size, SAMPLES)
    return weight.reshape(-1)[np.arange(count) * weight.size // count]


def main():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf
    from safetensors.numpy import save_file

    run, exact = ten_steps("float32"), ten_steps("float64")
    tensors = {"losses": run["losses"]}
    tensors |= {f"gradients/{name}": gradient for name, gradient in run["gradients"].items()}
    for moment in ("initial", "step1", "step10"):
        for name, weight in run[moment].items():
            tensors[f"{moment}/{name}/samples"] = samples(weight)
            tensors[f"{moment}/{name}/norm"] = [np.linalg.norm(weight.astype(np.float64))]
            if moment != "initial":
                difference = weight - exact[moment][name]
                tensors[f"{moment}/{name}/spread"] = [np.linalg.norm(samples(difference)), np.linalg.norm(difference)]
    metadata = {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "weights_seed": str(WEIGHTS_SEED),
        "images_seed": str(IMAGES_SEED),
        "steps": str(STEPS),
        "batch": str(BATCH),
    }
    tensors = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}
    save_file(tensors, HERE / "cifar10_steps.safetensors", metadata)

    print("losses       " + " ".join(f"{loss:.6f}" for loss in run["losses"]))
    print("vs float64   " + " ".join(f"{abs(a / b - 1):.0e}" for a, b in zip(run["losses"], exact["losses"])))
    for name, gradient in run["gradients"].items():
        norm = np.linalg.norm(gradient.astype(np.float64))
        error = np.linalg.norm(gradient - exact["gradients"][name]) / norm
        moved = np.linalg.norm(run["step10"][name] - run["initial"][name])
        print(f"{name:28} gradient {norm:.2e}, rounding {error:.0e}; moved {moved:.2e}, rounding {tensors[f'step10/{name}/spread'][1]:.0e}")


if __name__ == "__main__":
    main()
