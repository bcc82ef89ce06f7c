"""bench/run end to end, as small as it can be: it measures, reads back, and leaves a table and pictures. That the figures
are good is not looked at: a busy machine would fail the test."""

import json
import os
import re
import subprocess

import pytest

from harness.daemon import CHECKOUT

LAST_LINE = re.compile(r"limit_ratio=(\S+) baseline_ratio=(\S+) cpu_us_per_doc=(\S+) p99_over_p50=(\S+) rss_mb=(\S+)")
PICTURES = [f"{name}.{kind}" for name in ("throughput", "latency", "memory") for kind in ("svg", "png")]


def run(stores, *arguments):
    return subprocess.run([CHECKOUT / "bench" / "run", *map(str, arguments)], capture_output=True, text=True, timeout=240,
                          check=False, env={**os.environ, "SAGAD_STORES_DIR": str(stores.folder)})


@pytest.mark.timeout(280)
def test_a_tiny_run_of_what_quick_measures(real_stores, tmp_path):
    done = run(real_stores, "--quick", "--scale", "tiny", "--any-stores", "--results", tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert real_stores["neo4j"].is_running(), "stores that were up stay up"
    assert "warming up" in done.stdout

    figures = LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
    assert figures and all(float(figure) > 0 for figure in figures.groups())
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    for key, figure in zip(("limit", "baseline", "cpu_us", "p99_over_p50"), figures.groups()):
        assert kept["rows"][key]["value"] == pytest.approx(float(figure), abs=0.51 if key == "cpu_us" else 0.006)
    for name in PICTURES:
        assert (tmp_path / name).stat().st_size > 1000
    # Every goal has its line: a figure, or the command that finds it.
    assert "| `bench/run --rows steady` |" in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert re.search(r"^journal with .* bench/run --rows journal$", done.stdout, re.M)

    # A second run adds its rows and keeps the others.
    done = run(real_stores, "--rows", "single,overwrites", "--scale", "tiny", "--any-stores", "--results", tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    rows = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["rows"]
    assert rows["limit"] == kept["rows"]["limit"]
    assert rows["single"]["value"] > 0 and rows["overwrites"]["value"] > 0


def test_tiny_sagas(real_stores):
    done = subprocess.run([CHECKOUT / "bench" / "sagas", "--json", "--rounds=1", "--seconds=0.3", "--open=300"],
                          capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "SAGAD_STORES_DIR": str(real_stores.folder)})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert [(row["kind"], row["at_once"]) for row in found["rates"]] == [
        (kind, at_once) for kind in ("services", "stores") for at_once in (16, 256)]
    for row in found["rates"]:
        assert row["per_second"] > 0 and row["p99_ms"] >= row["p50_ms"] > 0 and row["cpu_us"] > 0 and row["syncs"] > 0
    assert [(row["open"], row["asked"] >= 300) for row in found["open"]] == [(300, False), (300, True)]


def test_a_row_that_is_not_there_is_named(real_stores):
    done = run(real_stores, "--rows", "standard,speed")
    assert done.returncode == 1 and "no row is called speed; there are standard, latency" in done.stderr


def test_the_page_shows_what_is_kept():
    """docs/performance.md has the tables that the last run left: `bench/run --page` puts them there."""
    page = (CHECKOUT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert (CHECKOUT / "bench" / "results" / "table.md").read_text(encoding="utf-8") in page
