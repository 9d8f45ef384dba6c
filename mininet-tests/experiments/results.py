# SPDX-License-Identifier: Apache-2.0
"""What every experiment does with its rows: a CSV, and a plot as PNG and SVG."""

from __future__ import annotations

import argparse
import csv
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#8172b3", "#c44e52", "#937860")


def parser(about: str) -> argparse.ArgumentParser:
    """A parser with what all experiments have in common."""
    made = argparse.ArgumentParser(
        description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument(
        "-o", "--output", type=Path, default=Path("out"), help="directory for the CSV and the plot"
    )
    return made


def run(main: Callable[[list[str]], None]) -> None:
    """Run an experiment; Ctrl-C and SIGTERM end it in order, and leave nothing of it."""

    def ended(_number: int, _frame: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, ended)
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def number_above(least: float, kind: type = float) -> Any:
    """A type for arguments: a number that is above another."""

    def read(text: str) -> float:
        value = kind(text)
        if not least < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above {least:g}")
        return value

    read.__name__ = kind.__name__
    return read


def tell(words: str) -> None:
    """Progress, on the standard error stream."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def write(directory: Path, name: str, rows: Sequence[Mapping[str, Any]], figure: Any) -> None:
    """Write ``name.csv``, ``name.png`` and ``name.svg``, and say where.

    Args:
        directory: made if it is missing.
        name: of the files.
        rows: at least one; all with the same keys.
        figure: from `canvas`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for kind in ("png", "svg"):
        figure.savefig(directory / f"{name}.{kind}", dpi=150)
    tell(f"wrote {name}.csv, {name}.png and {name}.svg to {directory}")


def canvas(columns: int = 1, width: float = 6.5, height: float = 4.0) -> tuple[Any, list[Any]]:
    """A figure and its axes, side by side.

    Raises:
        SystemExit: matplotlib is missing; says what to do.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("plots need matplotlib: pip install -e '.[lab]'") from None
    figure = Figure(figsize=(width * columns, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", alpha=0.3)
        one.set_axisbelow(True)
    return figure, axes
