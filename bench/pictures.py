#!/usr/bin/env python3
"""Pictures a second on one core beside Pillow: JPEG files of 500x375 are read, decoded and resized to 150x150 pixels. Both take the same files
turn by turn, by CPU time, the best pass counts, and their pixels must be equal bit for bit.

    pip install pillow numpy
    bench/pictures.py build/release/bin/halcyon_pictures

The pictures are made here: coloured noise whose amplitude falls with frequency as in photographs, at quality 90. `steepness` 1 gives files of
about 105 KB, 1.2 of 75, 1.5 of 40; flowers and animals in public sets of this size have 30 to 110. The share of decoding, which both leave to
libjpeg-turbo, grows with the file.
"""

import argparse
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

ROWS, COLUMNS, SIZE = 375, 500, 150
PASSES = 10


def noise(rng: np.random.Generator, steepness: float) -> np.ndarray:
    """Values of mean 0 and standard deviation 1 whose amplitudes fall as frequency ** -steepness."""
    frequency = np.hypot(np.fft.fftfreq(ROWS)[:, None], np.fft.rfftfreq(COLUMNS)[None])
    frequency[0, 0] = 1
    waves = np.fft.rfft2(rng.standard_normal((ROWS, COLUMNS))) / frequency**steepness
    waves[0, 0] = 0
    values = np.fft.irfft2(waves, (ROWS, COLUMNS))
    return values / values.std()


def photograph(rng: np.random.Generator, steepness: float) -> Image.Image:
    light = noise(rng, steepness)
    channels = [light + 0.5 * noise(rng, steepness + 0.3) for _ in range(3)]
    return Image.fromarray(np.clip(128 + 45 * np.stack(channels, axis=-1), 0, 255).astype(np.uint8))


def pixels_of(file: pathlib.Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def pillow_microseconds(files: list[pathlib.Path]) -> float:
    best = float("inf")
    for _ in range(PASSES):
        start = time.process_time()
        for file in files:
            pixels_of(file)
        best = min(best, time.process_time() - start)
    return 1e6 * best / len(files)


def halcyon_microseconds(program: str, files: list[pathlib.Path], *options: str) -> float:
    command = [program, "--size", str(SIZE), "--passes", str(PASSES), *options, *map(str, files)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(program: str, steepness: float, pictures: int, turns: int) -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = [folder / f"{i}.jpg" for i in range(pictures)]
        for file in files:
            photograph(rng, steepness).save(file, quality=90)
        halcyon_microseconds(program, files, "--out", f"{folder}/pixels")
        expected = b"".join(pixels_of(file).tobytes() for file in files)
        equal = (folder / "pixels").read_bytes() == expected
        times = [(pillow_microseconds(files), halcyon_microseconds(program, files)) for _ in range(turns)]
        pillow, halcyon = (min(column) for column in zip(*times, strict=True))
        size = sum(file.stat().st_size for file in files) / pictures / 1e3
    print(f"{size:4.0f} KB a file: Pillow {1e6 / pillow:5.0f} pictures/s, halcyon {1e6 / halcyon:5.0f}, {pillow / halcyon:.2f} times as many; "
          f"pixels {'equal' if equal else 'NOT EQUAL'}")
    if not equal:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="halcyon_pictures")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    for steepness in (1.0, 1.2, 1.5):
        compare(arguments.program, steepness, arguments.pictures, arguments.turns)


if __name__ == "__main__":
    main()
