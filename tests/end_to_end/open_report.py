#!/usr/bin/env python3
"""A run's report.html as a browser shows it: Debian's Chromium, without a window.

Usage: open_report.py --trainer FILE [--screenshots DIR]
"""

from __future__ import annotations

import argparse
import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


class Tables(html.parser.HTMLParser):
    """The texts of the cells of all tables, row by row, under the tables' captions."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "caption":
            self.tables[data] = self.rows
        elif self.inside in ("td", "th"):
            self.rows[-1][-1] += data


def browse(chromium: str, page: pathlib.Path, *options: str) -> str:
    """What the browser prints; it may log no error of the page's."""
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--hide-scrollbars"]
    result = subprocess.run([*command, *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    logged = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert not logged, logged
    return result.stdout


def shown(line: dict[str, float], key: str) -> str:
    formats = {"accuracy": "{:.2%}", "val_accuracy": "{:.2%}", "learning_rate": "{:.3g}", "seconds": "{:.1f}", "images_per_second": "{:.0f}"}
    return formats.get(key, "{:.4f}").format(line[key]).replace("%", " %")


def look(chromium: str, run: pathlib.Path) -> None:
    page = run / "report.html"
    tables = Tables()
    tables.feed(browse(chromium, page, "--dump-dom"))
    epochs = tables.tables["Epochs"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(epochs) == len(lines) + 1 and len(lines) > 1, epochs
    for cells, line in zip(epochs[1:], lines, strict=True):
        values = dict(zip(epochs[0], cells, strict=True))
        assert int(values.pop("epoch")) == line["epoch"]
        assert values == {key: shown(line, key) for key in values}, (values, line)
        assert "val_accuracy" in values
    confusion = next(rows for caption, rows in tables.tables.items() if caption.startswith("Who is taken for whom"))
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert [[int(cell) for cell in row[1:]] for row in confusion[1:]] == evaluation["confusion"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--screenshots", type=pathlib.Path)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("skipped: there is no chromium")
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        command = [arguments.trainer, "train", "--epochs", "3", "--limit", "512", "--out", str(run)]
        environment = {name: value for name, value in os.environ.items() if name != "CIFAR10_DIR"}
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
        look(chromium, run)
        if arguments.screenshots:
            file = arguments.screenshots.resolve() / "report.png"
            browse(chromium, run / "report.html", f"--screenshot={file}", "--window-size=1000,1600")


if __name__ == "__main__":
    main()
