"""The JavaScript and style sheets that the page carries, from the Python packages that bring them."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from bench.errors import PackageError

#: Ends the script element even inside a string of JavaScript, or begins a state in which nothing ends it (HTML,
#: "Restrictions for contents of script elements").
_ENDS_A_SCRIPT = re.compile(r"<(?=/script|!--|script)", re.IGNORECASE)
_TABLES, _PLOTS = Path("html"), Path("server/static/js")


def tables_script() -> str:
    """DataTables as an ES module, with its extensions and jQuery. Raises PackageError."""
    return script_text(_read("itables", _TABLES / "dt_bundle.js"))


def tables_style() -> str:
    """The style sheet of DataTables. Raises PackageError."""
    return _read("itables", _TABLES / "dt_bundle.css")


def plots_scripts() -> tuple[str, ...]:
    """BokehJS and its interface for plots made in the browser. Raises PackageError."""
    return tuple(script_text(_read("bokeh", _PLOTS / name)) for name in ("bokeh.min.js", "bokeh-api.min.js"))


@cache
def script_text(text: str) -> str:
    """JavaScript that can stand in a script element: `<` is written `\\x3c` where it could end the element.

    Only strings hold such text in a program, and there both spellings mean the same.
    """
    return _ENDS_A_SCRIPT.sub(r"\\x3c", text)


def _read(package: str, path: Path) -> str:
    """A file of an installed package, which is not imported: that would take seconds."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise PackageError(f"The page needs {package}, which is not installed. Install it: pip install {package}")
    try:
        return _text(Path(next(iter(folders))) / path)
    except OSError as error:
        raise PackageError(
            f"The page needs {path} of {package}, which can't be read ({error.strerror}). "
            f"Install it again: pip install --force-reinstall {package}"
        ) from None


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
