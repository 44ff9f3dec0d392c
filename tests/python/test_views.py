"""DuckDB reads a lake through the views of `wabalake views`, by its own delta extension."""

import csv
import json
import re
import shutil
import subprocess
import zipfile

import pytest
from pyarrow import parquet

from lakes import catalog_columns, persons, tables
from program import ENVIRONMENT, ROOT, run
from test_clients import checksums

# An environment with DuckDB, its extension, and marimo.
DUCKDB = ROOT / ".venv-duckdb"

# Runs statements in a database and prints the rows of each.
ASK = """
import json, sys, duckdb
database = duckdb.connect(sys.argv[1])
database.execute("SET timezone = 'UTC'")
rows = [database.execute(statement).fetchall() for statement in json.load(sys.stdin)]
json.dump(rows, sys.stdout, default=str)
"""

# Columns that tell of people; of some tables, other columns have the same name.
PRIVATE = {
    "user_phone", "user_id", "linked", "from", "to", "user_cellphone", "message", "first_message", "last_message",
    "button_payload", "reaction", "agent", "last_transfer_from", "whatsapp_id", "context_id", ("rejects", "raw"),
    ("variables", "value"),
}

SESSIONS = """session_id,session_started_timestamp,user_country_code,user_cellphone
new1,2025-06-20 10:00:00,57,3005550101
new2,2025-06-20 11:00:00,,CO.13491208655302741918
"""


