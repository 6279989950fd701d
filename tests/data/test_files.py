from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from calogan.data.files import InputFile, check_root_file, checksum, expand_files
from calogan.errors import DataError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("b.root", "a.root", "notes.txt"):
        (tmp_path / name).write_bytes(b"root" + bytes(40))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_patterns(folder):
    assert expand_files(["b.root"]) == [InputFile("b.root")]
    assert expand_files(["*.root"]) == [InputFile("a.root"), InputFile("b.root")]
    assert expand_files([str(folder)]) == [InputFile(str(folder / "a.root")), InputFile(str(folder / "b.root"))]
    assert expand_files(["a.root:some/tree"]) == [InputFile("a.root", "some/tree")]
    assert expand_files(["*.root:t"]) == [InputFile("a.root", "t"), InputFile("b.root", "t")]
    assert expand_files(["b.root", "*.root"]) == [InputFile("b.root"), InputFile("a.root")]


def test_urls_are_passed_on():
    urls = ["root://host:1094//store/a.root", "https://host/a.root?x=*"]
    assert expand_files(urls) == [InputFile(url) for url in urls]
    assert expand_files(["root://host:1094//store/a.root:tree"]) == [
        InputFile("root://host:1094//store/a.root", "tree")
    ]
    assert not InputFile(urls[0]).is_local
    assert InputFile(urls[0]).stem == "a"


def test_globs_of_urls_are_listed():
    with fsspec.open("memory://calogan/a.root", "wb") as stream:
        stream.write(b"root")
    assert expand_files(["memory://calogan/*.root:t"]) == [InputFile("memory:///calogan/a.root", "t")]


def test_shipped_showers():
    names = [Path(file.path).name for file in expand_files(["calogan://ecal30_electron/hits_*.root"])]
    assert names == ["hits_1001.root", "hits_1002.root", "hits_1003.root"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("c.root", r"c\.root: no such file in '\.'; .*'a\.root', 'b\.root'"),
        ("x/*.root", "no folder 'x'"),
        ("calogan://ecal30_electrn/*.root", "did you mean 'ecal30_electron'"),
        ("calogan://ecal30_electron/../../config.py", "'..' is not allowed"),
        ("calogan://ecal30_electron/nothing*.root", "no such file"),
        ("memory://nowhere/*.root", "no such file"),
        ("nosuchprotocol://host/*.root", "cannot list the files"),
    ],
)
def test_nothing_found(folder, pattern, message):
    with pytest.raises(DataError, match=message):
        expand_files([pattern])


def test_headers(folder):
    (folder / "text.root").write_text("hello, this is not a ROOT file")
    (folder / "cut.root").write_bytes(b"root" + (61404).to_bytes(4, "big") + (100).to_bytes(4, "big") * 2 + bytes(20))
    (folder / "large.root").write_bytes(b"root" + (1061404).to_bytes(4, "big") + bytes(4) + (2**40).to_bytes(8, "big"))
    with pytest.raises(DataError, match=r"text\.root: not a ROOT file \(it begins with b'hell'\)"):
        check_root_file("text.root")
    with pytest.raises(DataError, match=r"cut\.root: truncated: its header promises 100 bytes, the file has 36"):
        check_root_file("cut.root")
    with pytest.raises(DataError, match=f"promises {2**40} bytes"):
        check_root_file("large.root")
    with pytest.raises(DataError, match=r"none\.root: cannot be read: No such file"):
        check_root_file("none.root")


def test_checksum_is_xxh3(folder):
    (folder / "empty").touch()
    # XXH3-128 of nothing, seed 0, as xxHash's specification gives it.
    assert checksum("empty") == "99aa06d3014798d86001c324468d497f"
    with pytest.raises(DataError, match="cannot be read"):
        checksum(str(folder))


def test_environment_is_filled_in(folder, monkeypatch):
    monkeypatch.setenv("SHOWERS", str(folder))
    assert expand_files(["${SHOWERS}/*.root"]) == expand_files([f"{folder}/*.root"])
    monkeypatch.delenv("SHOWERS")
    with pytest.raises(DataError, match="environment variable SHOWERS is not set"):
        expand_files(["${SHOWERS}/*.root"])


@pytest.mark.parametrize("pattern", ["root://eos//a.root?authz=t0ken", "${FILES}"])
def test_addresses_with_a_token_are_refused_without_showing_it(monkeypatch, pattern):
    monkeypatch.setenv("FILES", "root://eos//a.root?authz=t0ken")
    with pytest.raises(DataError, match="BEARER_TOKEN_FILE") as refusal:
        expand_files([pattern])
    assert "t0ken" not in str(refusal.value)
