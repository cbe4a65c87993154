#!/usr/bin/env python3
"""Writes pictures.safetensors: picture files of every kind and what Pillow reads from them, and pictures in other sizes as Pillow and TensorFlow
make them, for test_picture.cpp and test_resize.cpp.

    pip install pillow numpy safetensors tensorflow-cpu
    python3 make_pictures.py

Its tensors, of bytes:

    NAME/file                (size)              the file
    NAME/rgb                 (rows, columns, 3)  convert("RGB"): transparency is dropped
    NAME/grey                (rows, columns, 1)  the same by convert("L")
    NAME/rgb_on_white        (rows, columns, 3)  pasted on white first, where the picture has transparent pixels
    NAME/upright             (rows, columns, 3)  ImageOps.exif_transpose(), where its orientation is another than 1
    resize/SOURCE            (rows, columns, channels)
    resize/SOURCE/METHOD/FIT/ROWSxCOLUMNS        METHOD is pillow, nearest or tf; FIT is stretch, crop (ImageOps.fit) or pad (ImageOps.pad)

One kind of PNG is left out because Pillow reads it wrongly, 16-bit grey, which it clips to 255. It misses the transparent grey of 1, 2 and 4 bits
as well.
"""

import io
import pathlib
import struct
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps
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


def png_files() -> dict[str, bytes]:
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
    files["rgb8_exif"] = png(noise(8, RGB), 8, RGB, (b"eXIf", exif(8, ">")))
    files["grey8_transparent"] = png(noise(8, GREY, 4), 8, GREY, (b"tRNS", struct.pack(">H", 2)))
    files["rgb8_transparent"] = png(noise(8, RGB, 2), 8, RGB, (b"tRNS", struct.pack(">3H", 1, 0, 1)))

    files["grey1_interlaced"] = png(noise(1, GREY), 1, GREY, interlaced=True)
    files["palette4_interlaced"] = png(noise(4, PALETTE), 4, PALETTE, (b"PLTE", rng.bytes(48)), interlaced=True)
    files["rgb8_interlaced"] = png(noise(8, RGB), 8, RGB, interlaced=True)
    files["rgba16_interlaced"] = png(noise(16, RGBA), 16, RGBA, interlaced=True)
    return files


def exif(orientation: int, order: str) -> bytes:
    """A directory of a single entry; `order` is struct's, ">" or "<"."""
    header = b"MM\0*" if order == ">" else b"II*\0"
    return header + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def photo(rows: int, columns: int, channels: int, seed: int = 0) -> np.ndarray:
    """Waves with a little noise: neither flat nor all edges."""
    rng = np.random.default_rng(seed)
    y, x, channel = np.meshgrid(np.arange(rows), np.arange(columns), np.arange(channels), indexing="ij")
    waves = 127 + 90 * np.sin(x / 3 + channel) * np.cos(y / 4 - 2 * channel) + 30 * np.sin(x * y / 20)
    return np.clip(waves + rng.normal(0, 12, waves.shape), 0, 255).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def jpeg_files() -> dict[str, bytes]:
    rgb = Image.fromarray(photo(21, 35, 3))
    grey, cmyk = rgb.convert("L"), Image.fromarray(photo(21, 35, 4), "CMYK")
    files = {f"jpeg_{name}": encoded(rgb, "JPEG", subsampling=name) for name in ("4:4:4", "4:2:2", "4:2:0")}
    whole = files["jpeg_4:2:0"]
    files["jpeg_grey"] = encoded(grey, "JPEG")
    files["jpeg_rgb"] = encoded(rgb, "JPEG", keep_rgb=True)
    files["jpeg_progressive"] = encoded(rgb, "JPEG", progressive=True)
    files["jpeg_progressive_grey"] = encoded(grey, "JPEG", progressive=True, quality=95)
    files["jpeg_restarts"] = encoded(rgb, "JPEG", restart_marker_blocks=2)
    files["jpeg_worst"] = encoded(rgb, "JPEG", quality=1)
    files["jpeg_finest"] = encoded(rgb, "JPEG", quality=100, optimize=True)
    files["jpeg_one_pixel"] = encoded(rgb.crop((0, 0, 1, 1)), "JPEG")

    files["jpeg_cmyk"] = encoded(cmyk, "JPEG")  # as Adobe stores it, 0 for all ink
    adobe = files["jpeg_cmyk"].index(b"Adobe")
    files["jpeg_ycck"] = files["jpeg_cmyk"][: adobe + 11] + b"\2" + files["jpeg_cmyk"][adobe + 12 :]
    files["jpeg_cmyk_plain"] = files["jpeg_cmyk"][: adobe - 4] + files["jpeg_cmyk"][adobe + 12 :]

    # What sound files have that should have not.
    files["jpeg_trailing"] = whole + b"trailing bytes"
    files["jpeg_no_end"] = whole.removesuffix(b"\xff\xd9") + bytes(16)
    first_scan = whole.index(b"\xff\xda")
    files["jpeg_bytes_between"] = whole[:first_scan] + b"stray" + whole[first_scan:]
    for orientation in range(1, 9):
        files[f"jpeg_exif{orientation}"] = encoded(rgb, "JPEG", exif=b"Exif\0\0" + exif(orientation, "<>"[orientation % 2]))
    return files


