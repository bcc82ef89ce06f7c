"""That tools/check-crash-points finds what has no crash point, and that a build with them ends where it is told to.

The points themselves are tried by tools/crash-points, which tools/test runs."""

import importlib.machinery
import importlib.util
import subprocess

import pytest

from harness.daemon import CHECKOUT, program


@pytest.fixture(scope="module")
def checker():
    path = CHECKOUT / "tools" / "check-crash-points"
    loader = importlib.machinery.SourceFileLoader("check_crash_points", str(path))
    made = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(made)
    return made


@pytest.mark.parametrize("body, effects", [
    ("	(void)unlink(path);", ["unlink"]),
    ("	CRASH_POINT(SOCKET_CLEAR_BEFORE);\n	(void)unlink(path);", []),
    ("	/* no crash point: the kernel removes it */\n	(void)unlink(path);", []),
    ("	/* no crash point: */\n	(void)unlink(path);", ["unlink"]),
    ("	/* unlink() would do */\n	log(\"unlink()\");\n	my_unlink(path);\n	ops->send(a);\n	x.send(a);", []),
    ("	fd = open(path, O_RDONLY);", []),
    ("	fd = open(path, O_RDWR | O_CREAT, 0600);", ["open"]),
    ("	pg_job_run(job, &script);\n	(void)uv_write(a, b, c, 1, d);", ["pg_job_run", "uv_write"])])
def test_an_effect_needs_a_point_or_a_reason(checker, body, effects):
    (_, found), = checker.functions(f"static void f(void)\n{{\n{body}\n}}\n")
    assert checker.bare_effects(found) == effects


def test_a_library_call_that_nobody_has_sorted_is_found(checker, monkeypatch):
    known = {"PQsendQueryParams", "PQclear", "uv_write", "uv_timer_start", "memcpy"}
    monkeypatch.setattr(checker, "needed_symbols", lambda build: known)
    assert checker.check_symbols(None) == []
    monkeypatch.setattr(checker, "needed_symbols", lambda build: known | {"PQputNewThing", "uv_fs_write"})
    assert [line.split("(")[0] for line in checker.check_symbols(None)] == ["PQputNewThing", "uv_fs_write"]


def test_the_source_has_points_everywhere(checker):
    wrong, n_effects = checker.check_source()
    assert wrong == [] and n_effects > 60
    unused, n_names = checker.check_names()
    assert unused == [] and n_names > 60


def test_a_build_that_ships_knows_nothing_of_them():
    ran = subprocess.run([program("sagad"), "--crash-points"], capture_output=True, text=True)
    assert ran.returncode == 2 and "--crash-points" in ran.stderr
