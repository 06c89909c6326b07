"""The files of tensors: round trips, the safetensors package as oracle, and every kind of damage."""

import json
import os
import struct
import zipfile

import numpy as np
import pytest

from npdl.models import archive

HEADER = {"format": 1, "config": {"name": "net", "sizes": [1, 2], "rate": 0.1, "none": None}}
TENSORS = {
    "weights": {"dense/kernel": np.arange(12, dtype=np.float32).reshape(3, 4), "dense/bias": np.ones(4, np.float32)},
    "optimizer": {"m": np.linspace(0, 1, 7), "t": np.array(3, np.int64)},
}
EVERY = {
    "flag": np.array([True, False, True]),
    "small": np.arange(5, dtype=np.uint8),
    "half": np.array([0.5, 2], np.float16),
    "single": np.array([[1.5, -2.5], [np.inf, np.nan]], np.float32),
    "double": np.array([1e300, 5e-324, -0.0]),
    "long": np.array([[-(2**62)]], np.int64),
    "int": np.array([[[-7]]], np.int32),
    "unsigned": np.array([2**63], np.uint64),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
}


def assert_same(left, right):
    assert list(left) == list(right)
    for name, array in left.items():
        assert array.dtype == right[name].dtype and array.shape == right[name].shape, name
        assert array.tobytes() == right[name].tobytes(), name


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.npdl"
    archive.write(path, HEADER, TENSORS)
    return path


def test_round_trip(model):
    header, tensors = archive.read(model)
    assert header == HEADER
    assert list(tensors) == ["weights", "optimizer"]
    for group, expected in TENSORS.items():
        assert_same(tensors[group], expected)


def test_what_is_read_can_be_written_to(model):
    kernel = archive.read(model)[1]["weights"]["dense/kernel"]
    kernel[...] = 5
    assert kernel.flags.writeable and kernel.flags.c_contiguous


def test_same_content_same_bytes(model, tmp_path):
    archive.write(tmp_path / "again.npdl", HEADER, TENSORS)
    assert (tmp_path / "again.npdl").read_bytes() == model.read_bytes()


def test_zip_holds_json_and_safetensors(model):
    with zipfile.ZipFile(model) as file:
        assert file.namelist() == ["model.json", "weights.safetensors", "optimizer.safetensors"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in file.infolist())
        assert json.loads(file.read("model.json"))["header"] == HEADER


def test_no_groups_and_an_empty_group(tmp_path):
    archive.write(tmp_path / "a.npdl", {}, {})
    assert archive.read(tmp_path / "a.npdl") == ({}, {})
    archive.write(tmp_path / "a.npdl", {}, {"weights": {}})
    assert archive.read(tmp_path / "a.npdl") == ({}, {"weights": {}})


def test_numpy_numbers_in_the_header(tmp_path):
    archive.write(tmp_path / "a.npdl", {"a": np.float32(0.5), "b": np.int64(3), "c": np.arange(2), "d": (1, 2)}, {})
    assert archive.read(tmp_path / "a.npdl")[0] == {"a": 0.5, "b": 3, "c": [0, 1], "d": [1, 2]}


def test_header_that_cannot_be_saved(model):
    before = model.read_bytes()
    with pytest.raises(TypeError, match=r"not <function.*make a function a class with get_config"):
        archive.write(model, {"activation": lambda z: z}, {})
    with pytest.raises(TypeError, match=r"numbers, strings, lists and dicts, not \{1\}"):
        archive.write(model, {"axes": {1}}, {})
    assert model.read_bytes() == before


def test_every_dtype(tmp_path):
    path = tmp_path / "w.safetensors"
    archive.save_safetensors(path, EVERY)
    assert_same(archive.load_safetensors(path), EVERY)


def test_layouts_and_byte_order(tmp_path):
    path = tmp_path / "w.safetensors"
    array = np.arange(24.0).reshape(2, 3, 4)
    given = {
        "fortran": np.asfortranarray(array), "strided": array[:, ::2], "big": array.astype(">f8"),
        "transposed": array.T,
    }  # fmt: skip
    archive.save_safetensors(path, given)
    for name, read in archive.load_safetensors(path).items():
        np.testing.assert_array_equal(read, given[name])
        assert read.dtype == np.float64 and read.flags.c_contiguous


def test_data_is_aligned(tmp_path):
    path = tmp_path / "w.safetensors"
    archive.save_safetensors(path, EVERY)
    data = path.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    assert length % 8 == 0
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            assert entry["data_offsets"][0] % EVERY[name].itemsize == 0


