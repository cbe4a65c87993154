#!/usr/bin/env python3
"""Checks that the C++ shown in the README stands in the tree: every ```cpp block must be part of the file linked before it.

Usage: check_readme.py TOP_OF_THE_TREE
"""
import pathlib
import re
import sys

top = pathlib.Path(sys.argv[1])
text = (top / "README.md").read_text()
blocks = re.findall(r"\]\(([^)]+\.(?:h|cpp))\)[^`]*```cpp\n(.*?)```", text, re.DOTALL)
if len(blocks) < 2:
    sys.exit("README.md: the algorithm and its schedule are not shown")
for path, code in blocks:
    if code.strip() not in (top / path).read_text():
        sys.exit(f"README.md: a block is not as it stands in {path}:\n{code}")
print(f"{len(blocks)} blocks stand in the tree")
