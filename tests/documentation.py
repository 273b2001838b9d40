"""What README, docs/ and the like contain: commands, inline code, links; and what tests run in place of commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    *sorted(path.name for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
#: Languages of fenced blocks that are for a shell. A block without one is if it begins with one of the programs.
_SHELLS = {"sh", "bash", "shell", "console"}
PROGRAMS = ("bench", "make", "pip", "python", "ray", "export")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its document, the line of its first line, its language and its text."""

    document: str
    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class DocumentedCommand:
    """A line of a shell block, without its comment and redirection; `variables` were exported before it."""

    document: str
    line: int
    text: str
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> list[str]:
        """The program and its arguments."""
        return shlex.split(self.text)

    def __str__(self) -> str:
        return f"{self.document}:{self.line} {self.text}"


@cache
def text_of(document: str) -> str:
    """The text of a document."""
    return (ROOT / document).read_text(encoding="utf-8")


@cache
def _tokens(document: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text_of(document))


def blocks(document: str) -> Iterator[Block]:
    """The fenced blocks of a document."""
    for token in _tokens(document):
        if token.type == "fence" and token.map:
            yield Block(document, token.map[0] + 2, token.info.strip(), token.content)


def _inline(document: str) -> Iterator[Token]:
    for token in _tokens(document):
        yield from token.children or ()


def python(document: str) -> list[str]:
    """The Python that a document shows a user; `py` marks what is code of this project."""
    return [block.text for block in blocks(document) if block.language == "python"]


def code(document: str) -> set[str]:
    """The inline code of a document."""
    return {token.content for token in _inline(document) if token.type == "code_inline"}


def links(document: str) -> set[str]:
    """The addresses of a document's links and pictures."""
    names = {"link_open": "href", "image": "src"}
    return {str(token.attrs[names[token.type]]) for token in _inline(document) if token.type in names}


