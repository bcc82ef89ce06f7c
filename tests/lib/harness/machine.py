"""A systemd of a test's own: process 1 of a process namespace, with its own /run, /etc, units and control groups, and
the daemon installed as its operators install it. Nothing of it reaches the machine: no unit of the machine is started, and
/proc/sys can't be written to."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from .daemon import CHECKOUT
from .service import install
from .waiting import eventually

SYSTEMD = Path("/lib/systemd/systemd")
# Of the machine's units only what a journal needs; targets that pull nothing in.
UNITS = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
TARGETS = ("sysinit", "basic", "sockets", "shutdown", "umount", "network-online", "multi-user", "slices", "exit",
           "final")
BOOT = r"""
set -e
mount --make-rprivate /
mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys
mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/lock
mkdir "$WORK/etc" && cp -a /etc/. "$WORK/etc/" && rm -rf "$WORK/etc/systemd/system" "$WORK/etc/systemd/journald.conf"
mkdir -p "$WORK/etc/systemd/system" && mount --bind "$WORK/etc" /etc
for empty in generators system-generators; do
	if [ -d /usr/lib/systemd/$empty ]; then mount -t tmpfs tmpfs /usr/lib/systemd/$empty; fi
done
mkdir "$WORK/units" && for unit in $UNITS; do cp "/usr/lib/systemd/system/$unit" "$WORK/units/"; done
for target in $TARGETS; do printf '[Unit]\nDescription=%s\n' "$target" >"$WORK/units/$target.target"; done
printf '[Unit]\nDescription=test\nWants=systemd-journald.service\nAllowIsolate=yes\n' >"$WORK/units/default.target"
mount --bind "$WORK/units" /usr/lib/systemd/system
cp "$ROOT"/usr/lib/systemd/system/sagad* /etc/systemd/system/
cp -a "$DROPIN" /etc/systemd/system/sagad.service.d
mount --bind "$ROOT/usr/local" /usr/local
mkdir -p "$WORK/state" && mount --bind "$WORK/state" /var/lib
systemd-sysusers "$ROOT/usr/lib/sysusers.d/sagad.conf"
mount --make-rshared / # as a container manager would: credentials are mounted from a namespace of their own
mount -t cgroup2 cgroup2 /sys/fs/cgroup
export container=lxc
exec /lib/systemd/systemd --system --log-target=journal --log-level=info --show-status=0
"""


class Machine:
    """Started by start(); `sagad.conf` and secrets are what the test gives. Its processes end with it."""

    def __init__(self, folder, config, secrets):
        self.folder = folder
        self.root, self.work, self.dropin = (folder / name for name in ("root", "work", "dropin"))
        for made in (self.root, self.work, self.dropin):
            made.mkdir()
        folder.chmod(0o755)
        install(self.root, "release")  # a sanitizer needs more than the unit allows
        self.etc = self.root / "usr" / "local" / "etc" / "sagad"
        self.config = self.etc / "sagad.conf"
        self.config.write_text(config)
        for name, text in secrets.items():
            path = self.etc / "secrets" / name
            path.write_text(text)
            path.chmod(0o600)
        for library in (CHECKOUT / "build" / "deps" / "yyjson").rglob("libyyjson.so.0"):
            shutil.copy(library, self.root / "usr" / "local" / "lib")
        (self.dropin / "test.conf").write_text(
            "[Service]\nEnvironment=LD_LIBRARY_PATH=/usr/local/lib\nRestartSec=200ms\n")
        self.process = None

    def start(self):
        environ = {"PATH": os.environ["PATH"], "WORK": str(self.work), "ROOT": str(self.root),
                   "DROPIN": str(self.dropin), "UNITS": " ".join(UNITS), "TARGETS": " ".join(TARGETS)}
        with open(self.folder / "console", "wb") as console:
            self.process = subprocess.Popen(
                ["unshare", "--pid", "--mount", "--fork", "--kill-child=KILL", "--mount-proc", "--cgroup", "--uts",
                 "--ipc", "bash", "-c", BOOT], env=environ, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        eventually(lambda: self.run("systemctl", "is-active", "default.target").stdout.strip() == "active", 20,
                   what=f"systemd doesn't come up: {self.console()[-600:]}")
        return self

    def console(self):
        return (self.folder / "console").read_text(errors="replace")

    @property
    def pid(self):
        """Of its process 1, as this machine counts."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert children, f"it ended: {self.console()[-600:]}"
        return int(children[0])

    def run(self, *command, check=False):
        """A command in there."""
        return subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", *map(str, command)], text=True,
                              capture_output=True, timeout=60, check=check)

    def path(self, inside):
        """The same file, seen from here."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def show(self, unit, *properties):
        said = self.run("systemctl", "show", unit, "--property", ",".join(properties), check=True).stdout
        return dict(line.split("=", 1) for line in said.splitlines())

    def close(self):
        if self.process is None or self.process.poll() is not None:
            return
        groups = self.path("/sys/fs/cgroup")
        for unit in ("sagad.socket", "sagad-admin.socket", "sagad.service", "systemd-journald.service"):
            self.run("systemctl", "stop", unit)
        made = sorted((each for each in groups.rglob("*") if each.is_dir()), key=lambda each: -len(each.parts))
        names = [each.relative_to(groups) for each in made]
        handle = os.open(groups, os.O_RDONLY)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        try:  # the groups are the kernel's, and outlive their processes by a moment
            eventually(lambda: remove_all(names, handle), 5, what=f"control groups are left: {names}")
        finally:
            os.close(handle)


def remove_all(names, handle):
    """True when none of these folders is there any more."""
    for name in list(names):
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=handle)
            names.remove(name)
    return not names
