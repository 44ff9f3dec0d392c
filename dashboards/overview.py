"""A dashboard for marimo over the views that `wabalake views` writes for DuckDB.

It shows people and sessions of the tables, and the four marts that `wabalake init` suggests. From the
database in WHATSAPP, or `whatsapp.duckdb`:

    WHATSAPP=whatsapp.duckdb marimo run dashboards/overview.py
"""

import marimo

app = marimo.App(width="medium", app_title="WhatsApp conversations")


@app.cell
def _():
    import os

    import altair
    import duckdb
    import marimo as mo

    database = duckdb.connect(os.environ.get("WHATSAPP", "whatsapp.duckdb"), read_only=True)

    def ask(sql, *values):
        """The rows of a query, each by its columns' names. Dates are texts, as charts take them."""
        answer = database.execute(sql, values)
        names = [column[0] for column in answer.description]
        text = lambda cell: cell.isoformat() if hasattr(cell, "isoformat") else cell
        return [dict(zip(names, map(text, row))) for row in answer.fetchall()]

    def chart(title, rows):
        return altair.Chart(altair.Data(values=rows), title=title).properties(width="container", height=220)

    return ask, chart, mo


@app.cell
def _(ask, mo):
    countries = [row["country"] for row in ask("SELECT DISTINCT country FROM lake.sessions ORDER BY 1")]
    country = mo.ui.dropdown(["all", *filter(None, countries)], value="all", label="Country")
    mo.vstack([mo.md("# WhatsApp conversations"), country])
    return (country,)


@app.cell
def _(ask, country, mo):
    # A hash of the phone number counts people without naming them.
    (_sessions,) = ask(
        """
        SELECT count(*) AS sessions, count(DISTINCT user_key) AS people,
               count(*) FILTER (session_type = 'Inbound') AS inbound
        FROM lake.sessions WHERE $1 IN ('all', country)
        """,
        country.value,
    )
    (_sends,) = ask(
        """
        SELECT count(*) AS sends, round(100 * avg((delivery_status = 'Delivered')::INTEGER), 1) AS delivered
        FROM lake.deployments WHERE $1 IN ('all', country)
        """,
        country.value,
    )
    mo.hstack([
        mo.stat(_sessions["sessions"], label="Sessions", bordered=True),
        mo.stat(_sessions["inbound"], label="Inbound sessions", bordered=True),
        mo.stat(_sessions["people"], label="People", bordered=True),
        mo.stat(_sends["sends"], label="Sends", bordered=True),
        mo.stat("–" if _sends["delivered"] is None else f"{_sends['delivered']} %", label="Delivered", bordered=True),
    ])
    return


@app.cell
def _(ask, chart):
    _days = ask('SELECT day, sessions FROM marts."sessions-by-day" ORDER BY day')
    chart("Sessions by day", _days).mark_bar().encode(x="day:T", y="sessions:Q", tooltip=["day:T", "sessions:Q"])
    return


@app.cell
def _(ask, chart):
    _days = ask('SELECT day, delivered_pct FROM marts."deliveries-by-day" ORDER BY day')
    chart("Sends delivered, %", _days).mark_line(point=True).encode(
        x="day:T", y="delivered_pct:Q", tooltip=["day:T", "delivered_pct:Q"]
    )
    return


@app.cell
def _(ask, chart):
    _weeks = ask('SELECT cohort, day_n, return_rate_pct FROM marts."return-rate-by-week"')
    chart("Came back within so many days of their first week, %", _weeks).mark_rect().encode(
        x="day_n:O", y="cohort:O", color="return_rate_pct:Q", tooltip=["cohort:O", "day_n:O", "return_rate_pct:Q"]
    )
    return


@app.cell
def _(ask, mo):
    mo.ui.table(
        ask('SELECT state, deployments, users, advice FROM marts."failure-reasons" ORDER BY deployments DESC, state'),
        label="Why sends fail, and what to do",
    )
    return


if __name__ == "__main__":
    app.run()
