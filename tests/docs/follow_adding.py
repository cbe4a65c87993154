#!/usr/bin/env python3
"""Follows docs/adding-a-layer.md in a copy of the tree, as a reader would.

Usage: follow_adding.py TOP_OF_THE_TREE COPY [--all]

A line that the rendered page does not show says what the block of code below it is for:

    <!-- new file generators/layers/sum_pool2d.h -->
    <!-- in plan/cores.cpp, before "the beginning of a line that is there once" -->
    <!-- in compiler/layers/pools.cpp, as a paragraph before "..." -->  with an empty line between
    <!-- run -->     commands
    <!-- prints -->  what stands in what the commands print, line by line

Each example is the part below a heading of the second level. What it touches is counted. Then the plans are made and the touched sources
read by the compiler; with --all every command is run, which builds kernel_gen, compiles kernels and holds them to their oracles. The copy
is kept, so that another time only what has changed is built; CMAKE_CXX_COMPILER_LAUNCHER may name a compiler's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

PAGE = "docs/adding-a-layer.md"

# The files that an example may touch, by what its heading begins with.
MOST_FILES = {"A pointwise layer": 3, "A layer with a core": 6}

DIRECTIVE = re.compile(r"^<!-- ([^\n]*) -->\n```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLACE = re.compile(r'in (\S+), (as a paragraph )?before (".*")')

Edits = dict[str, str]  # the text of files by their paths


@dataclass
class Example:
    name: str
    texts: Edits = field(default_factory=dict)  # of the files it touches; of those under build/, which are no part of the tree, as well
    commands: list[str] = field(default_factory=list)
    prints: list[str] = field(default_factory=list)

    def touched(self) -> list[str]:
        return sorted(path for path in self.texts if not path.startswith("build/"))


def insert(path: str, text: str, place: str, block: str) -> str:
    """`text` with the block before the line that begins with `place`."""
    at = [match.start() for match in re.finditer("^" + re.escape(place), text, re.MULTILINE)]
    if len(at) != 1:
        sys.exit(f"{PAGE}: {path} has {len(at)} lines that begin with {place!r}, not one")
    return text[: at[0]] + block + text[at[0] :]


def apply(top: pathlib.Path, example: Example, before: Edits, directive: str, block: str) -> None:
    if directive == "run":
        example.commands += block.splitlines()
    elif directive == "prints":
        example.prints += block.splitlines()
    elif directive.startswith("new file "):
        path = directive.removeprefix("new file ")
        if path in before or (not path.startswith("build/") and (top / path).exists()):
            sys.exit(f"{PAGE}: {path} is there already")
        example.texts[path] = block
    elif place := PLACE.fullmatch(directive):
        path, paragraph, line = place[1], place[2], json.loads(place[3])
        text = example.texts.get(path) or before.get(path) or (top / path).read_text()
        example.texts[path] = insert(path, text, line, block + "\n" if paragraph else block)
    else:
        sys.exit(f"{PAGE}: what is meant by {directive!r}?")


def examples(top: pathlib.Path) -> Iterator[Example]:
    """Each applied behind those before it."""
    before: Edits = {}
    for section in re.split(r"^## ", (top / PAGE).read_text(), flags=re.MULTILINE)[1:]:
        example = Example(section.partition("\n")[0])
        if section.count("<!-- ") != len(DIRECTIVE.findall(section)):
            sys.exit(f'{PAGE}: a line of "{example.name}" that is not shown has no block of code right below it')
        for directive, block in DIRECTIVE.findall(section):
            apply(top, example, before, directive, block)
        if example.texts:
            before |= example.texts
            yield example


def count(example: Example) -> None:
    touched = example.touched()
    print(f"{example.name}: {len(touched)} files\n  " + "\n  ".join(touched))
    if len(touched) > MOST_FILES[example.name]:
        sys.exit(f'{PAGE}: "{example.name}" touches {len(touched)} files, more than {MOST_FILES[example.name]}')


def write(path: pathlib.Path, data: bytes) -> None:
    """Leaves a file that is the same as old as it is."""
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def copy_tree(top: pathlib.Path, copy: pathlib.Path, texts: Edits) -> None:
    """Copies what git lists, but for the files that have other texts, and takes away what it no longer lists."""
    listed = subprocess.run(["git", "-C", top, "ls-files", "-z", "-co", "--exclude-standard"], check=True, capture_output=True, text=True)
    files = {path for path in listed.stdout.split("\0") if path and (top / path).is_file()}
    for path in files - texts.keys():
        write(copy / path, (top / path).read_bytes())
    for path, text in texts.items():
        write(copy / path, text.encode())
    for there in list(copy.rglob("*")):
        name = str(there.relative_to(copy))
        if there.is_file() and name not in files | texts.keys() and not name.startswith(("build/", ".venv")):
            there.unlink()
    if not (copy / ".venv").exists():
        (copy / ".venv").symlink_to((top / ".venv").resolve())


def run(command: Sequence[str], copy: pathlib.Path, quiet: bool = True) -> str:
    print("  $", shlex.join(command), flush=True)
    environment = os.environ | {"PATH": f"{copy}/.venv/bin:{os.environ['PATH']}"}
    result = subprocess.run(command, check=False, cwd=copy, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0 or not quiet:
        print(result.stdout, end="", flush=True)
    if result.returncode != 0:
        sys.exit(f"{PAGE}: {shlex.join(command)} failed")
    return result.stdout


def configure(copy: pathlib.Path, options: Sequence[str]) -> None:
    # Compilers' caches do not take precompiled headers.
    no_headers = ["-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON"] if os.environ.get("CMAKE_CXX_COMPILER_LAUNCHER") else []
    run([".venv/bin/cmake", "--preset", "ci", *no_headers, *options], copy)


def check_prints(example: Example, output: str) -> None:
    for line in example.prints:
        if line not in output:
            sys.exit(f'{PAGE}: the commands of "{example.name}" do not print {line!r}')


def follow(copy: pathlib.Path, example: Example) -> None:
    """Runs every command."""
    output = ""
    for command in example.commands:
        output += run(["bash", "-c", command], copy, quiet="ctest" not in command)
    check_prints(example, output)


def plan(copy: pathlib.Path, example: Example) -> None:
    """Runs the commands that make plans."""
    plans = [command for command in example.commands if command.startswith("build/release/bin/halcyonc plan ")]
    check_prints(example, "".join(run(["bash", "-c", command], copy) for command in plans))


def check_syntax(copy: pathlib.Path, paths: set[str]) -> None:
    """Has the compiler read what halcyonc is not made of."""
    started = []
    for entry in json.loads((copy / "build/release/compile_commands.json").read_text()):
        if str(pathlib.Path(entry["file"]).relative_to(copy)) not in paths:
            continue
        command = re.sub(r" -o \S+ -c ", " -fsyntax-only ", entry["command"])
        print("  $ compile", entry["file"], flush=True)
        started.append((entry["file"], subprocess.Popen(command, shell=True, cwd=entry["directory"])))
    failed = [file for file, process in started if process.wait() != 0]
    if failed or len(started) < len(paths):
        sys.exit(f"{PAGE}: what it makes of {', '.join(failed or sorted(paths))} does not compile")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("top", type=pathlib.Path)
    parser.add_argument("copy", type=pathlib.Path)
    parser.add_argument("--all", action="store_true", help="run every command of the page")
    arguments = parser.parse_args()
    top, copy = arguments.top.resolve(), arguments.copy.resolve()

    followed = list(examples(top))
    if {example.name for example in followed} != set(MOST_FILES):
        sys.exit(f"{PAGE}: its examples are not {', '.join(MOST_FILES)}")
    for example in followed:
        count(example)
    texts = {path: text for example in followed for path, text in example.texts.items()}
    if not (top / ".git").exists():
        print("skipped: git does not know this tree's files")
        return
    copy_tree(top, copy, texts)
    if arguments.all:
        configure(copy, [])
        for example in followed:
            follow(copy, example)
        return
    # Without optimisation: nothing but plans is made.
    configure(copy, ["-DCMAKE_BUILD_TYPE=", "-DCMAKE_UNITY_BUILD=OFF", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"])
    run([".venv/bin/cmake", "--build", "build/release", "--target", "halcyonc"], copy)
    for example in followed:
        plan(copy, example)
    check_syntax(copy, {path for path in texts if path.startswith(("generators/", "tests/")) and path.endswith(".cpp")})


if __name__ == "__main__":
    main()
