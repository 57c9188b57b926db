"""Files of weights that were damaged, or made to mislead: refused in a sentence, and a damaged .pt never accepted.

A safetensors file and one of torch before 1.6 have no checksum, so that of them only the structure can be at fault.
"""

import io
import json
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save

from zatlas.importers import import_weights
from zatlas.importers.reading import read_tensors

from .mutations import EXTREMES, altered, damaged, each_case


def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        f"layer.{i}.{p}": torch.randn(n, generator=generator) for i in range(3) for p, n in (("w", (8, 6)), ("b", 8))
    }


def saved(found, zipped=True):
    buffer = io.BytesIO()
    torch.save(found, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def rewritten(rng, content):
    """The same zip with true checksums, whose pickle or another member was altered."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        chosen = rng.choice([*old.namelist(), *[n for n in old.namelist() if n.endswith("data.pkl")] * 20])
        for name in old.namelist():
            inside = old.read(name)
            new.writestr(name, damaged(rng, inside) if name == chosen else inside)
    return buffer.getvalue()


def misleading(rng):
    """A sound file of something that is no state_dict, or an odd one."""
    one, shape = torch.ones(3), rng.choice(((10**6, 10**6), (2**31, 2**20), (5,), (0, 5), ()))
    odd = {
        "stride 0": torch.ones(()).expand(shape),
        "half": torch.ones((), dtype=torch.float16).expand(shape),
        "byte": torch.ones((), dtype=torch.uint8).expand(shape),
        "sparse": torch.eye(3).to_sparse(),
        "complex": one + 0j,
        "meta": torch.ones(3, device="meta"),
        "bool": one > 0,
        "float8": one.to(torch.float8_e4m3fn),
        "nan": one * torch.nan,
    }
    found = {"a": rng.choice(list(odd.values())), **rng.choice(({}, {"b": one}, {3: one}, {"": one}))}
    way = rng.randrange(4)
    if way == 0:
        found = {"net": found, "again": found, "optim": {"param_groups": [], "state": found}}
        found["self"] = found
    elif way == 1:
        found = rng.choice((found, [found], rng.choice(EXTREMES)))
    return saved(found)


def header_altered(rng, content):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = rng.choice(list(header))
    entry = header[name]
    edits = (
        {"dtype": rng.choice(("F4", "F64", "I8", "BOOL", "F8_E4M3", "C64", "X", "F6_E2M3", "BF16"))},
        {"shape": rng.choice(([], [0], [48], [2**63], [2**40, 2**40], [-1, -8], [1] * 70, [10**26]))},
        {"data_offsets": rng.choice(([0, 0], [0, 2**62], [-1, 3], [64, 32], [10**26, 10**27], [0, 192]))},
    )
    made = {**header, name: {**entry, **rng.choice(edits)}} if rng.random() < 0.7 else altered(rng, header)
    text = json.dumps(made).encode()
    size = len(text) if rng.random() < 0.9 else rng.choice((0, 1, 2**63, 2**64 - 1, len(content)))
    return size.to_bytes(8, "little") + text + content[8 + length :]


@pytest.fixture(scope="module")
def contents():
    return {
        "w.pt": saved(weights()),
        "old.pt": saved(weights(), zipped=False),
        "w.safetensors": save(weights()),
        "plain.pt": pickle.dumps({"a": [1, 2]}),
    }


def test_weights(tmp_path, contents):
    true = weights()

    def case(rng):
        name, content = rng.choice(list(contents.items()))
        way, must_equal = rng.random(), False
        if name == "w.pt" and way < 0.3:
            content = rewritten(rng, content)
        elif name == "w.pt" and way < 0.5:
            content = misleading(rng)
        elif name == "w.safetensors" and way < 0.7:
            content = header_altered(rng, content)
        else:
            content, must_equal = damaged(rng, content), name == "w.pt"
        file = tmp_path / name
        file.write_bytes(content)

        def act():
            found = read_tensors(file)
            assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in found.values())
            if must_equal:
                assert found.keys() == true.keys()
                assert all(torch.equal(tensor, true[name]) for name, tensor in found.items())
            for format in ("disvae", "beta-vae-1konny"):
                import_weights(file, format, out=tmp_path / "never")

        return act

    each_case("weights", 150, case)
    assert not (tmp_path / "never").exists()


def test_every_single_bit_of_a_small_file(tmp_path):
    """One flipped bit is refused, or hits bytes that no weight is made of, such as a date."""
    true = {"a": torch.arange(4.0)}
    content, file = saved(true), tmp_path / "w.pt"

    def case(rng):
        bit = rng.randrange(8 * len(content))
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)

        def act():
            assert torch.equal(read_tensors(file)["a"], true["a"])

        return act

    each_case("bits", 300, case)
