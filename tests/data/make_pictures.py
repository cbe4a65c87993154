#!/usr/bin/env python3
"""Writes pictures.safetensors: PNG files of every kind, and the values that Pillow reads from them, for test_png.cpp.

    pip install pillow numpy safetensors
    python3 make_pictures.py

Its tensors, of bytes:

    NAME/png   (size)              the file
    NAME/rgb   (3, rows, columns)  convert("RGB"); where the picture has transparent pixels, pasted on white first
    NAME/grey  (1, rows, columns)  the same by convert("L")

Two kinds are left out because Pillow reads them wrongly: it clips 16-bit grey to 255, and misses the transparent grey of 1, 2 and 4 bits.
"""

import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
ROWS, COLUMNS = 9, 11
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]

GAMMA = (b"gAMA", struct.pack(">I", 100_000))  # linear light
CHROMATICITIES = (b"cHRM", struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600))
SRGB = (b"sRGB", b"\0")
PROFILE = (b"iCCP", b"x\0\0" + zlib.compress(bytes(132)))
SIGNIFICANT_BITS = (b"sBIT", b"\5\6\5")
BACKGROUND = (b"bKGD", struct.pack(">3H", 255, 0, 0))
TEXT = (b"tEXt", b"Comment\0hello")
ANIMATION = (b"acTL", struct.pack(">2I", 1, 0))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(samples: np.ndarray, depth: int) -> bytes:
    """The rows of (rows, columns, channels), each after the number of the filter that does nothing."""
    lines = b""
    for row in samples.reshape(len(samples), -1):
        bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
        lines += b"\0" + np.packbits(bits.astype(np.uint8)).tobytes()
    return lines


def png(samples: np.ndarray, depth: int, kind: int, *chunks: tuple[bytes, bytes], interlaced: bool = False) -> bytes:
    rows, columns = samples.shape[:2]
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    image = b"".join(scanlines(part, depth) for part in passes if part.size)
    header = struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, interlaced)
    before = b"".join(chunk(name, data) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(image)) + chunk(b"IEND", b"")


def pictures() -> dict[str, bytes]:
    rng = np.random.default_rng(1)

    def noise(depth: int, kind: int, colours: int = 0) -> np.ndarray:
        return rng.integers(0, colours or 1 << depth, (ROWS, COLUMNS, CHANNELS[kind]))

    files = {}
    for depth in (1, 2, 4, 8):
        files[f"grey{depth}"] = png(noise(depth, GREY), depth, GREY)
        palette = (b"PLTE", rng.bytes(3 << depth))
        alphas = (b"tRNS", rng.bytes(1 << depth >> 1))  # the other colours are opaque
        files[f"palette{depth}"] = png(noise(depth, PALETTE), depth, PALETTE, palette)
        files[f"palette{depth}_transparent"] = png(noise(depth, PALETTE), depth, PALETTE, palette, alphas)
    files["palette_short"] = png(noise(8, PALETTE, 5), 8, PALETTE, (b"PLTE", rng.bytes(15)))

    for depth in (8, 16):
        rgb = noise(depth, RGB)
        files[f"rgb{depth}"] = png(rgb, depth, RGB)
        files[f"rgb{depth}_srgb"] = png(rgb, depth, RGB, SRGB)
        files[f"rgb{depth}_linear"] = png(rgb, depth, RGB, GAMMA, CHROMATICITIES)
        files[f"rgb{depth}_profile"] = png(rgb, depth, RGB, PROFILE)
        files[f"rgb{depth}_others"] = png(rgb, depth, RGB, SIGNIFICANT_BITS, BACKGROUND, TEXT, ANIMATION)
        files[f"grey_alpha{depth}"] = png(noise(depth, GREY_ALPHA), depth, GREY_ALPHA)
        files[f"grey_alpha{depth}_linear"] = png(noise(depth, GREY_ALPHA), depth, GREY_ALPHA, GAMMA)
        files[f"rgba{depth}"] = png(noise(depth, RGBA), depth, RGBA)
        files[f"rgba{depth}_linear"] = png(noise(depth, RGBA), depth, RGBA, GAMMA)
    files["grey8_linear"] = png(noise(8, GREY), 8, GREY, GAMMA)
    files["grey8_transparent"] = png(noise(8, GREY, 4), 8, GREY, (b"tRNS", struct.pack(">H", 2)))
    files["rgb8_transparent"] = png(noise(8, RGB, 2), 8, RGB, (b"tRNS", struct.pack(">3H", 1, 0, 1)))

    files["grey1_interlaced"] = png(noise(1, GREY), 1, GREY, interlaced=True)
    files["palette4_interlaced"] = png(noise(4, PALETTE), 4, PALETTE, (b"PLTE", rng.bytes(48)), interlaced=True)
    files["rgb8_interlaced"] = png(noise(8, RGB), 8, RGB, interlaced=True)
    files["rgba16_interlaced"] = png(noise(16, RGBA), 16, RGBA, interlaced=True)
    return files


def read(file: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(file))
    if "A" not in picture.mode and "transparency" not in picture.info:
        return picture
    white = Image.new("RGB", picture.size, "white")
    rgba = picture.convert("RGBA")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def main() -> None:
    tensors = {}
    for name, file in pictures().items():
        picture = read(file)
        tensors[f"{name}/png"] = np.frombuffer(file, np.uint8)
        tensors[f"{name}/rgb"] = np.ascontiguousarray(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
        tensors[f"{name}/grey"] = np.asarray(picture.convert("RGB").convert("L"))[None]
    save_file(tensors, HERE / "pictures.safetensors")


if __name__ == "__main__":
    main()
