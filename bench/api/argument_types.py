"""The types of the arguments of the Python interface. Imports nothing of the project, as `__init__.pyi` imports it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

#: One name or several.
Names = str | Sequence[str]
#: One image size or several: 512 (square) or "512x768" (width x height).
Sizes = int | str | Sequence[int | str]
#: One whole number or several.
Numbers = int | Sequence[int]
#: A file or folder of results, or several.
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Allocator = Literal["native", "expandable"]
System = Literal["linux", "windows"]
