"""Files that people might have for data, sound and not, made by hand so that every field of them can lie."""

from __future__ import annotations

import ast
import gzip
import io
import os
import socket
import struct
import warnings
import zipfile
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .harness import ODD, Chance, choose, mutate

DTYPES = tuple(
    "u1 i1 <u2 >u2 <i4 >i8 <u8 <f2 >f2 <f4 >f8 <f8 ? <c8 <U3 >U2 S4 <M8[s] <m8[s] O V4 <U0 <f16".split()  # noqa: SIM905
)
DESCRS = [
    "'|O'", "'<f4x'", "''", "None", "3", "'object'", "'<i4', '<f4'", "[('a', '<i4')]", "[('a', '|O'), ('b', '<f4')]",
    "('<i4', (2,))", "[('a', '<i4', (10**9,))]", "'(2,3)<f4'", "'<U4000000000'", "{'names': ['a']}", "'a'", "[]",
    "'V0'",
]  # fmt: skip
SHAPES = [
    "(-1, 5)", "(10**18, 4)", "(1000000000000000000, 4)", "(100000000000000000000000000, 2)", "(2.0, 3)", "('a', 3)",
    "()", "(5)", "((2, 3), 4)", "(True, 3)", "[5, 4]", "None", "(0, 4)", "(4, 0)", "(9223372036854775808, 0)",
    "(64, 1000000, 1000000)", "(" * 300 + ")" * 300, "(5, 4, 4, 1, 1)", "(5, 4, 4, 3)", "(5, 3, 4, 4)",
]  # fmt: skip
VALUES = (np.nan, np.inf, -np.inf, 65504, -1e30, 1e300, 0.5, -0.0, 255, 256, 2**31, -(2**63))


def array(chance: Chance, rows: int | None = None, dims: int | None = None) -> np.ndarray:
    """A small array of any type with odd values in it here and there."""
    dtype = np.dtype(choose(chance, DTYPES if chance.random() < 0.3 else DTYPES[:13]))
    n = int(chance.integers(0, 12)) if rows is None else rows
    dims = int(chance.integers(0, 5)) if dims is None else dims
    shape = (n, *(int(choose(chance, (0, 1, 2, 3, 4, 5)) if chance.random() < 0.1 else 4) for _ in range(dims)))
    shape = (*shape[:-1], choose(chance, (1, 3))) if len(shape) == 4 else shape
    high = choose(chance, (2, 10, 256, 40_000))
    with np.errstate(all="ignore"):
        x = chance.integers(0, high, shape)
        x = (x * chance.random() if dtype.kind in "fc" else x).astype("i8" if dtype.kind in "mMOV" else dtype)
        if x.size and x.dtype.kind in "fc" and chance.random() < 0.4:
            x.reshape(-1)[int(chance.integers(x.size))] = np.float64(choose(chance, VALUES)).astype(x.dtype)
        x = x.astype(dtype) if dtype.kind != "V" else x.astype("<i4").view(dtype)
    return x[..., ::-1] if x.ndim and chance.random() < 0.1 else np.asfortranarray(x) if chance.random() < 0.2 else x


def npy(chance: Chance, x: np.ndarray | None = None) -> bytes:
    """An .npy; of no array given, one whose header is written by hand and need not be true."""
    if x is not None:
        file = io.BytesIO()
        np.save(file, x, allow_pickle=True)
        return file.getvalue()
    descr = choose(chance, DESCRS) if chance.random() < 0.4 else repr(choose(chance, DTYPES))
    shape = choose(chance, SHAPES) if chance.random() < 0.6 else str(tuple(chance.integers(1, 9, 3).tolist()))
    order = choose(chance, ("False", "True", "2", "None"))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header = header[: int(chance.integers(len(header)))] if chance.random() < 0.1 else header
    header = header + "\\d" if chance.random() < 0.05 else header  # an escape that Python warns of
    text = header.encode() + b" " * int(chance.integers(64)) + b"\n"
    version = choose(chance, (1, 1, 2, 3, 9))
    length = len(text) if chance.random() < 0.9 else choose(chance, ODD) % 2 ** (16 if version == 1 else 32)
    length = min(length, 65535) if version == 1 else length
    start = b"\x93NUMPY" + bytes([version, 0]) + length.to_bytes(2 if version == 1 else 4, "little")
    size = choose(chance, (0, 1, 64, 80, 1000))
    if chance.random() < 0.8:
        with suppress(Exception):  # where the header can be true, it mostly is
            size = min(abs(np.dtype(descr.strip("'")).itemsize * prod(ast.literal_eval(shape))), 10_000)
    return start + text + chance.bytes(size)


