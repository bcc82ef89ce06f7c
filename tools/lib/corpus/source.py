"""Finds the documentation's HTML pages without installing anything."""
import contextlib
import glob
import os
import shutil
import subprocess
import tempfile

PACKAGE = "postgresql-doc-15"
PLACE = "usr/share/doc/" + PACKAGE + "/html"


def _installed_version():
    query = ["dpkg-query", "-W", "-f", "${Version}", PACKAGE]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _download(folder, say):
    """Fetches and unpacks the package below `folder`; returns its version."""
    say("fetching %s into a temporary folder" % PACKAGE)
    # apt drops its rights for the download, so the folder must let it in.
    os.chmod(folder, 0o777)
    subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=folder,
                   stdout=subprocess.DEVNULL, check=True)
    deb = glob.glob(os.path.join(folder, "*.deb"))[0]
    subprocess.run(["dpkg", "-x", deb, folder], check=True)
    field = subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True,
                           capture_output=True, text=True)
    return field.stdout.strip()


@contextlib.contextmanager
def pages(folder, say):
    """Yields (folder of HTML pages, the package's version or "")."""
    if folder is not None:
        yield folder, _installed_version() if PLACE in folder else ""
        return
    if os.path.exists(os.path.join("/", PLACE, "index.html")):
        yield os.path.join("/", PLACE), _installed_version()
        return
    scratch = tempfile.mkdtemp(prefix="make-corpus.")
    try:
        version = _download(scratch, say)
        yield os.path.join(scratch, PLACE), version
    finally:
        shutil.rmtree(scratch)
