#!/usr/bin/env python3
"""Makes small data sets of the forms that people have, from formulas: `make_miniatures.py FOLDER`.

    FOLDER/digits/          MNIST's four idx files, gzipped: seven-segment digits, 28x28 grey, 3000 to train on and 500 to test on
    FOLDER/flowers/         class folders train/ and val/ of JPEGs of many sizes: flowers of 3 to 7 petals, 60 and 20 of each
    FOLDER/cifar-100-binary/  CIFAR-100's binary files: ten shapes in ten hues, 32x32 RGB, 4000 to train on and 1000 to test on

Every image is a function of its number, so that a framework can be trained on the same ones (tests/end_to_end/make_keras.py).
Needs numpy and Pillow.
"""

import gzip
import pathlib
import struct
import sys

import numpy as np
from PIL import Image

Array = np.ndarray


def grid(side: int) -> tuple[Array, Array]:
    """The coordinates of the pixels' centres, from -1 to 1: y, x."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    return np.meshgrid(axis, axis, indexing="ij")


def placed(random: np.random.Generator, side: int, shift: float, angle: float, scale: float) -> tuple[Array, Array]:
    """The same, moved, turned and scaled at random within these bounds."""
    y, x = grid(side)
    dy, dx = random.uniform(-shift, shift, 2)
    turn, size = random.uniform(-angle, angle), random.uniform(1 - scale, 1 + scale)
    y, x = (y - dy) / size, (x - dx) / size
    return y * np.cos(turn) - x * np.sin(turn), y * np.sin(turn) + x * np.cos(turn)


def covered(distance: Array, softness: float) -> Array:
    """1 where a distance is negative, 0 where it is positive, and between within the softness."""
    return np.clip(0.5 - distance / softness, 0, 1)


def with_noise(random: np.random.Generator, image: Array, noise: float) -> Array:
    return np.clip(image + random.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


# The segments of a digit: top, upper left, upper right, middle, lower left, lower right, bottom, as (y0, x0, y1, x1).
SEGMENTS = [(-0.6, -0.3, -0.6, 0.3), (-0.6, -0.3, 0, -0.3), (-0.6, 0.3, 0, 0.3), (0, -0.3, 0, 0.3),
            (0, -0.3, 0.6, -0.3), (0, 0.3, 0.6, 0.3), (0.6, -0.3, 0.6, 0.3)]  # fmt: skip
LIT = ["1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111", "1111011"]


def digit(label: int, number: int) -> Array:
    """A seven-segment digit, (28, 28)."""
    random = np.random.default_rng((1, number))
    y, x = placed(random, 28, 0.2, 0.25, 0.2)
    distance = np.full(y.shape, np.inf)
    for (y0, x0, y1, x1), lit in zip(SEGMENTS, LIT[label]):
        if lit == "1":
            along = np.clip(((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / ((y1 - y0) ** 2 + (x1 - x0) ** 2), 0, 1)
            distance = np.minimum(distance, np.hypot(y - y0 - along * (y1 - y0), x - x0 - along * (x1 - x0)))
    thickness = random.uniform(0.08, 0.16)
    return with_noise(random, random.uniform(120, 255) * covered(distance - thickness, 0.1), 20)


def colour(hue: float, brightness: float) -> Array:
    """A saturated colour, (3), of a hue in 0..1."""
    return brightness * np.clip(1.5 + 1.5 * np.cos(2 * np.pi * (hue - np.array([0, 1, 2]) / 3)), 0, 2.5) / 2.5


def flower(petals: int, number: int) -> Array:
    """A flower on grass, of a colour that tells a little of its petals and a size of its own, (h, w, 3)."""
    random = np.random.default_rng((2, number))
    side = int(random.integers(160, 260))
    y, x = placed(random, side, 0.25, np.pi, 0.25)
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    outline = 0.55 + 0.25 * np.cos(petals * angle)
    grass = colour(random.uniform(0.3, 0.4), random.uniform(60, 130))
    image = np.broadcast_to(grass, (side, side, 3))
    for cover, paint in [(covered(radius - outline, 0.03), colour(0.6 + 0.12 * (petals - 3) + random.uniform(-0.08, 0.08), random.uniform(150, 255))),
                         (covered(radius - 0.15, 0.03), colour(0.15, 220))]:  # fmt: skip
        image = image * (1 - cover[..., None]) + paint * cover[..., None]
    height = int(side * random.uniform(0.8, 1))  # not all are square
    return with_noise(random, image, 12)[(side - height) // 2 :][:height]


def shape_distance(shape: int, y: Array, x: Array) -> Array:
    """Negative inside one of ten shapes."""
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    return [
        radius - 0.5,  # a disc
        np.abs(radius - 0.45) - 0.12,  # a ring
        np.maximum(np.abs(y), np.abs(x)) - 0.45,  # a square
        np.abs(np.maximum(np.abs(y), np.abs(x)) - 0.42) - 0.1,  # a frame
        np.minimum(np.maximum(np.abs(y) - 0.15, np.abs(x) - 0.6), np.maximum(np.abs(x) - 0.15, np.abs(y) - 0.6)),  # a cross
        np.maximum(np.abs(y) - 0.18, np.abs(x) - 0.65),  # a bar
        radius - 0.3 - 0.25 * np.cos(3 * angle),  # three petals
        radius - 0.4 - 0.2 * np.cos(5 * angle),  # five petals
        np.abs(np.sin(6 * y)) - 0.5 + np.maximum(np.abs(x) - 0.6, 0),  # stripes
        np.hypot((4 * y + 1) % 2 - 1, (4 * x + 1) % 2 - 1) - 0.6,  # dots
    ][shape]


def tinted_shape(label: int, number: int) -> Array:
    """One of ten shapes in one of ten hues, (32, 32, 3)."""
    random = np.random.default_rng((3, number))
    y, x = placed(random, 32, 0.2, 0.3, 0.2)
    cover = covered(shape_distance(label // 10, y, x), 0.1)[..., None]
    hue = label % 10 / 10 + random.uniform(-0.015, 0.015)
    background = random.uniform(20, 90) * np.ones(3)
    return with_noise(random, background * (1 - cover) + colour(hue, random.uniform(170, 250)) * cover, 10)


def shuffled(classes: int, images: int) -> Array:
    """Labels, each class as often as the others, in an order of their own."""
    return np.random.default_rng(images).permutation(np.arange(images) % classes)


def digits(split: str) -> tuple[Array, Array]:
    labels, first = (shuffled(10, 3000), 0) if split == "train" else (shuffled(10, 500), 3000)
    return np.stack([digit(label, first + i) for i, label in enumerate(labels)]), labels.astype(np.uint8)


def tinted_shapes(split: str) -> tuple[Array, Array]:
    labels, first = (shuffled(100, 4000), 0) if split == "train" else (shuffled(100, 1000), 4000)
    return np.stack([tinted_shape(label, first + i) for i, label in enumerate(labels)]), labels.astype(np.uint8)


def write_idx(path: pathlib.Path, values: Array) -> None:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes(), 1, mtime=0))


def write_digits(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True)
    for split, name in ("train", "train"), ("test", "t10k"):
        images, labels = digits(split)
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels)


def write_flowers(folder: pathlib.Path) -> None:
    number = 0
    for split, images in ("train", 60), ("val", 20):
        for petals in range(3, 8):
            (folder / split / f"{petals} petals").mkdir(parents=True)
            for i in range(images):
                Image.fromarray(flower(petals, number)).save(folder / split / f"{petals} petals" / f"{i:03}.jpg", quality=90)
                number += 1


def write_tinted_shapes(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True)
    for split in "train", "test":
        images, labels = tinted_shapes(split)
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        (folder / f"{split}.bin").write_bytes(np.column_stack([labels // 5, labels, planes]).astype(np.uint8).tobytes())
    shapes = ["disc", "ring", "square", "frame", "cross", "bar", "clover", "star", "stripes", "dots"]
    (folder / "coarse_label_names.txt").write_text("".join(f"{tone} {shape}\n" for shape in shapes for tone in ("warm", "cold")))
    (folder / "fine_label_names.txt").write_text("".join(f"{shape} {hue}\n" for shape in shapes for hue in range(10)))


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    write_digits(folder / "digits")
    write_flowers(folder / "flowers")
    write_tinted_shapes(folder / "cifar-100-binary")


if __name__ == "__main__":
    main()