class Database:
    """A database file that DuckDB opens anew for each call, as a program beside others does."""

    def __init__(self, home, file):
        self.home, self.file = home, file

    def environment(self):
        return ENVIRONMENT | {"HOME": str(self.home), "WHATSAPP": str(self.file)}

    def ask(self, *statements, **options):
        """The rows of each statement."""
        done = subprocess.run(
            [DUCKDB / "bin/python", "-c", ASK, self.file], input=json.dumps(statements), env=self.environment(),
            capture_output=True, text=True, timeout=120, **options,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home folder in which the extension is installed already: INSTALL downloads nothing then."""
    home = tmp_path_factory.mktemp("home")
    (extension,) = DUCKDB.glob("lib/*/site-packages/duckdb_extension_delta/extensions/*/delta.duckdb_extension")
    [[[platform]]] = Database(home, ":memory:").ask("PRAGMA platform")
    folder = home / ".duckdb/extensions" / extension.parent.name / platform
    folder.mkdir(parents=True)
    (folder / extension.name).symlink_to(extension)
    return home


@pytest.fixture(scope="session")
def old_lake(tmp_path_factory):
    """A lake that version 0.1.0 wrote: its tables lack columns that were added since."""
    lake = tmp_path_factory.mktemp("old") / "lake"
    zipfile.ZipFile(ROOT / "tests/lakes/0.1.0/lake.zip").extractall(lake)
    return lake


def settings(lake, **replaced):
    """Writes the settings that `init` suggests, with some lines replaced."""
    run("init", "--lake", lake)
    text = (lake / "wabalake.toml").read_text()
    for key, value in replaced.items():
        text, count = re.subn(rf"^#?{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count == 1, key
    (lake / "wabalake.toml").write_text(text)


@pytest.fixture(scope="module")
def nightly(home, tmp_path_factory, demo_lake):
    """A lake with marts, and a database with the views that the nightly run wrote."""
    folder = tmp_path_factory.mktemp("nightly")
    shutil.copytree(demo_lake, folder / "lake")
    settings(folder / "lake", views='"../views.sql"')
    run("nightly", "--lake", folder / "lake")
    database = Database(home, folder / "whatsapp.duckdb")
    database.ask((folder / "views.sql").read_text())
    return folder / "lake", database


@pytest.mark.parametrize("lake", ["demo_lake", "old_lake"])
def test_views_have_the_rows_and_columns_of_the_tables(lake, home, tmp_path, request):
    is_old, lake = lake == "old_lake", request.getfixturevalue(lake)
    script = run("views", "--lake", lake)
    assert script == "INSTALL delta; LOAD delta;\n" + run("views", "--lake", lake, "--no-install")
    copies = [f"COPY (SELECT * FROM lake.{name}) TO '{tmp_path / name}.parquet'" for name in tables(lake)]
    Database(home, tmp_path / "whatsapp.duckdb").ask(script, *copies)
    lacking = {}
    for name, table in tables(lake).items():
        stored, found = table.to_pyarrow_table(), parquet.read_table(tmp_path / f"{name}.parquet")
        named = [field.name for field in table.schema().fields]
        known = [column for column in found.column_names if column in named]
        shown = [column for column in catalog_columns(table) if not {column, (name, column)} & PRIVATE]
        assert known == shown + ["user_key"] * ("user_key" in named), name
        assert checksums(found.select(known)) == checksums(stored.select(known)), name
        lacking |= {(name, column): found[column] for column in found.column_names if column not in named}
        phones = set(stored["user_phone"].to_pylist()) - {None} if "user_phone" in named else set()
        texts = {text for column in found.columns if column.type == "string" for text in column.to_pylist()}
        assert not phones & texts, name
    # What a table of an older version lacks is null.
    assert (("ad_spend", "campaign_id") in lacking) == bool(lacking) == is_old
    assert all(column.null_count == len(column) for column in lacking.values())


def test_views_follow_tables_and_marts(nightly, tmp_path):
    lake, database = nightly
    asked = ['SELECT count(*), sum(sessions) FROM marts."sessions-by-day"', "SELECT count(*) FROM lake.sessions"]
    days = list(csv.DictReader(run("query", "session-duration", "--by", "day", "--lake", lake, "-f", "csv").splitlines()))
    sessions = sum(int(day["sessions"]) for day in days)
    assert database.ask(*asked) == [[[len(days), sessions]], [[sessions]]]
    (tmp_path / "new.csv").write_text(SESSIONS)
    run("load", tmp_path / "new.csv", "--lake", lake, "--quiet")
    run("nightly", "--lake", lake)
    assert database.ask(*asked) == [[[len(days) + 1, sessions + 2]], [[sessions + 2]]]
    # One with a number and one without are two people.
    people = "SELECT count(DISTINCT user_key), count(*) FROM lake.sessions WHERE session_id LIKE 'new%'"
    assert database.ask(people) == [[[2, 2]]]
    run("undo", "--lake", lake)
    run("nightly", "--lake", lake)
    assert database.ask(*asked) == [[[len(days), sessions]], [[sessions]]]


def test_views_name_people_only_if_the_settings_allow_it(home, tmp_path):
    lake, database = tmp_path / "lake", Database(home, tmp_path / "whatsapp.duckdb")
    (tmp_path / "sessions.csv").write_text(SESSIONS)
    (tmp_path / "identities.csv").write_text(
        "user_id,linked,last_seen\nCO.13491208655302741918,573005550109,2025-06-01\n"
        "CO.13491208655302741918,573005550108,2025-06-02\nCO.2,CO.13491208655302741918,\nMX.9,MX.8,\n"
    )
    run("load", tmp_path / "sessions.csv", tmp_path / "identities.csv", "--lake", lake, "--quiet")
    settings(lake, people_in_views="true")
    script = run("views", "--lake", lake)
    of_rows = "SELECT user_phone, user_id FROM lake.sessions ORDER BY session_id"
    rows, links = database.ask(script, of_rows, "SELECT * FROM lake.persons ORDER BY user_id")[1:]
    assert rows == [["573005550101", None], [None, "CO.13491208655302741918"]]
    assert links == [[link["user_id"], link["person"]] for link in persons(lake).to_pylist()]
    assert ["CO.2", "573005550108"] in links
    (lake / "wabalake.toml").unlink()
    left = database.ask(run("views", "--lake", lake), "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'lake'")
    names = {name for [name] in left[1]}
    assert "session_id" in names and not names & (PRIVATE | {"person"})


def test_dashboard_shows_the_figures_of_the_lake(nightly, tmp_path):
    lake, database = nightly
    page = tmp_path / "dashboard.html"
    done = subprocess.run(
        [DUCKDB / "bin/marimo", "export", "html", ROOT / "dashboards/overview.py", "-o", page, "--no-include-code"],
        env=database.environment(), cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    sessions = tables(lake)["sessions"].to_pyarrow_table().to_pylist()
    people = {row["user_phone"] or row["user_id"] for row in sessions} - {None}
    shown = re.findall(r"data-value='(?:\\u0026quot;)?([^'\\]*)", page.read_text())
    assert [str(len(sessions)), str(len(people))] == [shown[0], shown[2]], shown
    states = tables(lake)["deployments"].to_pyarrow_table()["delivery_status"].to_pylist()
    delivered = 100 * states.count("Delivered") / len(states)
    assert shown[3:5] == [str(len(states)), f"{delivered:.1f} %"]


def test_sql_of_the_book_runs(nightly, tmp_path):
    lake, database = nightly
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/lake").symlink_to(lake)
    blocks = []
    for page in ["parquet", "duckdb"]:
        text = (ROOT / f"docs/analyst/{page}.md").read_text()
        blocks += re.findall(r"^```sql\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    answers = database.ask(*blocks, cwd=tmp_path)
    assert len(answers) == 2 and all(answers)
