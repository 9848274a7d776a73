"""Image files as they turn up in folders, each with what reading it gives: pixels, or what is said of it."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Content = bytes
COLOURS = np.array([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [220, 220, 60]]], np.uint8)
RGB = COLOURS.repeat(16, 0).repeat(32, 1)  # four quarters, along the blocks of JPEG; (32, 64, 3)
GREY = RGB[..., 0]
NOISE = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
PICTURE = Image.fromarray(RGB)

FINE: dict[str, Any] = {"quality": 95, "subsampling": 0}
FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "ppm": "PPM"}
TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
    9: lambda pixels: pixels,  # which means nothing
}
"""What the orientation of EXIF does to an image."""


class Case(NamedTuple):
    """A file's content, and what reading it gives.

    Attributes:
        content: of the file.
        pixels: (H, W, 3) of an image that can be read.
        off: by how much they may be off, for formats that lose something.
        refused: what is said of one that cannot, an expression.
    """

    content: Content
    pixels: np.ndarray | None = None
    off: int = 0
    refused: str = ""


def encoded(image: Image.Image, kind: str, **options: Any) -> Content:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, further: bytes = b"") -> Content:
    """With what Pillow does not write: sizes without pixels, 16 bits a channel, one bit of which 0 is transparent."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + chunks[0] + further + b"".join(chunks[1:])


def grey(values: np.ndarray) -> np.ndarray:
    return np.stack([values] * 3, -1).astype(np.uint8)


