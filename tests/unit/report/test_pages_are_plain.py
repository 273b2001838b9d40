"""The code of a page holds plain texts: no markup, no escape, no renderer. Renderers alone write markdown and HTML."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[3] / "bench" / "report" / "pages"
#: Pipes and stars; HTML, its comments and entities; backslashes; links and pictures; headings; control characters.
MARKUP = re.compile(r"[|*\\]|</?[a-zA-Z!]|&#?\w+;|&#|\]\(|^#+ |[\x00-\x1f\x7f]")
RENDERERS = ("bench.report.render", "rich", "html", "tabulate")


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """The string literals of a module, its docstrings and the format specifications of f-strings left out."""
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            left_out.add(id(node.body[0].value))  # type: ignore[attr-defined]
        elif isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            left_out |= {id(part) for part in ast.walk(node.format_spec)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules, and what is taken out of them, that a module imports anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def faults(source: str) -> list[str]:
    """What in a page's source is not plain."""
    tree = ast.parse(source)
    marked = [f"line {text.lineno}: {text.value!r}" for text in texts(tree) if MARKUP.search(text.value)]
    return marked + [name for name in imported(tree) if f"{name}.".startswith(tuple(f"{room}." for room in RENDERERS))]


@pytest.mark.parametrize("name", sorted(path.name for path in PAGES.glob("*.py")))
def test_a_page_holds_no_markup_and_imports_no_renderer(name: str) -> None:
    assert faults((PAGES / name).read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 'a | b'",
        "x = f'**{y}**'",
        "x = 'a &#124; b'",
        "x = '<br>'",
        r"x = 'a \\ b'",
        "x = '[a](b)'",
        "x = '## Heading'",
        "x = f'{y:>4} | {z}'",
        "from bench.report.render import markdown",
        "import bench.report.render.markdown",
        "from rich.text import Text",
        "def f():\n    import html",
    ],
)
def test_markup_is_noticed(line: str) -> None:
    assert faults(line)


@pytest.mark.parametrize(
    "line",
    [
        "'''A *docstring* | of a module.'''",
        "x = f'{y:<16}'",
        "x = '<1%'",
        "x = 'run `bench doctor`'",
        "x = a | b",
        "import re",
    ],
)
def test_code_that_is_not_markup_is_let_pass(line: str) -> None:
    assert not faults(line)