def webp_files() -> dict[str, bytes]:
    rgb, rgba = Image.fromarray(photo(21, 35, 3)), Image.fromarray(photo(21, 35, 4))
    frames = [Image.fromarray(photo(21, 35, 3, seed)) for seed in range(3)]
    return {
        "webp": encoded(rgb, "WEBP"),
        "webp_lossless": encoded(rgb, "WEBP", lossless=True),
        "webp_transparent": encoded(rgba, "WEBP"),
        "webp_lossless_transparent": encoded(rgba, "WEBP", lossless=True, exact=True),
        "webp_animated": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100),
        "webp_exif": encoded(rgb, "WEBP", exif=exif(6, "<")),
    }


def bmp(samples: bytes, rows: int, columns: int, bits: int, palette: bytes = b"", masks: tuple[int, ...] = (), colours: int = 0) -> bytes:
    """Rows are negative where the first stands on top. Masks stand in a header of 124 bytes where there are four."""
    size = 124 if len(masks) == 4 else 40
    fields = struct.pack(f"<{len(masks)}I", *masks)
    header = struct.pack("<IiiHHIIiiII", size, columns, rows, 1, bits, 3 if masks else 0, 0, 2835, 2835, colours, 0)
    header += fields.ljust(size - 40, b"\0") + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(samples), 0, 0, 14 + len(header)) + header + samples


