"""The answers of wabalake as data frames.

    import wabalake

    wabalake.query("drop-off", lake="demo/lake", by="country")
    wabalake.sql("SELECT country, COUNT(*) AS n FROM sessions GROUP BY country", lake="demo/lake")

The module runs the program `wabalake` and reads its answer in Arrow's format, so values keep their types: dates,
instants in UTC, exact amounts, and counts that may be null. An answer is a frame of the first of these libraries that
is installed, or of the one that `frame` names:

    frame      library              an answer is
    polars     polars               polars.DataFrame
    pandas     pandas and pyarrow   pandas.DataFrame, its columns of Arrow types (pandas.ArrowDtype)
    arrow      pyarrow              pyarrow.Table

The program is the one that was installed with the module, else the one on the path. The environment variable
`WABALAKE` names another one.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, overload

from wabalake._frames import Frame, chosen, read
from wabalake._program import UsageError, WabalakeError, WabalakeWarning, find_program, run

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = [
    "Frame",
    "Option",
    "UsageError",
    "WabalakeError",
    "WabalakeWarning",
    "find_program",
    "queries",
    "query",
    "sql",
]

Scalar: TypeAlias = Union[str, int, float, bool, Decimal, date, "os.PathLike[str]"]
"""A value of an option. A `date` may be a `datetime`."""

Option: TypeAlias = Union[Scalar, Iterable[Scalar], Mapping[str, Scalar], None]
"""The value of an option: one, several, several as NAME=VALUE, or `None`, which leaves the option out."""

Lake: TypeAlias = Union[str, "os.PathLike[str]", None]

Params: TypeAlias = Union[Mapping[str, Union[Scalar, Iterable[Scalar]]], None]


@overload
def query(name: str, *, lake: Lake = None, frame: Literal["polars"], **options: Option) -> polars.DataFrame: ...
@overload
def query(name: str, *, lake: Lake = None, frame: Literal["pandas"], **options: Option) -> pandas.DataFrame: ...
@overload
def query(name: str, *, lake: Lake = None, frame: Literal["arrow"], **options: Option) -> pyarrow.Table: ...
@overload
def query(name: str, *, lake: Lake = None, frame: None = None, **options: Option) -> Any: ...
def query(name: str, *, lake: Lake = None, frame: Frame | None = None, **options: Option) -> Any:
    """Answers a query of the catalog, as `wabalake query NAME` does.

    `lake` is a folder or a URL on an object store, by default that of the environment variable `WABALAKE_LAKE`.
    `frame` chooses the library of the answer: `polars`, `pandas` or `arrow`.

    Every option of the command line is an argument: `--conversation-id` is `conversation_id`, and `--from` and `--in`,
    which are words of Python, are `from_` and `in_`. Several values are a list (`country=["CO", "MX"]`), several
    NAME=VALUE a dictionary (`cell={"state": "sent"}`), a date may be a `datetime.date`, and an option without a value
    is `True` (`people=True`).

        wabalake.query("delivery-rate", by=["country", "week"], from_="2025-05-01", limit=100)

    Raises `UsageError` for a name, option or value that does not exist, `WabalakeError` for a fault of the lake or of
    its data; their `hint` tells what to do. Warnings of the program are warnings of Python: `WabalakeWarning`.
    """
    return _answer(["query", name, *_arguments(options, name)], lake, frame)


@overload
def sql(
    statement: str, *, lake: Lake = None, frame: Literal["polars"], params: Params = None, **options: Option
) -> polars.DataFrame: ...
@overload
def sql(
    statement: str, *, lake: Lake = None, frame: Literal["pandas"], params: Params = None, **options: Option
) -> pandas.DataFrame: ...
@overload
def sql(
    statement: str, *, lake: Lake = None, frame: Literal["arrow"], params: Params = None, **options: Option
) -> pyarrow.Table: ...
@overload
def sql(
    statement: str, *, lake: Lake = None, frame: None = None, params: Params = None, **options: Option
) -> Any: ...
def sql(
    statement: str, *, lake: Lake = None, frame: Frame | None = None, params: Params = None, **options: Option
) -> Any:
    """Answers a SELECT over the tables of a lake, as `wabalake sql` does.

    `params` has the values of the parameters `:name`; several values are a list, for `IN (:name)`. `lake`, `frame`,
    options and errors are those of `query`.

        wabalake.sql("SELECT * FROM sessions WHERE country IN (:country)", params={"country": ["CO", "MX"]})
    """
    given = [f"--param={name}={text}" for name, value in (params or {}).items() for text in _texts(value)]
    # A statement may begin with two dashes: a comment does.
    return _answer(["sql", *given, *_arguments(options)], lake, frame, ["--", statement])


def queries() -> list[dict[str, Any]]:
    """The catalog: of each query its name, question, options, columns with types and units, and an example."""
    catalog: list[dict[str, Any]] = json.loads(run(["queries", "--format=json"])[0])
    return catalog


def _answer(command: list[str], lake: Lake, frame: Frame | None, operands: Iterable[str] = ()) -> Any:
    frame = chosen(frame)
    at = [] if lake is None else [f"--lake={os.fspath(lake)}"]
    answer, warned = run([*command, "--format=arrow", *at, *operands])
    for text in warned:
        warnings.warn(text, WabalakeWarning, stacklevel=3)
    return read(answer, frame)


def _arguments(options: Mapping[str, Option], query: str | None = None) -> list[str]:
    """The options as arguments, each value behind `=`, since it may begin with a dash."""
    arguments = []
    for name, value in options.items():
        option = "--" + name.removesuffix("_").replace("_", "-")
        if option in ("--format", "--output"):
            raise TypeError(f"`{option}` is no option here: an answer is a frame, which can write itself to a file")
        if isinstance(value, bool) and not (query and _takes_truth(option, query)):
            arguments.extend([option] if value else [])
        else:
            arguments.extend(f"{option}={text}" for text in _texts(value))
    return arguments


def _takes_truth(option: str, query: str) -> bool:
    """Whether an option of a query has the values `true` and `false`, of which one is the default. Others are given
    or not."""
    return any(
        parameter["name"] == option and parameter["default"] in ("true", "false")
        for parameter in _parameters().get(query, [])
    )


@cache
def _parameters() -> dict[str, list[dict[str, Any]]]:
    """The options of each query."""
    return {entry["name"]: entry["parameters"] for entry in queries()}


def _texts(value: Option) -> list[str]:
    """The texts of an option's values."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, date):
        return [value.isoformat()]
    if isinstance(value, (str, int, float, Decimal)):
        return [str(value)]
    if isinstance(value, os.PathLike):
        return [os.fspath(value)]
    if isinstance(value, Mapping):
        return [f"{name}={text}" for name, one in value.items() for text in _texts(one)]
    return [text for one in value for text in _texts(one)]
