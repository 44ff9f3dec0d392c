"""Turns an Arrow IPC file into a frame of one of several libraries."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

Frame: TypeAlias = Literal["polars", "pandas", "arrow"]
"""The library whose frame an answer is."""

# The modules that each frame needs. Without a choice, the first that is installed is taken.
NEEDED: dict[Frame, list[str]] = {"polars": ["polars"], "pandas": ["pandas", "pyarrow"], "arrow": ["pyarrow"]}


def chosen(frame: Frame | None) -> Frame:
    """Returns the frame that was asked for, else the first whose libraries are installed.

    Raises `ValueError` for an unknown one, `ImportError` if a library is missing.
    """
    if frame is None:
        for frame in NEEDED:
            if not _missing(frame):
                return frame
        raise ImportError(
            "no library for data frames is installed\nhint: `pip install polars`, or pandas and pyarrow, or pyarrow"
        )
    if frame not in NEEDED:
        raise ValueError(f"frame cannot be {frame!r}\nhint: it takes {', '.join(map(repr, NEEDED))}")
    if missing := _missing(frame):
        raise ImportError(
            f"frame={frame!r} needs {' and '.join(missing)}\nhint: `pip install {' '.join(missing)}`",
            name=missing[0],
        )
    return frame


def _missing(frame: Frame) -> list[str]:
    return [module for module in NEEDED[frame] if find_spec(module) is None]


def read(file: bytes, frame: Frame) -> Any:
    """Reads an Arrow IPC file."""
    if frame == "polars":
        import polars

        return polars.read_ipc(io.BytesIO(file))
    import pyarrow

    table = pyarrow.ipc.open_file(pyarrow.BufferReader(file)).read_all()
    if frame == "arrow":
        return table
    import pandas

    # NumPy's integers have no null, and its floats are not exact.
    return table.to_pandas(types_mapper=pandas.ArrowDtype)