def test_safetensors_package_reads_ours(tmp_path):
    package = pytest.importorskip("safetensors.numpy", reason="compares with the safetensors package")
    path = tmp_path / "w.safetensors"
    archive.save_safetensors(path, EVERY, metadata={"made": "by a test"})
    read = package.load_file(path)
    assert_same({name: read[name] for name in EVERY}, EVERY)
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        assert file.metadata()["made"] == "by a test"


def test_we_read_what_the_safetensors_package_writes(tmp_path):
    package = pytest.importorskip("safetensors.numpy", reason="compares with the safetensors package")
    path = tmp_path / "w.safetensors"
    package.save_file(EVERY, path, metadata={"made": "by a test"})
    read = archive.load_safetensors(path)
    assert_same({name: read[name] for name in EVERY}, EVERY)


def test_member_of_npdl_is_a_safetensors_file(model):
    package = pytest.importorskip("safetensors.numpy", reason="compares with the safetensors package")
    with zipfile.ZipFile(model) as file:
        read = package.load(file.read("weights.safetensors"))
    assert_same({name: read[name] for name in TENSORS["weights"]}, TENSORS["weights"])


def test_dtypes_without_a_place(tmp_path):
    for array in (np.array([1j]), np.array(["a"]), np.array([None])):
        with pytest.raises(TypeError, match=r"tensor 'w' has dtype .*; a file holds float64, float32"):
            archive.save_safetensors(tmp_path / "w", {"w": array})
    with pytest.raises(TypeError, match="a tensor's name is a string"):
        archive.save_safetensors(tmp_path / "w", {3: np.zeros(2)})
    with pytest.raises(TypeError, match="other than '__metadata__'"):
        archive.save_safetensors(tmp_path / "w", {"__metadata__": np.zeros(2)})
    assert not list(tmp_path.iterdir())


def test_truncated_model(model):
    data = model.read_bytes()
    for size in [*range(0, len(data), 100), *range(len(data) - 30, len(data))]:
        model.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"m\.npdl is (truncated or damaged|not a model file of npdl)"):
            archive.read(model)