def truncated() -> dict[str, Case]:
    """Half of a file, as a copy that was interrupted leaves it."""
    image = Image.fromarray(NOISE)
    halves = {suffix: encoded(image, kind) for suffix, kind in FORMATS.items()}
    cases = {f"half.{suffix}": Case(half[: len(half) // 2], refused="") for suffix, half in halves.items()}
    return cases | {
        "half jpeg 2000.jp2": Case((whole := encoded(image, "JPEG2000"))[: len(whole) // 2], refused=""),
        "first bytes.jpg": Case(halves["jpg"][:20], refused="no known image format"),
        "without its first bytes.jpg": Case(halves["jpg"][20:], refused="no known image format"),
        "without its last bytes.jpg": Case(halves["jpg"][:-2], refused="truncated"),
        "a byte changed.png": Case(flipped(halves["png"], 200), refused=""),
        "zero bytes.png": Case(b"", refused="it is empty"),
        "nothing but zeros.png": Case(bytes(5000), refused="no known image format"),
    }


def flipped(content: Content, place: int) -> Content:
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def misnamed() -> dict[str, Case]:
    """The suffix is not what counts."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    return {
        "a png.jpg": Case(encoded(PICTURE, "PNG"), RGB),
        "a jpeg.png": Case(encoded(PICTURE, "JPEG", **FINE), RGB, off=4),
        "a tiff.bmp": Case(encoded(PICTURE, "TIFF"), RGB),
        "text.png": Case(b"hello\n" * 100, refused="no known image format"),
        "page.jpg": Case(b"<!DOCTYPE html><html><body>404</body></html>", refused="no known image format"),
        "document.png": Case(b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", refused="no known image format"),
        "program.png": Case(eps, refused="it is PostScript, a program"),
        "more behind it.png": Case(encoded(PICTURE, "PNG") + b"more", RGB),
    }


def sizes() -> dict[str, Case]:
    """From one pixel to more than there is memory for."""
    long = np.arange(20 * 20_000, dtype=np.uint32).reshape(20, 20_000)
    long = np.stack([long & 255, long >> 8 & 255, long >> 16], -1).astype(np.uint8)
    gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\0\0;"
    bomb = r"exceeds limit of \d+ pixels, could be decompression bomb"
    return {
        "dot.png": Case(encoded(Image.fromarray(RGB[:1, :1]), "PNG"), RGB[:1, :1]),
        "wide.png": Case(encoded(Image.fromarray(long), "PNG"), long),
        "tall.png": Case(encoded(Image.fromarray(long.swapaxes(0, 1)), "PNG"), long.swapaxes(0, 1)),
        "bomb.png": Case(png(100_000, 100_000, 8, 2, b""), refused=bomb),
        "bomb.gif": Case(gif, refused=bomb),
        "large and empty.png": Case(png(9_000, 9_000, 8, 2, b""), refused="truncated"),
        "without width.png": Case(png(0, 9, 8, 2, b""), refused=""),
        "without height.ppm": Case(b"P6 9 0 255\n", refused=""),
    }


def modes() -> dict[str, Case]:
    """Every kind of pixel."""
    deep = np.arange(0, 65_536, 32, dtype=np.uint16).reshape(32, 64)
    colours = np.stack([deep, deep[::-1], deep[:, ::-1]], -1)
    rows = b"".join(b"\0" + row.tobytes() for row in colours.astype(">u2"))
    alpha = Image.fromarray(np.linspace(0, 255, GREY.size).reshape(GREY.shape).astype(np.uint8))
    four, bits = PICTURE.convert("CMYK"), GREY > 99
    strange = np.where(bits, np.nan, np.inf).astype(np.float32)
    unknown = "floating-point numbers of unknown range; save it with 8 or 16 bits a channel"
    return {
        "grey.jpg": Case(encoded(Image.fromarray(GREY), "JPEG"), grey(GREY), off=3),
        "four inks.jpg": Case(encoded(four, "JPEG", quality=95), RGB, off=4),
        "four inks.tif": Case(encoded(four, "TIFF"), RGB),
        "16 bits.png": Case(encoded(Image.fromarray(deep), "PNG"), grey((deep / 257).round())),
        "16 bits.tif": Case(encoded(Image.fromarray(deep), "TIFF"), grey((deep / 257).round())),
        "32 bits.tif": Case(encoded(Image.fromarray(deep.astype(np.int32)), "TIFF"), grey((deep / 257).round())),
        "16 bits a colour.png": Case(png(64, 32, 16, 2, rows), (colours >> 8).astype(np.uint8)),
        "grey and alpha.png": Case(encoded(Image.merge("LA", [Image.fromarray(GREY), alpha]), "PNG"), grey(GREY)),
        "colours and alpha.png": Case(encoded(Image.merge("RGBA", [*PICTURE.split(), alpha]), "PNG"), RGB),
        "colours and alpha.webp": Case(
            encoded(Image.merge("RGBA", [*PICTURE.split(), alpha]), "WEBP", lossless=True, exact=True), RGB
        ),
        "one bit.png": Case(encoded(Image.fromarray(bits), "PNG"), grey(255 * bits)),
        "one bit.tif": Case(encoded(Image.fromarray(bits), "TIFF", compression="group4"), grey(255 * bits)),
        "one bit, of which 0 is transparent.png": Case(
            png(8, 1, 1, 0, b"\0\xaa", b"\0\0\0\2tRNS\0\0" + struct.pack(">I", zlib.crc32(b"tRNS\0\0"))),
            grey(np.array([[255, 0] * 4])),
        ),
        "palette.gif": Case(encoded(PICTURE.quantize(4), "GIF"), RGB),
        "transparent palette.png": Case(encoded(PICTURE.quantize(4), "PNG", transparency=1), RGB),
        "half transparent palette.png": Case(encoded(PICTURE.quantize(4), "PNG", transparency=b"\0\x80\xff\7"), RGB),
        "transparent palette.gif": Case(encoded(PICTURE.quantize(4), "GIF", transparency=1), RGB),
        "transparent colour.png": Case(encoded(PICTURE, "PNG", transparency=(200, 40, 40)), RGB),
        "no number.tif": Case(encoded(Image.fromarray(strange), "TIFF"), refused=unknown),
        "floats.tif": Case(encoded(Image.fromarray(deep.astype(np.float32)), "TIFF"), refused=unknown),
    }


def animated() -> dict[str, Case]:
    """The first of several pictures."""
    options: dict[str, Any] = {"save_all": True, "append_images": [PICTURE.rotate(180), PICTURE.rotate(90)]}
    return {
        "animated.gif": Case(encoded(PICTURE, "GIF", **options), RGB),
        "animated.png": Case(encoded(PICTURE, "PNG", **options), RGB),
        "animated.webp": Case(encoded(PICTURE, "WEBP", lossless=True, **options), RGB),
        "pages.tif": Case(encoded(PICTURE, "TIFF", **options), RGB),
        "two views.jpg": Case(encoded(PICTURE, "MPO", **FINE, **options), RGB, off=4),
    }


def photographs() -> dict[str, Case]:
    """Turned as the camera was held."""
    cases = {}
    for orientation, turned in TURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for suffix, options in (("jpg", FINE), ("png", {}), ("webp", {"lossless": True})):
            content = encoded(PICTURE, FORMATS[suffix], exif=exif, **options)
            cases[f"held {orientation}.{suffix}"] = Case(content, turned(RGB), off=4 if suffix == "jpg" else 0)
    return cases


CORPUS = truncated() | misnamed() | sizes() | modes() | animated() | photographs()
READ = {name: case for name, case in CORPUS.items() if case.pixels is not None}
REFUSED = {name: case for name, case in CORPUS.items() if case.pixels is None}