def zipped(chance: Chance, members: list[tuple[str, bytes]]) -> bytes:
    """An archive by any method, whose members may be named twice, said to be encrypted, or lie about their sizes."""
    file = io.BytesIO()
    method = choose(chance, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a name is given twice
                archive.writestr(name, content)
    out = bytearray(file.getvalue())
    for signature, flags, sizes in ((b"PK\3\4", 6, 18), (b"PK\1\2", 8, 20)):
        at = out.find(signature)
        if at >= 0 and chance.random() < 0.1:
            out[at + flags] |= choose(chance, (1, 8, 0x40))
        if at >= 0 and chance.random() < 0.15:
            out[at + sizes + choose(chance, (0, 4)) :][:4] = b""
            lie = choose(chance, ODD) % 2**32
            place = at + sizes + choose(chance, (0, 4))
            out[place : place + 4] = lie.to_bytes(4, "little")
    return mutate(chance, bytes(out)) if chance.random() < 0.2 else bytes(out)


def npz(chance: Chance) -> bytes:
    n = int(chance.integers(0, 12))
    images = choose(chance, ("images", "imgs", "x", "arr_0", "pictures", "bilder"))
    members = [
        (images, npy(chance, array(chance, n, int(chance.integers(1, 4)))) if chance.random() < 0.8 else npy(chance))
    ]
    for name in ("labels", "y", "factors", "factor_names", images, "note"):
        if chance.random() < 0.3:
            rows = n if chance.random() < 0.7 else None
            members.append((name, npy(chance, array(chance, rows, int(chance.integers(0, 3))))))
    if chance.random() < 0.03:  # 400 MB that pack into less than a megabyte
        head = npy(chance, np.zeros((0, 100, 100), np.uint8)).replace(
            b"(0, 100, 100)", b"(40000,100,100)"[:13].ljust(13)
        )
        members = [(images, head + bytes(400 << 20 if chance.random() < 0.1 else 40 << 20))]
    suffix = ".npy" if chance.random() < 0.95 else ".txt"
    return zipped(chance, [(name + suffix, content) for name, content in members])


def idx(chance: Chance, dims: int = 3, rows: int | None = None) -> bytes:
    """An IDX file, packed or not, with fields that lie."""
    code, dtype = choose(chance, ((8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8"), (7, "u1")))
    shape = [int(n) for n in chance.integers(1, 9, dims)]
    if rows is not None:  # one of several files that mostly go together
        code, dtype, shape = 8, "u1", [rows, 4, 4][:dims]
    with np.errstate(all="ignore"):
        x = (chance.integers(0, 256, shape) * (chance.random() if code > 12 else 1)).astype(dtype)
    if code in (13, 14) and chance.random() < 0.3:
        x.reshape(-1)[0] = choose(chance, (np.nan, np.inf))
    said = [n if chance.random() < 0.95 else choose(chance, ODD) % 2**32 for n in shape]
    out = struct.pack(f">HBB{dims}I", 0, code, dims if chance.random() < 0.95 else 200, *said) + x.tobytes()
    out = out + chance.bytes(3) if chance.random() < 0.05 else out
    if chance.random() < 0.5:
        out = gzip.compress(out, mtime=0)
        out = out + chance.bytes(9) if chance.random() < 0.2 else out
    return mutate(chance, out) if chance.random() < 0.2 else out


def label_text(chance: Chance, n: int) -> bytes:
    """A text file with about n labels, each perhaps a number that is too large, a quote, a NUL, nothing ..."""
    odd = [
        "",
        "nan",
        "inf",
        "-1",
        "1e400",
        "9" * 30,
        "9" * 5000,
        "0.5",
        "a,b",
        '"',
        "a\0b",
        "\u2028",
        "ü",
        " ",
        "1_0",
        "１",
    ]
    plain = choose(chance, (["0", "1", "2"], ["cat", "dog"], ["0.25", "-3.5e2"], ["7.0"], ["x" * 3000]))
    words = [choose(chance, odd) if chance.random() < 0.1 else choose(chance, plain) for _ in range(n)]
    text = choose(chance, ("\n", "\n", "\r\n", "\r")).join(words)
    out = (choose(chance, ("", "", "\ufeff", "label\n")) + text).encode(
        choose(chance, ("utf-8", "utf-8", "utf-16", "latin-1")), "replace"
    )
    return b"PK\3\4" + out if chance.random() < 0.05 else mutate(chance, out) if chance.random() < 0.2 else out


def png(chance: Chance) -> bytes:
    file = io.BytesIO()
    shape = (6, 5) if chance.random() < 0.9 else (5, 6)
    Image.fromarray(chance.integers(0, 256, shape, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def oddity(chance: Chance, path: Path) -> Path:
    """Something at the path that is neither a file nor a folder of images."""
    match int(chance.integers(9)):
        case 0:
            path.symlink_to(path)
        case 1:
            path.symlink_to(path.with_name("case-gone"))
        case 2:
            os.mkfifo(path)
        case 3:
            path.mkdir()
        case 4:
            path.touch()
        case 5:
            with socket.socket(socket.AF_UNIX) as server:
                here = Path.cwd()
                os.chdir(path.parent)  # the address of a socket has at most 107 bytes
                server.bind(path.name)
                os.chdir(here)
        case 6:
            path.symlink_to(choose(chance, ("/dev/zero", "/dev/full", "/proc/self/mem", "/proc/self")))
        case 7:
            with path.open("wb") as file:  # a hole: as large as it says, and empty
                file.write(npy(chance, np.zeros((0, 9), np.uint8)))
                file.truncate(1 << 40)
        case 8:
            path.mkdir()
            (path / "case.png").symlink_to(path / "case.png")
    return path


def odd_name(chance: Chance, folder: Path) -> str:
    """A name that no file has, or one of odd bytes that a file has."""
    fixed: list[Any] = [
        "~nouser/case.npz", "~nouser", "case\0.npz", "case" * 100 + ".npy", "case/" * 900, "hf:", "hf:~nouser/case",
        "sprites:" + "9" * 5000, "sprites:case", "sprites:10000000000000000000000000000", "case.npz/", "case:case", "",
        "case\n.npz", "\udcffcase.npz", "https://case.org/x.npz", "case.PNG", "C:\\case.npz", "//case", "mnist/case",
        " ", "~",
    ]  # fmt: skip
    if chance.random() < 0.7:
        return choose(chance, fixed)
    name = os.fsencode(folder) + b"/case" + chance.bytes(6).replace(b"/", b"x").replace(b"\0", b"y")
    name += choose(chance, (b".npy", b".npz", b".zip", b"", b".gz"))
    Path(os.fsdecode(name)).write_bytes(npy(chance, array(chance, 10, 2)))
    return os.fsdecode(name)
