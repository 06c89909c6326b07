"""Finding, checking and downloading the files of a data set, without a network."""

import gzip
import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.request

import pytest

from npdl.datasets import files


def sha256(data):
    return hashlib.sha256(data).hexdigest()


PLAIN, PACKED = b"plain text", b"unpacked " * 50
GZ = gzip.compress(PACKED, mtime=0)
URLS = ("http://first.example/", "http://second.example/")
FILE = files.File("a.bin", sha256(PLAIN), tuple(u + "a.bin" for u in URLS))
GZ_FILE = files.File("b.gz", sha256(GZ), tuple(u + "b.gz" for u in URLS), content=sha256(PACKED))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No folder of the machine's own is looked at, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NPDL_DATA", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)

    def no_network(url, timeout):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)


@pytest.fixture
def web(monkeypatch):
    """A web of url -> bytes, or an exception; `asked` is what was asked for."""
    pages, asked = {}, []

    def urlopen(url, timeout):
        assert timeout == files.TIMEOUT
        asked.append(url)
        answer = pages.get(url, urllib.error.HTTPError(url, 404, "Not Found", None, None))
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    pages["asked"] = asked
    return pages


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def places():
    return files.folders("set", "Set/raw")


def test_folders_in_order(tmp_path):
    assert places() == [
        tmp_path / "own/set",
        tmp_path / "keras/datasets/set",
        tmp_path / "data/Set/raw",
        tmp_path / "cache/npdl/set",
    ]


def test_folders_without_settings(tmp_path, monkeypatch):
    for name in ("NPDL_DATA", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "home")
    assert files.folders("set") == [tmp_path / "home/.keras/datasets/set", tmp_path / "home/.cache/npdl/set"]


@pytest.mark.parametrize("place", range(4))
def test_found_in_each_folder(place):
    put(places()[place] / "a.bin", PLAIN)
    put(places()[3 - place] / "b.gz", GZ)
    assert files.load("set", [FILE, GZ_FILE], places()) == {"a.bin": PLAIN, "b.gz": PACKED}


def test_the_first_folder_wins():
    put(places()[0] / "a.bin", PLAIN)
    put(places()[1] / "a.bin", b"another")
    assert files.load("set", [FILE], places()) == {"a.bin": PLAIN}


def test_damaged_file():
    path = places()[0] / "a.bin"
    put(path, b"plain texT")
    with pytest.raises(ValueError, match="is damaged: its sha256 is") as error:
        files.load("set", [FILE], places())
    for part in (str(path), sha256(b"plain texT"), f"expected {sha256(PLAIN)}", "delete it and load again"):
        assert part in str(error.value)


def test_absent_without_network():
    put(places()[0] / "b.gz", GZ)
    with pytest.raises(FileNotFoundError) as error:
        files.load("the set", [FILE, GZ_FILE], places())
    message = str(error.value)
    assert message.startswith("the set needs a.bin, which could not be found or downloaded.")
    for part in (
        *map(str, places()),
        f"NPDL_DATA is {os.environ['NPDL_DATA']!r}",
        *FILE.urls,
        "no network in this test",
    ):
        assert part in message
    assert "put them into one of these folders" in message


def test_absent_without_network_or_npdl_data(monkeypatch):
    monkeypatch.delenv("NPDL_DATA")
    with pytest.raises(FileNotFoundError, match="NPDL_DATA is not set"):
        files.load("set", [FILE], places())


def test_download_goes_to_the_cache(web, capsys):
    web[FILE.urls[0]], web[GZ_FILE.urls[0]] = PLAIN, GZ
    expected = {"a.bin": PLAIN, "b.gz": PACKED}
    assert files.load("set", [FILE, GZ_FILE], places()) == expected
    cache = places()[-1]
    assert sorted(path.name for path in cache.iterdir()) == ["a.bin", "b.gz"]
    assert f"npdl: downloading {FILE.urls[0]} to {cache}" in capsys.readouterr().out
    assert web["asked"] == [FILE.urls[0], GZ_FILE.urls[0]]
    assert files.load("set", [FILE, GZ_FILE], places()) == expected
    assert len(web["asked"]) == 2  # the second time nothing is downloaded


def test_only_what_is_missing_is_downloaded(web):
    put(places()[0] / "a.bin", PLAIN)
    web[GZ_FILE.urls[0]] = GZ
    assert files.load("set", [FILE, GZ_FILE], places()) == {"a.bin": PLAIN, "b.gz": PACKED}
    assert web["asked"] == [GZ_FILE.urls[0]]


@pytest.mark.parametrize("failure", [TimeoutError("timed out"), b"an error page", b"", urllib.error.URLError("reset")])
def test_the_second_url_is_tried(web, failure):
    web[FILE.urls[0]], web[FILE.urls[1]] = failure, PLAIN
    assert files.load("set", [FILE], places()) == {"a.bin": PLAIN}
    assert web["asked"] == list(FILE.urls)


def test_a_wrong_download_is_not_kept(web):
    web[FILE.urls[0]] = web[FILE.urls[1]] = b"an error page"
    with pytest.raises(FileNotFoundError) as error:
        files.load("set", [FILE], places())
    assert sha256(b"an error page") in str(error.value) and sha256(PLAIN) in str(error.value)
    assert list(places()[-1].iterdir()) == []


def tar(**members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"folder/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


MEMBERS = [
    files.File(n, sha256(d), ("http://x.example/all.tar.gz",), member=f"folder/{n}")
    for n, d in (("one", b"1"), ("two", b"22"))
]


def test_an_archive_is_fetched_once(web):
    web["http://x.example/all.tar.gz"] = tar(one=b"1", two=b"22", three=b"333")
    assert files.load("set", MEMBERS, places()) == {"one": b"1", "two": b"22"}
    assert len(web["asked"]) == 1
    assert sorted(path.name for path in places()[-1].iterdir()) == ["one", "two"]


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tar(one=b"1"), "two"),
        (tar(one=b"1", two=b"23"), sha256(b"23")),
        (tar(one=b"1", two=b"22")[:-60], "all.tar.gz"),
        (b"x", "all.tar.gz"),
    ],
    ids=["a member is missing", "a member is another", "cut short", "no archive"],
)
def test_a_wrong_archive(web, archive, message):
    web["http://x.example/all.tar.gz"] = archive
    with pytest.raises(FileNotFoundError, match=message):
        files.load("set", MEMBERS, places())


def test_another_format(tmp_path):
    contents = {"a.bin": PLAIN, "b.gz": PACKED}
    others = [(tmp_path / "absent", None), (tmp_path / "here", lambda path: contents)]
    put(tmp_path / "here", b"")
    assert files.load("set", [FILE, GZ_FILE], places(), others) == contents
    contents["b.gz"] = b"else"
    with pytest.raises(
        ValueError, match=rf"here: b\.gz is damaged: its sha256 is {sha256(b'else')}, expected {sha256(PACKED)}"
    ):
        files.load("set", [FILE, GZ_FILE], places(), others)


def test_another_format_that_cannot_be_read(tmp_path):
    def read(path):
        raise ValueError("nonsense")

    put(tmp_path / "here", b"")
    with pytest.raises(ValueError, match=r"here is damaged \(ValueError\('nonsense'\)\); delete it and load again"):
        files.load("set", [FILE], places(), [(tmp_path / "here", read)])


def test_original_files_come_before_other_formats(tmp_path):
    put(tmp_path / "here", b"")
    put(places()[-1] / "a.bin", PLAIN)
    assert files.load("set", [FILE], places(), [(tmp_path / "here", None)]) == {"a.bin": PLAIN}
