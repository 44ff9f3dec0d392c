"""Do people come back as another library counts them, on a log that others know?

The log is CDNOW's: what 23,570 people bought there from 1997 on, until the end of June 1998. It comes
with `lifetimes`, which tells of each person how long they have been there (`T`, in days), and how
long after their first day their last one was (`recency`); of any time that one says is the end.
"""

import csv
import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import pandas
import pytest

from program import load, run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lifetimes.utils import summary_data_from_transaction_data

DAYS = [1, 7, 30, 90, 365, 500]
# The first day of the log, an ordinary one, the last on which somebody came for the first time.
FIRST_DAYS = ["1997-01-01", "1997-02-11", "1997-03-25"]


@pytest.fixture(scope="module")
def purchases():
    log = Path(find_spec("lifetimes").origin).parent / "datasets/CDNOW_master.txt"
    names = ["person", "day", "items", "dollars"]
    rows = pandas.read_csv(log, sep=r"\s+", skiprows=1, header=None, names=names)
    return rows.assign(day=pandas.to_datetime(rows["day"], format="%Y%m%d"))


@pytest.fixture(scope="module")
def lake(purchases, tmp_path_factory):
    """A visit for each purchase."""
    folder = tmp_path_factory.mktemp("cdnow")
    visits = pandas.DataFrame({
        "session_id": [f"purchase-{number}" for number in purchases.index],
        "session_started_timestamp": purchases["day"].dt.strftime("%Y-%m-%dT12:00:00Z"),
        "session_type": "Inbound",
        # Patterned, and of no country.
        "user_cellphone": [f"999000{person:06}" for person in purchases["person"]],
    })
    visits.to_csv(folder / "sessions.csv", index=False)
    report = load(folder / "lake", folder / "sessions.csv")
    assert sum(file["rows_new"] for file in report["files"]) == len(purchases) == 69_659
    return folder / "lake"


def ask(lake, *arguments):
    """Of each cohort and day: who is in it, who is eligible, who returned."""
    days = ",".join(map(str, DAYS))
    text = run("query", "return-rate", *arguments, "--days", days, "--lake", lake, "-f", "csv")
    counts = ("cohort_users", "eligible_users", "returned_users")
    return {
        (row["cohort"], int(row["day_n"])): tuple(int(row[count]) for count in counts)
        for row in csv.DictReader(io.StringIO(text))
    }


def people(purchases, end=None):
    """What `lifetimes` tells of each person, with the month of their first purchase."""
    last = purchases["day"].max() if end is None else end
    told = summary_data_from_transaction_data(
        purchases[purchases["day"] <= last], "person", "day", observation_period_end=last
    )
    return told.assign(first=purchases.groupby("person")["day"].min())


def test_months_that_come_back_on_a_day_or_later(lake, purchases):
    told = people(purchases)
    expected = {}
    for month, cohort in told.groupby(told["first"].dt.strftime("%Y-%m-01")):
        for day in DAYS:
            eligible = cohort[cohort["T"] > day]
            returned = (eligible["recency"] >= day).sum()
            expected[month, day] = (len(cohort), len(eligible), returned)
    assert len(expected) == 3 * len(DAYS)
    assert ask(lake, "--cohort", "month", "--mode", "on-or-after") == expected


@pytest.mark.parametrize("mode", ["on", "within"])
def test_days_that_come_back_on_or_within_a_day(mode, lake, purchases):
    first = purchases.groupby("person")["day"].min()
    found = ask(lake, "--cohort", "day", "--mode", mode)
    for date in map(pandas.Timestamp, FIRST_DAYS):
        cohort = purchases[purchases["person"].map(first) == date]
        for day in DAYS:
            # As if the log ended on that day.
            told = people(cohort, date + pandas.Timedelta(days=day))
            came = told["recency"] == day if mode == "on" else told["recency"] > 0
            age = (purchases["day"].max() - date).days
            eligible = len(told) if age > day else 0
            expected = (len(told), eligible, came.sum() if eligible else 0)
            assert found[str(date.date()), day] == expected, (date, day)
