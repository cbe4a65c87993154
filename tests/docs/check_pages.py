#!/usr/bin/env python3
"""Checks the pages: that every link leads to a file and heading that exist, as the files do that they and the sources name, and that their
sentences are short.

Usage: check_pages.py TOP_OF_THE_TREE

The notebook's sentences are not counted: what was tried is told as it was.
"""

import pathlib
import re
import sys

# Words a sentence, in the mean of a page; those of pages that have yet to be shortened.
LIMIT = 16
HIGHER_LIMITS = {"data.md": 20, "schedules.md": 23}

# Where files lie, and the sources that name them in a comment or a message.
FOLDERS = ("bench", "compiler", "docs", "generators", "models", "plan", "runtime", "schedules", "tests")
SOURCES = ("bench", "cmake", "compiler", "generators", "plan", "runtime", "schedules", "tests")
SUFFIXES = (".cpp", ".h", ".py", ".sh", ".txt", ".cmake")


def anchor(heading: str) -> str:
    """A heading's name in a link, as GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return words.replace(" ", "-")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: pathlib.Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.MULTILINE)}


def broken_links(top: pathlib.Path, page: pathlib.Path) -> list[str]:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"\w+:", link):
            continue
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists():
            broken.append(f"{page.relative_to(top)}: there is no {link}")
        elif heading and heading not in anchors(target):
            broken.append(f"{page.relative_to(top)}: {path or page.name} has no heading #{heading}")
    return broken


def files_named(text: str) -> list[str]:
    return re.findall(rf"(?<![\w/.<-])(?:{'|'.join(FOLDERS)})/[\w/]+\.(?:cpp|h|py|sh|cmake|json|md|svg)\b", text)


def broken_mentions(top: pathlib.Path, pages: list[pathlib.Path]) -> list[str]:
    """Of files of the tree, in pages and in sources. A page that makes files says so, and may name them."""
    sources = [source for folder in SOURCES for source in sorted((top / folder).rglob("*")) if source.suffix in SUFFIXES]
    broken = []
    for place in [*pages, *sources]:
        text = place.read_text()
        made = re.findall(r"<!-- new file (\S+) -->", text)
        missing = {name for name in files_named(text) if not (top / name).exists() and name not in made}
        broken += [f"{place.relative_to(top)}: there is no {name}" for name in sorted(missing)]
    return broken


def sentences(text: str) -> list[str]:
    """Those of paragraphs and lists. A span of code is one word; headings, tables, code and what is not shown are no sentences."""
    prose = re.sub(r"^(?:#|\||!\[|<!--).*$", "", without_code(text), flags=re.MULTILINE)
    prose = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "code", prose))
    paragraphs = re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.) ", "\n" + prose)
    found = [sentence for paragraph in paragraphs for sentence in re.split(r"[.!?]\W*\s", paragraph + " ")]
    return [" ".join(sentence.split()) for sentence in found if re.search(r"\w", sentence)]


def words(sentence: str) -> int:
    return len(re.findall(r"\S*\w\S*", sentence))


def long_winded(top: pathlib.Path, page: pathlib.Path) -> list[str]:
    counted = [(words(sentence), sentence) for sentence in sentences(page.read_text())]
    mean = sum(count for count, _ in counted) / len(counted)
    limit = HIGHER_LIMITS.get(page.name, LIMIT)
    if mean <= limit:
        return []
    return [f"{page.relative_to(top)}: {mean:.1f} words a sentence, more than {limit}; the longest: {max(counted)[1]}"]


def main() -> None:
    top = pathlib.Path(sys.argv[1]).resolve()
    plain = [top / "README.md", *sorted((top / "docs").glob("*.md"))]
    pages = [*plain, *sorted((top / "docs/notebook").glob("*.md"))]
    problems = [problem for page in pages for problem in broken_links(top, page)]
    problems += broken_mentions(top, pages)
    problems += [problem for page in plain for problem in long_winded(top, page)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(pages)} pages: their links lead somewhere, the files they name are there, their sentences are short")


if __name__ == "__main__":
    main()