def bmp_rows(samples: np.ndarray, bits: int) -> bytes:
    """Rows of bits, those of a sample from the highest, filled up to four bytes."""
    rows = []
    for row in samples.reshape(len(samples), -1).astype(np.uint32):
        packed = np.packbits(((row[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)).tobytes()
        rows.append(packed.ljust(-(-len(packed) // 4) * 4, b"\0"))
    return b"".join(rows)


def bmp_files() -> dict[str, bytes]:
    rng = np.random.default_rng(2)
    files = {}
    for bits in (1, 4, 8):
        indices, palette = rng.integers(0, 1 << bits, (ROWS, COLUMNS)), rng.integers(0, 256, (1 << bits, 4))
        palette[:, 3] = 0
        files[f"bmp{bits}"] = bmp(bmp_rows(indices, bits), ROWS, COLUMNS, bits, bmp_rows(palette, 8))
    files["bmp8_grey"] = encoded(Image.fromarray(photo(ROWS, COLUMNS, 1)[..., 0]), "BMP")
    files["bmp1_grey"] = encoded(Image.fromarray(photo(ROWS, COLUMNS, 1)[..., 0]).convert("1"), "BMP")
    files["bmp8_short"] = bmp(bmp_rows(rng.integers(0, 5, (ROWS, COLUMNS)), 8), ROWS, COLUMNS, 8, rng.bytes(20), colours=5)
    bgr = photo(ROWS, COLUMNS, 3)
    files["bmp24"] = bmp(bmp_rows(bgr, 8), ROWS, COLUMNS, 24)
    files["bmp24_top_down"] = bmp(bmp_rows(bgr, 8), -ROWS, COLUMNS, 24)
    core = struct.pack("<IHHHH", 12, COLUMNS, ROWS, 1, 24)
    files["bmp24_core"] = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + core + bmp_rows(bgr, 8)
    bgra = bmp_rows(photo(ROWS, COLUMNS, 4), 8)
    files["bmp32"] = bmp(bgra, ROWS, COLUMNS, 32)
    files["bmp32_alpha"] = bmp(bgra, ROWS, COLUMNS, 32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000))
    files["bmp32_rgbx"] = bmp(bgra, ROWS, COLUMNS, 32, masks=(0xFF000000, 0xFF0000, 0xFF00))
    words = bmp_rows(np.frombuffer(rng.bytes(ROWS * COLUMNS * 2), np.uint8).reshape(ROWS, -1), 8)
    files["bmp16"] = bmp(words, ROWS, COLUMNS, 16)
    files["bmp16_555"] = bmp(words, ROWS, COLUMNS, 16, masks=(0x7C00, 0x3E0, 0x1F))
    files["bmp16_565"] = bmp(words, ROWS, COLUMNS, 16, masks=(0xF800, 0x7E0, 0x1F))
    return files


def reading(file: bytes) -> dict[str, np.ndarray]:
    picture = Image.open(io.BytesIO(file))
    picture.load()
    rgb = picture.convert("RGB")
    values = {"file": np.frombuffer(file, np.uint8), "rgb": np.asarray(rgb), "grey": np.asarray(rgb.convert("L"))[..., None]}
    if "A" in picture.mode or "transparency" in picture.info:
        white = Image.new("RGB", picture.size, "white")
        rgba = picture.convert("RGBA")
        white.paste(rgba, mask=rgba.getchannel("A"))
        values["rgb_on_white"] = np.asarray(white)
    if picture.getexif().get(0x0112, 1) != 1:
        values["upright"] = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    return values


def resizing(source: np.ndarray, rows: int, columns: int) -> dict[str, np.ndarray]:
    picture = Image.fromarray(source if source.shape[2] == 3 else source[..., 0])
    size, values = (columns, rows), {}
    for method, filter_ in (("pillow", Image.Resampling.BILINEAR), ("nearest", Image.Resampling.NEAREST)):
        values[f"{method}/stretch"] = picture.resize(size, filter_)
        values[f"{method}/crop"] = ImageOps.fit(picture, size, filter_)
        values[f"{method}/pad"] = ImageOps.pad(picture, size, filter_)
    floats = tf.image.resize(source, (rows, columns), method="bilinear", antialias=False)
    values["tf/stretch"] = tf.cast(tf.round(floats), tf.uint8)
    return {name: np.asarray(value).reshape(rows, columns, -1) for name, value in values.items()}


def main() -> None:
    tensors = {}
    for name, file in (png_files() | jpeg_files() | webp_files() | bmp_files()).items():
        tensors |= {f"{name}/{what}": values for what, values in reading(file).items()}
    for source in (photo(23, 31, 3), photo(26, 17, 1)):
        name = f"resize/{'rgb' if source.shape[2] == 3 else 'grey'}"
        tensors[name] = source
        for rows, columns in ((9, 11), (40, 37), (8, 50), (31, 23), (23, 12), (1, 1), (1, 60)):
            tensors |= {f"{name}/{how}/{rows}x{columns}": values for how, values in resizing(source, rows, columns).items()}
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, HERE / "pictures.safetensors")


if __name__ == "__main__":
    main()