def test_truncated_safetensors(tmp_path):
    path = tmp_path / "w.safetensors"
    archive.save_safetensors(path, EVERY)
    data = path.read_bytes()
    for size in [*range(0, len(data), 100), *range(12), *range(len(data) - 30, len(data))]:
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"w\.safetensors: .*; nothing was loaded"):
            archive.load_safetensors(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(ValueError, match=f"should end at byte {len(data)}, the file has {len(data) + 1}"):
        archive.load_safetensors(path)


def same_content(read):
    header, tensors = read
    return header == HEADER and all(
        {k: v.tobytes() for k, v in tensors[group].items()} == {k: v.tobytes() for k, v in expected.items()}
        for group, expected in TENSORS.items()
    )


def test_a_flipped_bit_is_found_or_does_no_harm(model):
    """Flips in a time stamp change nothing that is read; every other one must be an error."""
    data = model.read_bytes()
    found = 0
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        model.write_bytes(damaged)
        try:
            read = archive.read(model)
        except ValueError as error:
            assert "m.npdl" in str(error)
            found += 1
        else:
            assert same_content(read), place
    assert found > 0.75 * len(data)


def test_a_flipped_bit_in_the_data_of_a_weights_file_is_found(tmp_path):
    path = tmp_path / "w.safetensors"
    archive.save_safetensors(path, TENSORS["weights"])
    data = path.read_bytes()
    for place in range(8 + struct.unpack_from("<Q", data)[0], len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"its data is not what was written \(checksum\)"):
            archive.load_safetensors(path)


def safetensors_bytes(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes, too few for a header"),
        (struct.pack("<Q", 2**60) + b"{}", "its header should end at byte 1152921504606846984, the file has 10"),
        (safetensors_bytes(b"[1]"), "its header cannot be read"),
        (safetensors_bytes(b"{nonsense"), "its header cannot be read"),
        (safetensors_bytes(b"\xff\xfe{}"), "its header cannot be read"),
        (safetensors_bytes(b'{"a":1,"a":1}'), "a name twice"),
        (safetensors_bytes({"a": 1}), "a is not described by dtype, shape and data_offsets"),
        (safetensors_bytes({"a": entry(more=1)}, bytes(8)), "a is not described by"),
        (safetensors_bytes({"a": entry("BF16", offsets=(0, 4))}, bytes(4)), "a has dtype 'BF16', known are F64"),
        (safetensors_bytes({"a": entry(shape=(-2,))}, bytes(8)), r"a has shape \[-2\]"),
        (safetensors_bytes({"a": entry(shape=(2.0,))}, bytes(8)), r"a has shape \[2\.0\]"),
        (safetensors_bytes({"a": entry(shape=(3,))}, bytes(8)), "has 12 bytes, not those at"),
        (safetensors_bytes({"a": entry(offsets=(0, 8, 8))}, bytes(8)), "has 8 bytes, not those at"),
        (
            safetensors_bytes({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
            "b begins at byte 4 of the data, not at 8",
        ),
        (
            safetensors_bytes({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
            "b begins at byte 12 of the data, not at 8",
        ),
        (safetensors_bytes({"a": entry(offsets=(8, 16))}, bytes(16)), "a begins at byte 8 of the data, not at 0"),
        (safetensors_bytes({"a": entry()}, bytes(4)), "its data should end at byte"),
    ],
)
def test_foreign_and_malformed_safetensors(tmp_path, content, message):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"w.safetensors: .*{message}"):
        archive.load_safetensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\x89HDF\r\n\x1a\n...", "it is an HDF5 file"),
        (b"\x80\x04\x95 a pickle", "m.npdl is not a model file of npdl; pass a file that model.save wrote"),
        (safetensors_bytes({}), "it holds weights alone .model.load_weights reads them."),
    ],
)
def test_foreign_files(tmp_path, content, message):
    path = tmp_path / "m.npdl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        archive.read(path)


def zip_file(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)


def test_foreign_zip(tmp_path):
    path = tmp_path / "m.npdl"
    zip_file(path, config__json="{}", metadata__json="{}")
    with pytest.raises(ValueError, match=r"m\.npdl is a zip file without model\.json"):
        archive.read(path)
    for text in ("{}", "[]", "no json", '{"npdl": 1, "groups": []}'):
        zip_file(path, model__json=text)
        with pytest.raises(ValueError, match=r"model\.json is not npdl's"):
            archive.read(path)


def test_a_missing_or_additional_group(tmp_path):
    path = tmp_path / "m.npdl"
    zip_file(path, model__json='{"npdl": 1, "groups": ["weights"], "header": {}}')
    with pytest.raises(ValueError, match=r"should hold the tensors \['weights'\], and holds \[\]"):
        archive.read(path)
    zip_file(path, model__json='{"npdl": 1, "groups": [], "header": {}}', other__txt="x")
    with pytest.raises(ValueError, match=r"should hold the tensors \[\], and holds \['other.txt'\]"):
        archive.read(path)


def test_a_later_version(tmp_path):
    path = tmp_path / "m.npdl"
    zip_file(path, model__json='{"npdl": 2, "groups": [], "header": {}}')
    with pytest.raises(ValueError, match="file version 2, this npdl reads 1; update npdl"):
        archive.read(path)


def test_a_group_that_is_no_safetensors_file(tmp_path):
    path = tmp_path / "m.npdl"
    zip_file(path, model__json='{"npdl": 1, "groups": ["w"], "header": {}}', w__safetensors="x")
    with pytest.raises(ValueError, match=r"m\.npdl, w\.safetensors: 1 bytes, too few"):
        archive.read(path)


def test_absent_file(tmp_path):
    for read in (archive.read, archive.load_safetensors):
        with pytest.raises(FileNotFoundError, match=r"nothing\.npdl"):
            read(tmp_path / "nothing.npdl")


def test_a_failed_write_leaves_the_old_file(model, monkeypatch):
    before = model.read_bytes()

    def refuse(*args):
        raise PermissionError("refused")

    for where, name in (
        (archive, "open"),
        (os, "fsync"),
        (os, "replace"),
    ):  # no permission, a full disk, another's file
        with monkeypatch.context() as patch:
            patch.setattr(where, name, refuse, raising=False)
            with pytest.raises(PermissionError, match="refused"):
                archive.write(model, {}, {})
            with pytest.raises(PermissionError, match="refused"):
                archive.save_safetensors(model, {})
        assert model.read_bytes() == before
        assert list(model.parent.iterdir()) == [model]


def test_the_file_appears_whole(tmp_path, monkeypatch):
    """Until the last act nothing lies at the path."""
    path, seen = tmp_path / "m.npdl", []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append(path.exists()), replace(a, b)))
    archive.write(path, HEADER, TENSORS)
    assert seen == [False] and path.exists()


def test_a_link_stays_a_link(model, tmp_path):
    link = tmp_path / "latest.npdl"
    link.symlink_to(model)
    archive.write(link, {"new": 1}, {})
    assert link.is_symlink() and archive.read(model)[0] == {"new": 1}


def test_no_folder_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*runs'?; make it by os\.makedirs"):
        archive.write(tmp_path / "runs" / "m.npdl", {}, {})
    with pytest.raises(IsADirectoryError, match="it is a folder; add a file name"):
        archive.write(tmp_path, {}, {})


def test_plain_strings_as_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive.write("m.npdl", HEADER, TENSORS)
    assert same_content(archive.read("m.npdl"))
