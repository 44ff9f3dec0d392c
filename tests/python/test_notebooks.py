"""The module for notebooks: answers as frames of each library, options as arguments, errors as exceptions."""

import sys
import typing
from datetime import date, datetime, timezone
from decimal import Decimal

import pandas
import polars
import pyarrow
import pytest

from program import PROGRAM, ROOT, catalog, load, run

sys.path.insert(0, str(ROOT / "python"))
import wabalake  # noqa: E402

SESSIONS = """\
session_id,session_started_timestamp,session_finished_timestamp,conversation_id,conversation_version,user_country_code,user_cellphone
s1,2025-06-01 02:00:00,2025-06-01 02:01:40,417,2,57,3005550101
s2,2025-06-01 12:00:00,,417,2,57,3005550140
s3,2025-06-02 12:00:00,2025-06-02 12:00:10,418,,1,2025550140
"""
SPEND = """\
Day,Ad name,Ad ID,Amount spent (USD)
2025-06-01,Blue,120200000000000101,17.10
"""
TYPED = """
-- How each type arrives.
SELECT session_id, session_started_timestamp AS started_at, session_finished_timestamp AS finished_at, conversation_version
FROM sessions ORDER BY session_id
"""


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc)


ROWS = [
    {"session_id": "s1", "started_at": utc(2025, 6, 1, 2), "finished_at": utc(2025, 6, 1, 2, 1, 40), "conversation_version": 2},
    {"session_id": "s2", "started_at": utc(2025, 6, 1, 12), "finished_at": None, "conversation_version": 2},
    {"session_id": "s3", "started_at": utc(2025, 6, 2, 12), "finished_at": utc(2025, 6, 2, 12, 0, 10), "conversation_version": None},
]


@pytest.fixture(autouse=True)
def program(monkeypatch):
    for name in ("WABALAKE_LAKE", "WABALAKE_TIMEZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WABALAKE", str(PROGRAM))


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "sessions.csv").write_text(SESSIONS)
    (folder / "spend.csv").write_text(SPEND)
    load(folder / "lake", folder / "sessions.csv", folder / "spend.csv")
    return folder / "lake"


def stand_in(monkeypatch, folder, script):
    """Takes a shell script for the program."""
    path = folder / "stand-in"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("WABALAKE", str(path))


def dicts(answer):
    if isinstance(answer, polars.DataFrame):
        return answer.to_dicts()
    if isinstance(answer, pyarrow.Table):
        return answer.to_pylist()
    return pyarrow.Table.from_pandas(answer).to_pylist()


@pytest.mark.parametrize(
    "frame, kind", [("polars", polars.DataFrame), ("pandas", pandas.DataFrame), ("arrow", pyarrow.Table)]
)
def test_answer_has_the_same_values_in_each_frame(lake, frame, kind):
    answer = wabalake.sql(TYPED, lake=lake, frame=frame)
    assert isinstance(answer, kind)
    assert dicts(answer) == ROWS
    amounts = wabalake.sql("SELECT spend, day FROM ad_spend", lake=lake, frame=frame)
    assert dicts(amounts) == [{"spend": Decimal("17.10"), "day": date(2025, 6, 1)}]
    empty = wabalake.sql("SELECT session_id FROM sessions WHERE session_id = 'none'", lake=lake, frame=frame)
    names = empty.column_names if frame == "arrow" else list(empty.columns)
    assert (dicts(empty), names) == ([], ["session_id"])


def test_pandas_columns_have_arrow_types(lake):
    answer = wabalake.sql(TYPED, lake=lake, frame="pandas")
    assert all(isinstance(dtype, pandas.ArrowDtype) for dtype in answer.dtypes)


def test_query_takes_the_options_of_the_command_line(lake):
    answer = wabalake.query("session-duration", lake=str(lake), frame="arrow", by=["country", "day"], country=("CO", "US"))
    rows = [(row["country"], row["day"], row["sessions"], row["max_duration_seconds"]) for row in answer.to_pylist()]
    assert rows == [("CO", date(2025, 6, 1), 2, 100.0), ("US", date(2025, 6, 2), 1, 10.0)]
    first = wabalake.query("session-duration", lake=lake, frame="arrow", by="country", to=date(2025, 6, 1), limit=1, line=None)
    assert first.column("country").to_pylist() == ["CO"]
    later = wabalake.query("session-duration", lake=lake, frame="arrow", by="country", from_="2025-06-02")
    assert later.column("country").to_pylist() == ["US"]


def test_lake_is_that_of_the_environment(lake, monkeypatch):
    monkeypatch.setenv("WABALAKE_LAKE", str(lake))
    assert wabalake.sql("SELECT COUNT(*) AS n FROM sessions", frame="arrow").to_pylist() == [{"n": 3}]


