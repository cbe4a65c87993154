#!/usr/bin/env python3
"""Writes augmented.safetensors: pictures, and what Keras and SciPy make of them, for augment.cpp.

    pip install keras==3.8.0 jax 'scipy<1.15' numpy safetensors
    KERAS_BACKEND=numpy python3 make_augmented.py

Its tensors, float32 but for the pictures' bytes; of three, the fills are nearest, reflect and constant with 77:

    square, oblong    (rows, columns, 3)            the pictures: noise, the hardest to interpolate
    keras/values      (cases, 6)                    rotation, shift across and down, shear, zoom across and down
    keras/images      (cases, 3, rows, columns, 3)  the square by Keras's apply_affine_transform
    scipy/maps        (cases, 6)                    xx, xy, x0, yx, yy, y0
    scipy/images      (cases, 3, rows, columns, 3)  the oblong by scipy.ndimage.affine_transform
    contrast/factors  (cases)
    contrast/images   (cases, rows, columns, 3)     the oblong by Keras's RandomContrast with this factor, held to 0..255
"""

import os
import pathlib

os.environ["KERAS_BACKEND"] = "numpy"

import numpy as np
from keras.layers import RandomContrast
from keras.src.legacy.preprocessing.image import apply_affine_transform
from safetensors.numpy import save_file
from scipy.ndimage import affine_transform

HERE = pathlib.Path(__file__).resolve().parent
FILLS = ("nearest", "reflect", "constant")
FILL_VALUE = 77


def keras_images(picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    def image(case: np.ndarray, fill: str) -> np.ndarray:
        theta, tx, ty, shear, zx, zy = map(float, case)
        return apply_affine_transform(picture, theta, tx, ty, shear, zx, zy, 0, 1, 2, fill, FILL_VALUE)

    return np.stack([[image(case, fill) for fill in FILLS] for case in values])


def scipy_images(picture: np.ndarray, maps: np.ndarray) -> np.ndarray:
    def image(case: np.ndarray, fill: str) -> np.ndarray:
        xx, xy, x0, yx, yy, y0 = map(float, case)
        channels = [
            affine_transform(channel, [[yy, yx], [xy, xx]], [y0, x0], order=1, mode=fill, cval=FILL_VALUE)
            for channel in np.moveaxis(picture, 2, 0)
        ]
        return np.stack(channels, axis=2)

    return np.stack([[image(case, fill) for fill in FILLS] for case in maps])


def main() -> None:
    random = np.random.default_rng(1)
    square, oblong = (random.integers(0, 256, size, dtype=np.uint8) for size in [(10, 10, 3), (7, 11, 3)])
    values = np.array(
        [
            [0, 0, 0, 0, 1, 1],
            [30, 0, 0, 0, 1, 1],
            [0, 1.7, -2.4, 0, 1, 1],
            [0, 0, 0, 20, 1, 1],
            [0, 0, 0, 0, 0.8, 1.3],
            [-50, 2.1, 0.6, -15, 1.2, 0.7],
        ],
        np.float32,
    )
    maps = np.array(
        [[1, 0, 3, 0, 1, -2], [-1, 0, 10, 0, 1, 0], [0.913, 0.317, -0.737, -0.219, 1.131, 1.343], [1.7, -0.6, -31.3, 0.4, -1.9, 40.2]], np.float32
    )
    factors = np.array([0, 0.4, 1, 1.7], np.float32)
    layer = RandomContrast(1)
    contrasts = [np.clip(layer._adjust_constrast(oblong.astype(np.float32), factor), 0, 255) for factor in factors]
    tensors = {
        "keras/values": values,
        "keras/images": keras_images(square.astype(np.float64), values),
        "scipy/maps": maps,
        "scipy/images": scipy_images(oblong.astype(np.float64), maps),
        "contrast/factors": factors,
        "contrast/images": np.stack(contrasts),
    }
    tensors = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}
    save_file(tensors | {"square": square, "oblong": oblong}, HERE / "augmented.safetensors")


if __name__ == "__main__":
    main()
