"""What is not weights, or not these weights, is refused in one sentence, and nothing is run or written."""

import json
import os
import pickle
import warnings
import zipfile

import pytest
import torch
from torch import nn

from tests.importers.conftest import Konny
from zatlas.errors import UsageError, ZatlasError
from zatlas.importers import import_weights
from zatlas.importers.reading import read_tensors


class Evil:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.mkdir, (str(self.flag),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_code_is_refused_and_not_run(tmp_path, disvae, zipped):
    flag, file = tmp_path / "ran", tmp_path / "evil.pt"
    torch.save({**disvae[1], "more": Evil(flag)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ZatlasError, match=r"evil.pt wants to run code \(\w+\.mkdir\) and only tensors are ever loaded"):
        import_weights(file, "disvae", out=tmp_path / "run")
    assert not flag.exists()
    assert not (tmp_path / "run").exists()


def test_a_plain_pickle_a_whole_module_and_torchscript_want_code(tmp_path):
    flag = tmp_path / "ran"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(flag)))
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would have one use torch.export
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    for name in ("plain.pt", "module.pt", "script.pt"):
        with pytest.raises(ZatlasError, match="wants to run code"):
            read_tensors(tmp_path / name)
    assert not flag.exists()


def test_what_is_no_file_of_weights_is_said_to_be_none(tmp_path, disvae):
    file, _ = disvae
    content = file.read_bytes()
    damaged = {
        "cut.pt": content[: len(content) // 2],
        "empty.pt": b"",
        "text.pt": b"no weights at all\n",
        "cut.safetensors": b"\xff" * 40,
    }
    for name, text in damaged.items():
        (tmp_path / name).write_bytes(text)
        with pytest.raises(ZatlasError, match="damaged, or no"):
            read_tensors(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ZatlasError, match="damaged, or no"):
        read_tensors(tmp_path / "other.pt")
    with pytest.raises(UsageError, match="there is no file"):
        read_tensors(tmp_path / "gone.pt")


def test_a_file_without_a_state_dict_or_with_several(tmp_path):
    for found in ([torch.ones(2)], {"iter": 3}, torch.ones(3), {}):
        torch.save(found, tmp_path / "w.pt")
        with pytest.raises(ZatlasError, match="holds no state_dict"):
            read_tensors(tmp_path / "w.pt")
    torch.save({"a": {"x": torch.ones(1)}, "b": {"x": torch.zeros(1)}}, tmp_path / "w.pt")
    with pytest.raises(UsageError, match=r"holds 2 state_dicts \(a, b\)"):
        read_tensors(tmp_path / "w.pt")
    assert read_tensors(tmp_path / "w.pt", "b")["x"] == 0
    with pytest.raises(UsageError, match="holds no state_dict 'c'"):
        read_tensors(tmp_path / "w.pt", "c")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("decoder.lin2.bias"), "decoder.lin2.bias is missing."),
        (lambda t: t.pop("encoder.conv1.weight"), "encoder.conv1.weight is missing."),
        (lambda t: t.update(extra=torch.ones(1)), "extra has no place in this architecture."),
        (
            lambda t: t.update({"encoder.lin1.weight": torch.ones(256, 800)}),
            r"encoder.lin1.weight is \[256, 800\] where the burgess network for 1x32x32 with 4 latent units has "
            r"\[256, 512\]",
        ),
        (lambda t: t.update({"decoder.lin1.weight": torch.ones(256)}), r"decoder.lin1.weight is \[256\] where 2 dim"),
        (
            lambda t: t.update({"encoder.mu_logvar_gen.bias": torch.ones(6)}),
            r"encoder.mu_logvar_gen.bias is \[6\] where .* has \[8\]",
        ),
        (lambda t: t["decoder.lin3.bias"].fill_(torch.nan), "decoder.lin3.bias holds NaN or infinity."),
        (lambda t: t.update({"decoder.lin3.bias": torch.ones(512).to_sparse()}), "is no plain tensor of numbers"),
    ],
)
def test_weights_that_do_not_fit_name_the_tensor(tmp_path, disvae, change, sentence):
    file, tensors = disvae
    change(tensors)
    torch.save(tensors, file)
    with pytest.raises(ZatlasError, match=sentence):
        import_weights(file, "disvae", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_other_format_is_named(tmp_path, disvae):
    with pytest.raises(UsageError, match="these are weights of disvae and not of beta-vae-1konny: give --from disvae"):
        import_weights(disvae[0], "beta-vae-1konny", out=tmp_path / "run")
    torch.save(Konny("b", 1, 2).checkpoint(), tmp_path / "k.pt")
    with pytest.raises(UsageError, match="give --from beta-vae-1konny"):
        import_weights(tmp_path / "k.pt", "disvae", out=tmp_path / "run")


def test_words_that_are_wrong(tmp_path, disvae):
    file, _ = disvae
    with pytest.raises(UsageError, match=r"did you mean disvae"):
        import_weights(file, "disva", out=tmp_path / "run")
    with pytest.raises(UsageError, match=r"give --map MAPPING.toml"):
        import_weights(file, "torch", out=tmp_path / "run")
    with pytest.raises(UsageError, match="leave --map out"):
        import_weights(file, "disvae", mapping="m.toml", out=tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="is not empty"):
        import_weights(file, "disvae", out=tmp_path / "run")
    with pytest.raises(UsageError, match="no data called"):
        import_weights(file, "disvae", data="no-such-data", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def flipped(content, bit):
    altered = bytearray(content)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def test_no_flipped_bit_of_a_tensor_or_of_the_pickle_is_accepted(tmp_path, disvae):
    """torch.load compares no checksum: 29 of 30 flipped bits were taken for weights."""
    file, _ = disvae
    content = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        places = [(member.header_offset + 300, member.file_size) for member in archive.infolist()]
    for start, size in places:
        if size > 1000:
            file.write_bytes(flipped(content, 8 * (start + size // 2)))
            with pytest.raises(
                ZatlasError, match=r"is damaged: the checksum or the entry of \S+ is not what was saved"
            ):
                read_tensors(file)


def test_weights_that_were_saved_without_checksums_are_taken(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.arange(9.0)}, tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_tensors(tmp_path / "w.pt")["a"].sum() == 36


@pytest.mark.parametrize("format", ["disvae", "beta-vae-1konny"])
def test_a_tensor_that_claims_terabytes_is_refused_by_its_size(tmp_path, disvae, format):
    file, tensors = disvae
    tensors["decoder.lin1.weight"] = torch.ones(1).expand(10**6, 10**6)
    torch.save(tensors, file)
    with pytest.raises(ZatlasError, match=r"decoder.lin1.weight claims to be \[1000000, 1000000\], 4,000,000,000,000"):
        import_weights(file, format, out=tmp_path / "run")


def test_a_repeated_number_is_a_weight_like_any_other(tmp_path):
    torch.save({"a": torch.ones(1).expand(5)}, tmp_path / "w.pt")
    assert read_tensors(tmp_path / "w.pt")["a"].tolist() == [1] * 5


def test_dictionaries_that_hold_themselves_or_go_deep(tmp_path):
    around = {"net": {"x": torch.ones(1)}}
    around["self"] = around
    around["again"] = {"self": around}
    torch.save(around, tmp_path / "w.pt")
    assert read_tensors(tmp_path / "w.pt")["x"] == 1
    deep = {"x": torch.ones(1)}
    for _ in range(100):  # torch.save itself ends at the recursion limit
        deep = {"in": deep}
    torch.save(deep, tmp_path / "w.pt")
    with pytest.raises(ZatlasError, match="holds no state_dict"):
        read_tensors(tmp_path / "w.pt")


@pytest.mark.parametrize(("dtype", "size"), [("F4", 2), ("F6_E2M3", 3), ("X7", 4), ("C64", 32)])
def test_numbers_of_a_type_that_torch_cannot_read(tmp_path, dtype, size):
    header = json.dumps({"a": {"dtype": dtype, "shape": [4], "data_offsets": [0, size]}}).encode()
    file = tmp_path / "w.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(ZatlasError, match=r"save the weights as float32|no safetensors|no plain tensor"):
        read_tensors(file)


def test_a_tensor_whose_entry_says_that_it_is_a_folder_is_not_read_from_memory_at_large(tmp_path):
    """torch.load gives a member with that one bit set the bytes that lay in memory by chance."""
    torch.save({"a": torch.arange(9.0)}, tmp_path / "w.pt")
    content = bytearray((tmp_path / "w.pt").read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"w/data/0"))
    content[entry + 38] ^= 0x10
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ZatlasError, match="the checksum or the entry of w/data/0"):
        read_tensors(tmp_path / "w.pt")


def test_a_file_is_no_hub_folder_and_a_size_is_for_networks_that_take_any(tmp_path, disvae):
    file = tmp_path / "weights.pt"
    torch.save(disvae[1], file)
    with pytest.raises(UsageError, match=r"--from hub reads a folder, and .*weights.pt is none"):
        import_weights(file, "hub", out=tmp_path / "run")
    with pytest.raises(UsageError, match="images of disvae have the size that its weights were made for"):
        import_weights(file, "disvae", size=(64, 64), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
