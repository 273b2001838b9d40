"""What a picture shows, as a digest in its file: the same data give the same digest with any version of matplotlib.

So a picture that shows what it showed before can be left as it is, where another version draws it in other bytes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

#: The PNG's text that holds the digest.
KEY = "Drawn"
_LENGTH = 16
#: The methods of matplotlib's artists that give what is seen of them; an artist has some of these.
_SHOWN = (
    *("get_visible", "get_alpha", "get_color", "get_facecolor", "get_edgecolor", "get_linestyle", "get_linewidth"),
    *("get_xydata", "get_marker", "get_markersize", "get_text", "get_fontsize", "get_unitless_position"),
    *("get_xscale", "get_yscale", "get_xlim", "get_ylim", "get_label_text", "get_size_inches"),
)


def digest(figure: Figure) -> str:
    """The digest of all that was drawn: lines, areas, points and texts with their colours, scales and limits.

    It holds before the figure is laid out: fonts and positions in pixels have no part in it.
    """
    text = "\n".join(_drawn(figure))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_LENGTH]


def is_same(earlier: bytes, later: bytes) -> bool:
    """Whether two PNGs show the same; False if one of them is damaged or has no digest."""
    digests = {_digest_of(earlier), _digest_of(later)}
    return len(digests) == 1 and None not in digests


def _digest_of(png: bytes) -> str | None:
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(io.BytesIO(png)) as image:
            kept = image.info.get(KEY)
            image.verify()
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for a damaged file
        return None
    return kept if isinstance(kept, str) else None


def _drawn(artist: Artist) -> Iterator[str]:
    """A line for each artist, depth first; of an axis only what was set, because versions differ in their ticks."""
    from matplotlib.axis import Axis  # noqa: PLC0415

    shown = [getattr(artist, name)() for name in _SHOWN if hasattr(artist, name)]
    if isinstance(artist, Axis):
        ticks = getattr(artist.get_major_locator(), "locs", ()), getattr(artist.get_major_formatter(), "seq", ())
        yield _text([*shown, *ticks])
        return
    yield _text([type(artist).__name__, *shown, *_outlines(artist)])
    for child in artist.get_children():
        yield from _drawn(child)


def _outlines(artist: Artist) -> Iterator[object]:
    """The corners of areas and points."""
    from matplotlib.collections import Collection  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    if isinstance(artist, Patch):
        yield artist.get_patch_transform().transform(artist.get_path().vertices)
    elif isinstance(artist, Collection):
        yield artist.get_offsets()
        yield from (path.vertices for path in artist.get_paths())


def _text(values: Iterable[object]) -> str:
    """The values in words and in numbers of six digits, however they are nested."""
    return ", ".join(_words(value) for value in values)


def _words(value: object) -> str:
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        value = value.tolist()
    if isinstance(value, list | tuple):
        return f"({_text(value)})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
