"""Whether an image file is whole, as far as Pillow does not look: it stops where it has as many rows as it can get.

A PNG says so with its IEND chunk, a checksum of every chunk and the length of its pixels, a JPEG with its end marker.
Of BMP, TIFF, GIF and WebP Pillow itself refuses what is cut short, and nothing in them tells of bytes that were lost in
the middle. Neither does a JPEG that was cut and given an end marker afterwards: libjpeg warns of it, and Pillow hands
its warnings nowhere.
"""

from __future__ import annotations

import struct
import zlib

from PIL import Image

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_BANDS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG's colour types
# first row, rows between, first column, columns between, of the seven passes of Adam7
_PASSES = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))


def check_whole(content: bytes, image: Image.Image) -> None:
    """Refuses a PNG or JPEG file that lacks a part; other kinds pass.

    Args:
        content: the file.
        image: what Pillow decoded from it, not yet converted.

    Raises:
        OSError: what is missing.
    """
    if content.startswith(_PNG):
        packed = _png_data(content)
        if _ends_in_zeros(image):
            _check_length(content, packed)
    elif content.startswith(_JPEG):
        _check_end_marker(content)


def _png_data(content: bytes) -> list[memoryview]:
    """The bodies of the IDAT chunks, their checksums verified; the other chunks' are Pillow's to verify."""
    view, at, packed = memoryview(content), len(_PNG), []
    while True:
        if at + 12 > len(content):
            raise OSError("it ends before its IEND chunk")
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        if end + 4 > len(content):
            raise OSError(f"it ends within its {kind.decode('latin-1')} chunk")
        if kind == b"IDAT":
            if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
                raise OSError("the checksum of an IDAT chunk does not match")
            packed.append(view[at + 8 : end])
        if kind == b"IEND":
            return packed
        at = end + 4


def _ends_in_zeros(image: Image.Image) -> bool:
    """Whether rows may be missing: Pillow leaves those it does not get zero, in any order where they are interlaced.

    To inflate the pixels a second time takes a third of the time of decoding, so it is done for these alone.
    """
    if image.info.get("interlace") or image.mode.startswith("I"):
        return True
    last = image.crop((0, image.height - 1, image.width, image.height))
    return last.getbbox(alpha_only=False) is None


def _check_length(content: bytes, packed: list[memoryview]) -> None:
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">2I5B", content, 16)
    passes = _PASSES if interlaced else ((0, 1, 0, 1),)
    wanted = 0
    for top, down, left, across in passes:
        rows, columns = -(-(height - top) // down), -(-(width - left) // across)
        if rows > 0 and columns > 0:
            wanted += rows * (1 + -(-columns * depth * _BANDS[colour] // 8))
    found = len(zlib.decompressobj().decompress(b"".join(packed), wanted))
    if found < wanted:
        raise OSError(f"its pixels end after {found:,} of {wanted:,} bytes")


def _check_end_marker(content: bytes) -> None:
    """An end marker after the start of the first scan: a preview before it has one of its own, and in the coded pixels
    a marker cannot occur."""
    at = 2
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        kind = content[at + 1]
        if kind == 0xDA:
            break
        alone = kind == 0x01 or 0xD0 <= kind <= 0xD9
        at += 1 if kind == 0xFF else 2 if alone else 2 + int.from_bytes(content[at + 2 : at + 4])
    if content.find(b"\xff\xd9", at) < 0:
        raise OSError("it ends before its end-of-image marker")
