"""A document as the files of one format: pages of markdown, a page of HTML or JSON, or one CSV file for each table."""

from __future__ import annotations

from bench.report.document import Document
from bench.report.render import csv_tables, html_page, json_text, long_pages, markdown

_PAGES = {"html": (".html", html_page.render), "json": (".json", json_text.render)}


def render(stem: str, document: Document, form: str) -> dict[str, bytes]:
    """The files of a document by name, as markdown, html, json or csv; `stem` is the page's name, such as `hybrid`.

    A long document is several pages of markdown.
    """
    if form == "csv":
        files = csv_tables.render(stem, document)
    elif form == "markdown":
        parts = long_pages.divided(stem, document)
        files = {f"{name}.md": markdown.render(part) for name, part in parts.items()}
    else:
        ending, render_page = _PAGES[form]
        files = {f"{stem}{ending}": render_page(document)}
    return {name: text.encode() for name, text in files.items()}
