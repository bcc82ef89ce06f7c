"""Where things are kept, and who may read them.

Servers run as an unprivileged user. A folder is only useful to them when that user can walk down to it, which is
not so for a checkout below /root: then the folders move to /var/tmp, under a name made from the checkout's path.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import stat
from pathlib import Path

from .errors import StoreError

CHECKOUT = Path(__file__).resolve().parents[3]


def server_ids():
    """(uid, gid) that servers run as when we are root, else None: they run as the caller."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def can_reach(path):
    """Whether the servers' user can walk to `path` and read it, as far as it exists."""
    ids = server_ids()
    if ids is None:
        return True
    path = Path(path).resolve()
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            return True
        if not _may(folder.stat(), ids, folder.is_dir()):
            return False
    return True


def _may(status, ids, is_folder):
    """Whether a user with exactly these ids may traverse (folder) or read (file)."""
    uid, gid = ids
    bits = stat.S_IXOTH if is_folder else stat.S_IROTH
    if status.st_uid == uid:
        bits <<= 6
    elif status.st_gid == gid:
        bits <<= 3
    return bool(status.st_mode & bits)


def state_folder(environ):
    """The folder with the stores' data, passwords and pids; created when missing."""
    return _pick(environ.get("SAGAD_STORES_DIR"), "stores", 0o711)


def dist_folder(environ):
    """The folder with what was downloaded; shared by all state folders; created when missing."""
    return _pick(environ.get("SAGAD_STORES_DIST"), "stores-dist", 0o755)


def _pick(chosen, leaf, mode):
    if chosen:
        folder = Path(chosen).absolute()
    elif can_reach(CHECKOUT / "build" / leaf):
        folder = CHECKOUT / "build" / leaf
    else:
        digest = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
        folder = Path("/var/tmp") / f"sagad-{leaf}-{digest}"
    return make_folder(folder, mode)


def make_folder(folder, mode):
    """Create `folder` with its parents; refuse one that others own or that the servers can't reach."""
    folder = Path(folder)
    if not folder.exists():
        _make_parents(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
    # /var/tmp is everybody's: a folder that somebody else put there is not ours to trust.
    if folder.stat().st_uid != os.geteuid():
        raise StoreError(f"{folder} belongs to another user; remove it, or choose others with "
                         "SAGAD_STORES_DIR and SAGAD_STORES_DIST")
    if not can_reach(folder):
        raise StoreError(f"the servers' user (nobody) can't reach {folder}; "
                         "choose another folder, or allow traversal (chmod o+x) above it")
    return folder


def _make_parents(folder):
    """mkdir -p that leaves what it makes open to traversal, whatever the caller's umask."""
    if folder.exists():
        return
    _make_parents(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)


@contextlib.contextmanager
def locked(folder, name):
    """Hold `name`'s lock in `folder`: against other threads' and other processes' commands."""
    handle = os.open(Path(folder) / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
