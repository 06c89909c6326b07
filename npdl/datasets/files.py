"""Where the files of a data set are looked for, how they are checked, and how they are downloaded."""

import gzip
import hashlib
import os
import pathlib
import pickle
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from typing import NamedTuple

TIMEOUT = 30  # seconds without an answer
DAMAGE = (
    ValueError, TypeError, LookupError, AttributeError, EOFError, FileNotFoundError, zlib.error, zipfile.BadZipFile,
    tarfile.TarError, pickle.UnpicklingError,
)  # fmt: skip
"""What reading a damaged file may raise."""


class File(NamedTuple):
    """One file in its original format.

    Attributes:
        name: in its folder.
        sha256: of the file.
        urls: where to get it, in the order in which they are tried.
        content: sha256 of what a .gz file unpacks to; "" for a file that is not packed.
        member: its path inside the .tar.gz that the urls name; "" where they name the file itself.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    content: str = ""
    member: str = ""


def cache_folder():
    """Where downloads are kept: $XDG_CACHE_HOME/npdl, ~/.cache/npdl without it."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "npdl"


def keras_folder():
    """Where Keras keeps its data sets: $KERAS_HOME/datasets, ~/.keras/datasets without it."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "datasets"


def folders(name, torchvision=None):
    """The folders that may hold a data set's original files, in the order in which they are looked through.

    Args:
        name: of its folder in $NPDL_DATA, in Keras' folder and in npdl's cache.
        torchvision: of its folder in torchvision's root, which is taken to be ./data, as in its tutorials.
    """
    own = os.environ.get("NPDL_DATA")
    first = [pathlib.Path(own).expanduser() / name] if own else []
    torch = [pathlib.Path("data").absolute() / torchvision] if torchvision else []
    return [*first, keras_folder() / name, *torch, cache_folder() / name]


def load(dataset, files, places, others=()):
    """The contents of a data set's files by name, unpacked, each one checked by its sha256.

    Args:
        dataset: its name, for errors.
        files: `File`s.
        places: folders to look in; what is downloaded goes to the last.
        others: (path, function) of other formats: `function(path)` gives the same contents by name.

    Raises:
        FileNotFoundError: a file is nowhere and cannot be downloaded.
        ValueError: a file is damaged.
    """
    found = {file: next((p / file.name for p in places if (p / file.name).is_file()), None) for file in files}
    if None in found.values():
        for path, read in others:
            if path.exists():
                return _read_other(path, read, files)
        missing = [file for file, path in found.items() if path is None]
        _download(dataset, missing, places)
        found.update((file, places[-1] / file.name) for file in missing)
    return {file.name: _read(path, file) for file, path in found.items()}


def _read(path, file):
    """A file's content, unpacked."""
    data = path.read_bytes()
    _check(path, data, file.sha256)
    return gzip.decompress(data) if file.content else data


def _read_other(path, read, files):
    try:
        contents = read(path)
    except DAMAGE as e:
        raise ValueError(f"{path} is damaged ({e!r}); delete it and load again") from None
    for file in files:
        _check(f"{path}: {file.name}", contents[file.name], file.content or file.sha256)
    return contents


def _check(path, data, expected):
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ValueError(f"{path} is damaged: its sha256 is {found}, expected {expected}; delete it and load again")


def _download(dataset, files, places):
    """Bring files into the last of the places; all urls are tried in turn."""
    import http.client  # here and below: sockets and TLS take a tenth of the time of `import npdl`

    failures = []
    while files:
        group = [
            file for file in files if file.urls == files[0].urls
        ]  # an archive is fetched once for all of its members
        for url in group[0].urls:
            try:
                _fetch(url, group, places[-1])
                break
            except (OSError, http.client.HTTPException, *DAMAGE) as e:
                failures.append(f"{url}: {e}")
        else:
            own = os.environ.get("NPDL_DATA")
            raise FileNotFoundError(
                f"{dataset} needs {', '.join(file.name for file in files)}, which could not be found or downloaded.\n"
                f"Looked in: {', '.join(map(str, places))} (NPDL_DATA is {repr(own) if own else 'not set'}).\n"
                f"Tried: {'; '.join(failures)}.\n"
                f"Download the files where there is a network, put them into one of these folders and load again."
            )
        files = [file for file in files if file not in group]


def _fetch(url, files, folder):
    """Download one url; what is in it, once checked, is moved into `folder`."""
    import urllib.request

    folder.mkdir(parents=True, exist_ok=True)
    print(f"npdl: downloading {url} to {folder}", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        whole = pathlib.Path(temporary) / "download"
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, open(whole, "wb") as out:
            shutil.copyfileobj(response, out)
        for file in files:
            part = whole
            if file.member:
                part = pathlib.Path(temporary) / file.name
                with tarfile.open(whole) as archive:
                    member = archive.extractfile(file.member)
                    if member is None:
                        raise ValueError(f"{file.member} in the archive is no file")
                    part.write_bytes(member.read())
            _check(f"what came for {file.name}", part.read_bytes(), file.sha256)
            os.replace(part, folder / file.name)
