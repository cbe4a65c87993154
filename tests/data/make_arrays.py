"""Writes the files of tests/data/arrays as NumPy and Python's gzip write them. The tests know the formula.

Usage: python make_arrays.py  (NumPy 2.4.6 made the files)
"""

import gzip
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent / "arrays"


def images(count: int, h: int, w: int, c: int) -> npt.NDArray[np.uint8]:
    n, y, x, k = np.indices((count, h, w, c))
    return ((31 * n + 7 * y + 3 * x + 11 * k) % 256).astype(np.uint8)


def labels(count: int) -> npt.NDArray[np.int64]:
    return np.arange(count) % 3


def write_npz() -> None:
    small = {
        "x_train": images(5, 4, 3, 2),
        "y_train": labels(5),
        "x_test": images(2, 4, 3, 2),
        "y_test": labels(2).astype(np.uint8).reshape(-1, 1),
    }
    np.savez(FOLDER / "stored.npz", **small)
    np.savez_compressed(FOLDER / "deflated.npz", **small)
    medical = {"train_images": images(5, 4, 3, 1)[..., 0], "train_labels": labels(5), "val_images": images(1, 4, 3, 1)[..., 0]}
    np.savez_compressed(FOLDER / "medical.npz", **medical, val_labels=labels(1))
    floats = images(5, 4, 3, 1).astype(np.float64) / 255
    np.savez(FOLDER / "doubles.npz", X_train=floats, Y_train=labels(5))
    np.savez(FOLDER / "others.npz", images(1, 2, 2, 1), other=labels(1))


def write_targets() -> None:
    """Sets of which a dense layer learns the targets: whether each of ten values is bright, and how bright each channel is."""
    generator = np.random.default_rng(1)
    bits = {name: generator.integers(0, 2, (count, 5, 4, 3), np.uint8) for name, count in (("train", 128), ("test", 32))}
    rooms = {f"x_{name}": 255 * x for name, x in bits.items()} | {f"y_{name}": x.reshape(len(x), -1)[:, :10] for name, x in bits.items()}
    np.savez_compressed(FOLDER / "multi_label.npz", **rooms)
    levels = {name: generator.integers(0, 256, (count, 1, 1, 3)) for name, count in (("train", 128), ("test", 32))}
    lights = {f"x_{name}": np.tile(x, (1, 5, 4, 1)).astype(np.uint8) for name, x in levels.items()}
    np.savez_compressed(FOLDER / "regression.npz", **lights, **{f"y_{name}": x[:, 0, 0] / 255 for name, x in levels.items()})


def write_npy() -> None:
    for version in ((1, 0), (2, 0), (3, 0)):
        with (FOLDER / f"version{version[0]}.npy").open("wb") as file:
            np.lib.format.write_array(file, images(5, 4, 3, 2), version=version)
    np.save(FOLDER / "floats.npy", images(5, 4, 3, 2).astype(np.float32) / 255)
    np.save(FOLDER / "labels.npy", labels(5))
    np.save(FOLDER / "fortran.npy", np.asfortranarray(images(5, 4, 3, 2)))
    np.save(FOLDER / "objects.npy", np.array([None, "text"], dtype=object), allow_pickle=True)
    np.save(FOLDER / "records.npy", np.zeros(3, dtype=[("a", "u1"), ("b", "<f4")]))


def write_idx() -> None:
    content = io.BytesIO()
    content.write(bytes([0, 0, 8, 3]) + np.array([5, 4, 3], ">u4").tobytes() + images(5, 4, 3, 1).tobytes())
    (FOLDER / "images-idx3-ubyte.gz").write_bytes(gzip.compress(content.getvalue(), mtime=0))
    content = io.BytesIO()
    content.write(bytes([0, 0, 8, 1]) + np.array([5], ">u4").tobytes() + labels(5).astype(np.uint8).tobytes())
    (FOLDER / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(content.getvalue(), mtime=0))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    write_npz()
    write_targets()
    write_npy()
    write_idx()