def test_values_of_options_become_arguments():
    for options, expected in [
        ({"conversation_id": 417, "from_": date(2025, 6, 1)}, ["--conversation-id=417", "--from=2025-06-01"]),
        ({"in_": "delivered", "tolerance_pct": Decimal("0.5")}, ["--in=delivered", "--tolerance-pct=0.5"]),
        ({"cell": {"country": "CO", "state": ["sent", "delivered"]}}, ["--cell=country=CO", "--cell=state=sent", "--cell=state=delivered"]),
        ({"people": True, "with_people": False, "line": None, "tag": []}, ["--people"]),
        ({"store_option": ["region=eu-west-1"], "limit": -1}, ["--store-option=region=eu-west-1", "--limit=-1"]),
        # `true` and `false` are its values, and it is `true` unless told otherwise.
        ({"use_waba_timezone": False, "no_marts": True}, ["--use-waba-timezone=false", "--no-marts"]),
    ]:
        assert wabalake._arguments(options, "analytics") == expected


def test_program_takes_options_of_truth_as_they_are_passed():
    found = 0
    for query in catalog():
        for option in query["parameters"]:
            if option["values"] == ["true", "false"]:
                name = option["name"].removeprefix("--").replace("-", "_")
                run("queries", query["name"], *wabalake._arguments({name: True}, query["name"]))
                found += 1
    assert found > 4


def test_parameters_of_a_statement_are_values_or_lists(lake):
    statement = "SELECT session_id FROM sessions WHERE session_id IN (:ids) AND session_started_timestamp < :until ORDER BY 1"
    answer = wabalake.sql(statement, lake=lake, frame="arrow", params={"ids": ["s3", "s2"], "until": date(2025, 6, 2)})
    assert answer.to_pylist() == [{"session_id": "s2"}]


def test_wrong_names_are_usage_errors_with_their_hint(lake):
    with pytest.raises(wabalake.UsageError) as raised:
        wabalake.query("drop-of", lake=lake)
    error = raised.value
    assert (error.what, error.found, error.exit_code) == ("no query `drop-of`", None, 2)
    assert error.hint == "did you mean `drop-off`? `wabalake queries` lists them"
    assert str(error) == f"{error.what}\nhint: {error.hint}"
    assert isinstance(error, ValueError)
    with pytest.raises(wabalake.UsageError, match="`--by` cannot be `contry`"):
        wabalake.query("drop-off", lake=lake, by="contry")
    with pytest.raises(TypeError, match="`--format` is no option here"):
        wabalake.query("drop-off", lake=lake, format="csv")


def test_missing_lake_is_an_error_of_its_own(tmp_path):
    with pytest.raises(wabalake.WabalakeError, match="no lake at") as raised:
        wabalake.query("drop-off", lake=tmp_path / "none")
    assert not isinstance(raised.value, wabalake.UsageError)
    assert raised.value.exit_code == 1 and raised.value.hint


def test_warnings_precede_the_error_that_is_raised(monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, """
        printf 'warning: old\\n  hint: upgrade\\nerror: no column `a: b`\\n  found: c, d\\n  hint: name it: e\\n' >&2
        exit 1""")
    with pytest.raises(wabalake.WabalakeError) as raised:
        wabalake.query("drop-off")
    error = raised.value
    assert (error.what, error.found, error.hint) == ("no column `a: b`", "c, d", "name it: e")


def test_warning_of_an_answer_is_one_of_python(monkeypatch, tmp_path, lake):
    stand_in(monkeypatch, tmp_path, f"""
        printf 'warning: old\\n  hint: upgrade\\n' >&2
        exec {PROGRAM} "$@" """)
    with pytest.warns(wabalake.WabalakeWarning, match="^old\nhint: upgrade$") as warned:
        wabalake.sql("SELECT COUNT(*) FROM sessions", lake=lake)
    assert warned[0].filename == __file__


def test_stopped_program_is_an_error(monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, "kill -KILL $$")
    with pytest.raises(wabalake.WabalakeError, match="stopped by the signal SIGKILL"):
        wabalake.query("drop-off")
    stand_in(monkeypatch, tmp_path, "exit 7")
    with pytest.raises(wabalake.WabalakeError, match="exit code 7 and no message"):
        wabalake.query("drop-off")


def test_first_library_that_is_installed_is_chosen(monkeypatch):
    chosen = wabalake._frames.chosen
    assert chosen(None) == "polars"
    monkeypatch.setitem(sys.modules, "polars", None)
    assert chosen(None) == "pandas"
    with pytest.raises(ImportError, match="hint: `pip install polars`"):
        chosen("polars")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert chosen(None) == "arrow"
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="no library for data frames"):
        chosen(None)
    with pytest.raises(ImportError, match="needs pandas and pyarrow\nhint: `pip install pandas pyarrow`"):
        chosen("pandas")
    with pytest.raises(ValueError, match="it takes 'polars', 'pandas', 'arrow'"):
        chosen("spark")


def test_catalog_is_a_list_of_dictionaries():
    assert wabalake.queries() == catalog()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="`typing.get_overloads` is of 3.11")
@pytest.mark.parametrize("function", [wabalake.query, wabalake.sql])
def test_type_of_an_answer_is_that_of_the_frame(function):
    types = [(overload.__annotations__["frame"], overload.__annotations__["return"]) for overload in typing.get_overloads(function)]
    assert types == [
        ("Literal['polars']", "polars.DataFrame"), ("Literal['pandas']", "pandas.DataFrame"),
        ("Literal['arrow']", "pyarrow.Table"), ("None", "Any"),
    ]
    assert set(typing.get_args(wabalake.Frame)) == set(wabalake._frames.NEEDED)
