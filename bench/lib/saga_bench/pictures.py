"""The pictures: throughput against the limit, latency and memory against load; SVG and PNG."""
from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

INK, SOFT, LIMIT, BASE, OURS = "#1d2733", "#8a97a6", "#b8c2cc", "#d9a066", "#2f6f9f"
BARS = (("limit", LIMIT, "limit: all four stores at once"), ("sagad", OURS, "sagad"),
        ("baseline", BASE, "asyncio.gather"))


def _axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    figure, axes = pyplot.subplots(figsize=(7.2, 4))
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6eaee")
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Any, folder: Path, name: str) -> None:
    figure.tight_layout()
    for kind in ("svg", "png"):
        figure.savefig(folder / f"{name}.{kind}", dpi=144, metadata={"Date": None} if kind == "svg" else None)
    pyplot.close(figure)


def throughput(measured: list[dict[str, Any]], folder: Path) -> None:
    """Shares of the limit, so that workloads of all sizes fit: a bar is the rounds' median, a point a round."""
    figure, axes = _axes("Throughput against the limit", "", "share of the limit")
    seen = set()
    for at, workload in enumerate(measured):
        for shift, (key, colour, label) in enumerate(BARS):
            rounds = [found for found in workload["rounds"] if key in found]
            if not rounds:
                continue
            shares, place = [found[key] / found["limit"] for found in rounds], at + (shift - 1) * 0.27
            axes.bar(place, statistics.median(shares), 0.25, color=colour, label=None if label in seen else label)
            axes.plot([place] * len(shares), shares, ".", color=INK, markersize=3)
            rate = statistics.median(found[key] for found in rounds)
            axes.annotate(f"{rate:,.0f}/s", (place, max(shares)), (0, 3), textcoords="offset points", ha="center",
                          fontsize=8, color=INK)
            seen.add(label)
    axes.set_xticks(range(len(measured)), [w["workload"].replace(", ", "\n", 1) for w in measured], fontsize=8)
    axes.set_ylim(0, 1.25)
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=3)
    _save(figure, folder, "throughput")


def latency(points: list[dict[str, Any]], folder: Path) -> None:
    figure, axes = _axes("Latency of a put against load", "documents/s asked for (open loop)",
                         "ms, from the intended start")
    for name, colour in (("p50", OURS), ("p90", BASE), ("p99", INK), ("p99.9", SOFT)):
        axes.plot([p["rate"] for p in points], [p["latency_ms"][name] for p in points], "o-", color=colour, label=name,
                  markersize=4)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8)
    _save(figure, folder, "latency")


def memory(points: list[dict[str, Any]], folder: Path) -> None:
    figure, axes = _axes("Resident memory of the daemon against load", "documents/s asked for (open loop)",
                         "MB, highest")
    axes.plot([p["rate"] for p in points], [p["memory_bytes"] / 1e6 for p in points], "o-", color=OURS, markersize=4)
    axes.set_ylim(bottom=0)
    _save(figure, folder, "memory")