def anchors(document: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _lines(block: Block) -> Iterator[tuple[int, str]]:
    """The command lines of a block with their numbers, continued lines joined; of a console only what is typed."""
    begun = ""
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if block.language == "console" and not begun and not line.startswith("$ "):
            continue
        text = f"{begun}{line.removeprefix('$ ') if block.language == 'console' else line}"
        if text.endswith("\\"):
            begun = text[:-1]
            continue
        begun = ""
        if command := _without_comment(text):
            yield number, command
    assert not begun, f"{block.document}:{block.line}: the last line is continued"


def _without_comment(line: str) -> str:
    """The command of a line: no comment, no redirection of its output."""
    outside = re.match(r"""(?:'[^']*'|"[^"]*"|[^'"#>]|(?<=\S)[#>])*""", line)
    return outside[0].strip() if outside else ""


def is_for_a_shell(block: Block) -> bool:
    """Whether the block's lines are commands."""
    first = block.text.split(maxsplit=1)[:1]
    return block.language in _SHELLS or (not block.language and first != [] and first[0] in PROGRAMS)


def commands(document: str) -> Iterator[DocumentedCommand]:
    """The commands in a document's blocks, in order."""
    for block in filter(is_for_a_shell, blocks(document)):
        variables: dict[str, str] = {}
        for number, text in _lines(block):
            if text.startswith("export "):
                name, _, value = text.removeprefix("export ").partition("=")
                variables[name] = value
            else:
                yield DocumentedCommand(document, number, text, tuple(variables.items()))


#: A volunteer's bundle in the documents, and one of a stand-in for a GPU.
BUNDLE, STAND_IN_BUNDLE = "nvidia-geforce-rtx-3090-20261129T201500Z.bench.tar.gz", "standin.bench.tar.gz"
#: What a test runs instead of what takes a GPU, a hub, a network or minutes: a pattern, and what replaces it, in turn.
#: The name of a full model stays where it is quick: names are documented too.
REPLACED: tuple[tuple[str, str], ...] = (
    # measures on this machine: the plan alone, but for a sweep of seconds
    (r"^bench run smoke$", "bench run smoke --quiet --device cpu"),
    (r"^(bench run\b.* --devices\b.*)$", r"\1 --dry-run"),
    (r"^(bench run\b(?!.* --quiet)(?:(?! --dry-run).)*)$", r"\1 --dry-run --device cpu"),
    (r"^(bench best\b(?:(?! --dry-run).)*)$", r"\1 --dry-run --device cpu"),
    (r"^(bench latents\b(?:(?! --dry-run).)*)$", r"\1 --dry-run --gpu 4090"),
    (r"^(bench quality .*) --image \S+", r"\1"),
    (r"^(bench remote(?: loopback-text)? --loopback)$", r"\1 --dry-run"),
    # a full model where even its trace takes seconds
    (r"--model sd-v1 --resolution 512 --measured", "--model tiny --resolution 64 --measured"),
    (r"--model (t5-xxl|flux2-text)(?= )", r"--model tiny-\1"),
    (r"^(bench (?:predict|advise) .*)--model (sdxl|flux)-txt2img", r"\1--model tiny-\2-txt2img"),
    # a trace for each size that is tried
    (r"--fits --model tiny-sdxl-txt2img", "--fits --model sdxl"),
    (r"^bench predict video --model ltx-video --frames 97", "bench predict video-cpu --model tiny-wan --frames 1"),
    (r"^(bench calibrate)$", r"\1 --model tiny --resolution 64"),
    # the published figures, to which the models are fitted again for their pages
    (r"^bench report( results)?(?= --|$)", "bench report before"),
    # a page that says what the results say, since each command has a folder of its own
    (r"^(bench docs update overview.md)(?: --results mine)? --check$", r"\1 --check --results results/published"),
    # the hub: a folder with a checkpoint's configuration
    (r"--weights hub:\S+", "--weights my-vae"),
    # an endpoint elsewhere: one on this machine, with tiny models, asked little
    (r"https?://(?:host|host\.example)(?::8000)?(?P<path>/decode|/predict)?(?=\s|$)", "{endpoint}"),
    (r"sd-v1/decode={endpoint}", "tiny/decode={endpoint}/tiny/decode"),
    (
        r"(remote-text .*) flux2-text/encode-text={endpoint}",
        r"\1 {endpoint} --model tiny-flux2-text --transport predict --set batch=1",
    ),
    (
        r"--model wan-2.1 --resolution 832x480 --frames 81$",
        "--model tiny-wan --resolution 64 --frames 5 --transport pt",
    ),
    (r"^(bench remote --endpoint (?!.*--model).*)$", r"\1 --model tiny --resolution 64 --transport jpg"),
    (r"^(bench remote (?:remote-text )?--endpoint .*)$", r"\1 --set repeats=1 --set measure.few_samples=1"),
    (r"--load-seconds 30", "--load-seconds 0.5"),
    # measures for minutes: its plan
    (r"^(bench contribute)\b.*$", r"\1 --dry-run --device cpu"),
    # results of somebody else
    (r"^(bench merge) theirs\.jsonl", r"\1 theirs"),
    # a shell finds these
    (r"^(bench accept) \*\.bench\.tar\.gz", rf"\1 {BUNDLE}"),
    # replicas, which take a Ray cluster: test_serve_on_ray.py has them
    (r"^bench serve --on ray .*", "bench serve --model tiny"),
    (r"^(bench serve) --model sd-v1 --model sdxl --weights hub", r"\1 --model tiny"),
    (r"^(bench serve --model tiny-flux2-text) --weights hub", r"\1"),
)


def replaced(command: str) -> tuple[str, set[str]]:
    """The command that a test runs for this one, and the patterns that replaced something."""
    patterns = set()
    for pattern, replacement in REPLACED:
        command, count = re.subn(pattern, replacement, command)
        patterns |= {pattern} if count else set()
    return command, patterns
