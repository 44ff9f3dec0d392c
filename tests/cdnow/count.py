"""Counts who came back to CDNOW, by the library `lifetimes`: makes `purchases.csv.gz` and `returns.csv`.

`tests/cdnow.rs` checks `return-rate` against these files. The library is archived, so its answer is stored and
it is no requirement of the tests. To make the files again, from the root of the repository:

    python3.11 -m venv lifetimes-venv
    lifetimes-venv/bin/pip install lifetimes==0.11.3 pandas==2.3.3
    lifetimes-venv/bin/python tests/cdnow/count.py

`purchases.csv.gz` has the customer and the day of each purchase in `datasets/CDNOW_master.txt` of `lifetimes`
(MIT licence): what 23,570 people bought at CDNOW from January 1997 until the end of June 1998, published by
Peter Fader and Bruce Hardie (https://www.brucehardie.com/datasets/).

`returns.csv` has the counts of `lifetimes.utils.summary_data_from_transaction_data`. For each customer it
returns the days from the first purchase until the last (`recency`) and until the end of the log (`T`). The end
can be chosen, so the customers with `recency == N`, where the log ends N days after the first purchase, are
those who bought on day N.
"""

import gzip
import warnings
from pathlib import Path

import pandas

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lifetimes
    from lifetimes.utils import summary_data_from_transaction_data

HERE = Path(__file__).parent
DAYS = [1, 7, 30, 90, 365, 500]
# The first day of the log, an ordinary one, and the last on which anyone bought for the first time.
FIRST_DAYS = ["1997-01-01", "1997-02-11", "1997-03-25"]


def summary(purchases, end):
    """`recency` and `T` of each customer, if the log ends on a day."""
    seen = purchases[purchases["day"] <= end]
    return summary_data_from_transaction_data(seen, "person", "day", observation_period_end=end)


def main():
    log = Path(lifetimes.__file__).parent / "datasets/CDNOW_master.txt"
    names = ["person", "day", "items", "dollars"]
    purchases = pandas.read_csv(log, sep=r"\s+", skiprows=1, header=None, names=names)
    text = purchases[["person", "day"]].to_csv(index=False, lineterminator="\n")
    (HERE / "purchases.csv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))

    purchases["day"] = pandas.to_datetime(purchases["day"], format="%Y%m%d")
    first, end = purchases.groupby("person")["day"].min(), purchases["day"].max()
    lines = ["cohort_by,mode,cohort,day_n,cohort_users,eligible_users,returned_users"]
    for month, people in summary(purchases, end).groupby(first.dt.strftime("%Y-%m-01")):
        for day in DAYS:
            eligible = people[people["T"] > day]
            returned = (eligible["recency"] >= day).sum()
            lines.append(f"month,on-or-after,{month},{day},{len(people)},{len(eligible)},{returned}")
    for mode in ("on", "within"):
        for date in map(pandas.Timestamp, FIRST_DAYS):
            cohort = purchases[purchases["person"].map(first) == date]
            for day in DAYS:
                people = summary(cohort, date + pandas.Timedelta(days=day))
                came = people["recency"] == day if mode == "on" else people["recency"] > 0
                eligible = (end - date).days > day
                counts = (len(people), len(people), came.sum()) if eligible else (len(people), 0, 0)
                lines.append(f"day,{mode},{date.date()},{day},{','.join(map(str, counts))}")
    (HERE / "returns.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
