#!/usr/bin/env python3
"""Writes keras.json: what Keras reaches on the data that ../data/make_miniatures.py makes, for end_to_end.py to compare with.

    pip install keras jax pillow numpy
    ../data/make_miniatures.py FOLDER && ./make_keras.py FOLDER

Each network of models/ is built layer by layer and trained by Adam with Keras's constants from three seeds, in batches of 64 and with a quarter
dropped out, as the recipe `keras` does. Kept is the accuracy on the images that are not trained on, of the best epoch of each seed.
"""

import gzip
import json
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "models"
EPOCHS = {"lenet5": 5, "flowers": 12, "cifar100": 10}
SEEDS = [1, 2, 3]
Split = tuple[np.ndarray, np.ndarray]


def read_idx(path: pathlib.Path) -> np.ndarray:
    data = gzip.decompress(path.read_bytes())
    extents = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(extents)


def digits(folder: pathlib.Path, split: str) -> Split:
    name = folder / "digits" / {"train": "train", "test": "t10k"}[split]
    return read_idx(pathlib.Path(f"{name}-images-idx3-ubyte.gz"))[..., None], read_idx(pathlib.Path(f"{name}-labels-idx1-ubyte.gz"))


def flowers(folder: pathlib.Path, split: str) -> Split:
    classes = sorted((folder / "flowers" / "train").iterdir())
    files = [sorted((folder / "flowers" / {"train": "train", "test": "val"}[split] / label.name).iterdir()) for label in classes]
    images = [np.asarray(Image.open(file).resize((180, 180), Image.Resampling.BILINEAR)) for of_class in files for file in of_class]
    return np.stack(images), np.repeat(np.arange(len(classes)), [len(of_class) for of_class in files])


def tinted_shapes(folder: pathlib.Path, split: str) -> Split:
    records = np.fromfile(folder / "cifar-100-binary" / f"{split}.bin", np.uint8).reshape(-1, 3074)
    return records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 1]


LAYERS = {
    "conv2d": keras.layers.Conv2D,
    "batch_normalization": keras.layers.BatchNormalization,
    "max_pooling2d": keras.layers.MaxPooling2D,
    "dropout": lambda: keras.layers.Dropout(0.25),
    "flatten": keras.layers.Flatten,
    "dense": keras.layers.Dense,
}


def build(model: str) -> keras.Model:
    """The network of a model file: the options of its layers are Keras's own."""
    description = json.loads((MODELS / f"{model}.json").read_text())
    network = keras.Sequential([keras.layers.Input(description["input"]["shape"]), keras.layers.Rescaling(1 / 255)])
    for layer in description["layers"]:
        network.add(LAYERS[layer.pop("type")](**layer))
    return network


def accuracy(model: str, train: Split, test: Split, seed: int) -> float:
    keras.utils.set_random_seed(seed)
    network = build(model)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = network.fit(*train, batch_size=64, epochs=EPOCHS[model], validation_data=test, verbose=0).history
    return round(max(history["val_accuracy"]), 4)


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    results = {}
    for model, source in ("lenet5", digits), ("flowers", flowers), ("cifar100", tinted_shapes):
        train, test = source(folder, "train"), source(folder, "test")
        accuracies = [accuracy(model, train, test, seed) for seed in SEEDS]
        results[model] = {"epochs": EPOCHS[model], "test_images": len(test[1]), "accuracies": accuracies}
        print(model, results[model], flush=True)
    (HERE / "keras.json").write_text(json.dumps(results, indent=4) + "\n")


if __name__ == "__main__":
    main()
