"""Archives come once, are known by their sha256, and a failure leaves what was there before."""
import errno
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from electra_tutorial import sources
from electra_tutorial.errors import UserError

WHEEL = "tinytext-1.0-py3-none-any.whl"
NOWHERE = "http://127.0.0.1:9/simple"  # the discard port: nobody listens, pip is refused at once


def wheel_bytes(members):
    """Return a wheel that pip accepts, with `members` ({path: bytes}) in it."""
    info = "tinytext-1.0.dist-info"
    members = members | {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tinytext\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in members.items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return buffer.getvalue()


def tar_bytes(members):
    """Return a .tar.gz with `members` ({path: bytes}) in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """A data folder that lists one small wheel, and a folder that offers it: returns that folder."""
    two = gzip.compress(b"Two.\n")
    content = wheel_bytes({"tinytext/one.txt": b"One sentence.\n", "tinytext/two.txt.gz": two})
    data, folder = tmp_path / "data", tmp_path / "offered"
    data.mkdir()
    folder.mkdir()
    (folder / WHEEL).write_bytes(content)
    (data / "sources.toml").write_text(f'''
[[archive]]
name = "tinytext"
package = "tinytext"
version = "1.0"
kind = "wheel"
file = "{WHEEL}"
bytes = {len(content)}
sha256 = "{hashlib.sha256(content).hexdigest()}"
licence = "MIT"
about = "made by this test"
[[archive.member]]
name = "one"
path = "tinytext/one.txt"
licence = "CC0"
attribution = "this test"
''')
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(data))
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def the_source():
    return sources.load_sources()[0]


def in_cache():
    folder = sources.cache_dir() / "archives"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_folder_of_archives_stands_in_for_the_network(offered):
    path = sources.fetch(the_source(), from_dir=offered)
    assert path == sources.cache_dir() / "archives" / WHEEL
    assert sources.read_member(path, "tinytext/one.txt") == b"One sentence.\n"
    assert in_cache() == [WHEEL]  # no temporary folder stays


def test_pip_brings_what_the_index_offers(offered, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    told = []
    path = sources.fetch(the_source(), progress=lambda what, done, total: told.append((what, done, total)))
    assert path.read_bytes() == (offered / WHEEL).read_bytes()
    assert told[-1] == (WHEEL, the_source().bytes, the_source().bytes)
    assert in_cache() == [WHEEL]


def test_what_is_complete_is_not_fetched_again(offered, monkeypatch):
    sources.fetch(the_source(), from_dir=offered)
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **more: pytest.fail("pip was started"))
    assert sources.fetch(the_source()).is_file()


def test_no_network_is_said_in_a_sentence(offered, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    with pytest.raises(UserError, match=r"No network.*tinytext 1\.0.*--from DIR"):
        sources.fetch(the_source())
    assert in_cache() == []


def test_pip_refuses_another_file_of_the_same_name(offered, monkeypatch):
    (offered / WHEEL).write_bytes(wheel_bytes({"tinytext/one.txt": b"Another sentence.\n"}))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    with pytest.raises(UserError, match="another sha256"):
        sources.fetch(the_source())
    assert in_cache() == []


def test_a_release_that_the_index_does_not_have_is_named(offered, monkeypatch):
    (offered / WHEEL).unlink()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    with pytest.raises(UserError, match=r"could not fetch tinytext 1\.0.*No matching distribution"):
        sources.fetch(the_source())


def spoil(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(("damage", "word"), [
    (spoil, "not the file this course was made with"),
    (lambda content: content[:100], "truncated: 100 of"),
    (lambda content: b"", "truncated: 0 of"),
], ids=["another hash", "truncated", "empty"])
def test_a_bad_archive_is_refused_and_the_old_one_kept(offered, damage, word):
    before = sources.archive_path(the_source())
    before.parent.mkdir(parents=True)
    before.write_bytes(b"what was there before")
    (offered / WHEEL).write_bytes(damage((offered / WHEEL).read_bytes()))
    with pytest.raises(UserError, match=word):
        sources.fetch(the_source(), from_dir=offered)
    assert before.read_bytes() == b"what was there before"
    assert in_cache() == [WHEEL]


def test_a_damaged_archive_in_the_cache_is_replaced(offered):
    path = sources.fetch(the_source(), from_dir=offered)
    path.write_bytes(spoil(path.read_bytes()))
    sources.fetch(the_source(), from_dir=offered)
    assert sources.sha256_of(path) == the_source().sha256


def test_a_folder_without_the_archive_and_no_folder_are_named(offered, tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path} has no {WHEEL}"):
        sources.fetch(the_source(), from_dir=tmp_path)
    with pytest.raises(UserError, match="nowhere is not a folder"):
        sources.fetch(the_source(), from_dir=tmp_path / "nowhere")


def test_a_full_disk_is_seen_before_anything_is_fetched(offered, monkeypatch):
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(UserError, match="disk is too full"):
        sources.fetch(the_source(), from_dir=offered)


def test_a_disk_that_fills_up_meanwhile_leaves_the_old_archive(offered, monkeypatch):
    before = sources.archive_path(the_source())
    before.parent.mkdir(parents=True)
    before.write_bytes(b"what was there before")

    def fill_up(source, from_dir, folder, tell):
        (folder / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sources, "copy_archive", fill_up)
    with pytest.raises(UserError, match="disk filled up.*kept"):
        sources.fetch(the_source(), from_dir=offered)
    assert before.read_bytes() == b"what was there before"
    assert in_cache() == [WHEEL]


def test_a_cache_that_cannot_be_written_is_named(offered, monkeypatch, tmp_path):
    (tmp_path / "data" / "cache").write_text("a file where a folder belongs")
    with pytest.raises(UserError, match="Cannot write to .*archives"):
        sources.fetch(the_source(), from_dir=offered)


def test_folders_that_come_and_go_while_pip_builds_are_no_trouble(tmp_path):
    over = threading.Event()

    def build():  # what pip does in its temporary folder for an sdist, and what rglob once stumbled over
        while not over.is_set():
            (tmp_path / "build" / "env" / "lib").mkdir(parents=True)
            shutil.rmtree(tmp_path / "build")

    pip = threading.Thread(target=build)
    pip.start()
    try:
        assert all(sources.size_of_folder(tmp_path) == 0 for _ in range(500))
    finally:
        over.set()
        pip.join()


def test_ctrl_c_leaves_nothing_behind(offered, monkeypatch):
    started = []
    popen = subprocess.Popen

    def start(*args, **more):
        started.append(popen(*args, **more))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    slow = [sys.executable, "-c", "import time; time.sleep(20)"]
    monkeypatch.setattr(sources, "pip_command", lambda source, folder: slow)

    def press(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sources.fetch(the_source(), progress=press)
    assert in_cache() == []
    assert started[0].returncode != 0  # it was ended; of itself it would have returned 0


@pytest.mark.parametrize(("log", "word"), [
    ("ERROR: Could not install packages: [Errno 28] No space left on device", "disk filled up"),
    ("/usr/bin/python3: No module named pip", "ensurepip"),
    ("WARNING: connection broken by 'NewConnectionError'\nERROR: No matching distribution", "No network"),
    ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "another sha256"),
    ("ERROR: something new\n\n", "something new"),
    ("", "no output"),
])
def test_pips_reason_becomes_a_sentence(offered, log, word):
    assert word in str(sources.pip_error(the_source(), log))


def test_status_tells_missing_complete_and_damaged_apart(offered):
    assert sources.status()[0]["state"] == "missing"
    path = sources.fetch(the_source(), from_dir=offered)
    assert sources.status(verify=True)[0]["state"] == "complete"
    path.write_bytes(spoil(path.read_bytes()))
    assert sources.status(verify=True)[0]["state"] == "damaged"
    path.write_bytes(b"short")
    assert sources.status()[0]["state"] == "damaged"
    assert json.dumps(sources.status())


def test_members_are_read_from_wheels_and_from_archives_inside_sdists(offered, tmp_path):
    assert sources.read_member(offered / WHEEL, "tinytext/two.txt.gz") == b"Two.\n"
    inner = tar_bytes({"deep/text.txt": b"deep"})
    sdist = tmp_path / "tinytext-1.0.tar.gz"
    sdist.write_bytes(tar_bytes({"tinytext-1.0/data.tar.gz": inner, "tinytext-1.0/plain.txt": b"plain"}))
    assert sources.read_member(sdist, "tinytext-1.0/plain.txt") == b"plain"
    assert sources.read_member(sdist, "tinytext-1.0/data.tar.gz!/deep/text.txt") == b"deep"


def test_a_star_stands_for_every_file_of_that_name_below_a_folder(offered, tmp_path):
    wheel = tmp_path / "many.whl"
    wheel.write_bytes(wheel_bytes({"a/c/2.json": b"2", "a/1.json": b"1", "a/b.txt": b"no", "1.json": b"no"}))
    assert sources.read_member(wheel, "a/*.json") == b"1\n2"
    with pytest.raises(UserError, match=r"has no a/\*.csv"):
        sources.read_member(wheel, "a/*.csv")


def test_missing_and_damaged_members_are_named(offered, tmp_path):
    with pytest.raises(UserError, match="has no tinytext/three.txt"):
        sources.read_member(offered / WHEEL, "tinytext/three.txt")
    with pytest.raises(UserError, match="is not there"):
        sources.read_member(tmp_path / "none.whl", "a")
    half = tmp_path / "half.whl"
    half.write_bytes((offered / WHEEL).read_bytes()[:200])
    with pytest.raises(UserError, match="damaged"):
        sources.read_member(half, "tinytext/one.txt")
    half = tmp_path / "half.tar.gz"
    half.write_bytes(tar_bytes({"a.txt": os.urandom(1000)})[:-300])
    with pytest.raises(UserError, match="damaged"):
        sources.read_member(half, "a.txt")


def test_a_broken_sources_toml_is_said_in_a_sentence(offered, tmp_path):
    (tmp_path / "data" / "sources.toml").write_text("[[archive")
    with pytest.raises(UserError, match=r"sources\.toml cannot be read"):
        sources.load_sources()


def test_the_data_folder_is_found_from_any_folder_and_can_be_moved(tmp_path, monkeypatch):
    monkeypatch.delenv("ELECTRA_TUTORIAL_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert sources.data_dir() == Path(sources.__file__).resolve().parent.parent / "data"
    monkeypatch.setenv("ELECTRA_TUTORIAL_DATA", str(tmp_path))
    assert sources.cache_dir() == tmp_path / "cache"
    assert sources.load_sources(), "a moved data folder without sources.toml reads the repository's"


def test_every_source_of_the_course_is_pinned_and_licensed():
    for source in sources.load_sources():
        assert len(source.sha256) == 64 and source.bytes > 0 and source.kind in ("wheel", "sdist")
        assert source.version in source.file and source.licence
        for member in source.members:
            assert member.licence.startswith(("CC ", "MIT", "Public domain")) and len(member.attribution) > 20


@pytest.mark.parametrize("source", sources.load_sources(), ids=lambda source: source.name)
def test_the_real_archive_has_every_member(source):
    if not sources.archive_path(source).exists():
        pytest.skip(f"{source.file} is not in the cache: run `electra-tutorial data`")
    assert sources.is_complete(source)
    for member in source.members:
        assert len(sources.read_member(sources.archive_path(source), member.path)) > 100_000


def test_finding_the_data_does_not_load_pytorch():
    code = "import sys, electra_tutorial.corpus; sys.exit(bool({'torch', 'datasets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
