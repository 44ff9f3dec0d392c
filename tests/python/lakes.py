"""A lake as other Delta readers see it: folders of Delta tables."""

from datetime import datetime, timezone
from pathlib import Path

import pyarrow
from deltalake import DeltaTable

# Stored beside the columns of the catalog, for wabalake's own use.
HELPERS = {
    "utc_day", "user_phone_valid", "user_key", "session_key", "message_key", "closure_id", "closure_key",
    "conversion_key", "tag_key", "identity_key", "period_days", "shortest_period_days", "spend_least", "spend_greatest",
}
# Of these, what no expression over the columns tells and a check looks at.
CHECKED = {"user_phone_valid", "spend_least", "spend_greatest"}

LOADS = pyarrow.schema({
    "file_id": pyarrow.string(), "kind": pyarrow.string(), "loaded_at": pyarrow.timestamp("us", "UTC"),
    "records": pyarrow.int64(), "rejected": pyarrow.int64(), "with_sentinel": pyarrow.int64(),
    "window_from": pyarrow.date32(), "window_to": pyarrow.date32(),
})


def tables(lake):
    """Every table of the lake by name: a folder in which something was committed."""
    logs = sorted(Path(lake).glob("tables/*/_delta_log"))
    folders = [log.parent for log in logs if any(log.glob("*.json"))]
    return {folder.name: DeltaTable(folder) for folder in folders}


def data_tables(lake):
    """The tables that exports are loaded into, which are those that queries read."""
    return {name: table for name, table in tables(lake).items() if name not in ("rejects", "runs")}


def catalog_columns(table):
    """The columns that the catalog names, in their order."""
    return [field.name for field in table.schema().fields if field.name not in HELPERS]


def viewed_columns(table):
    """Those, and what checks look at that no expression over them tells."""
    named = [field.name for field in table.schema().fields]
    return catalog_columns(table) + [name for name in named if name in CHECKED]


PERSONS = pyarrow.schema({"user_id": pyarrow.string(), "person": pyarrow.string()})

# Of rows that are one by their person, the first by these expressions and then by all columns is read.
NEWER = {
    "deployments": [
        "CASE WHEN delivery_status IN ('Delivered', 'Failed') THEN 2 WHEN delivery_status = 'Sent' THEN 1"
        " WHEN delivery_status = 'In Process' THEN 0 ELSE -1 END",
        "CASE WHEN user_responded_timestamp IS NULL THEN 0 ELSE 1 END",
        "CASE WHEN session_id IS NULL THEN 0 ELSE 1 END",
    ],
    "agent_chats": ["finished_at", "last_message_at", "assigned_at"],
    "audience_tags": [],
}
KEYS = {
    "deployments": ["user_phone", "conversation_id", "conversation_version", "deployment_timestamp"],
    "agent_chats": ["user_phone", "created_at"],
    "audience_tags": ["user_phone", "tag"],
}


def persons(lake):
    """The person of each user id that the table `identities` names."""
    links = []
    if "identities" in data_tables(lake):
        links = data_tables(lake)["identities"].to_pyarrow_table().to_pylist()
    group = {}
    for link in links:
        for name in [link["user_id"], link["linked"]] if link["kind"] == "user" else [link["user_id"]]:
            group.setdefault(name, {name})
        if link["kind"] == "user":
            joined = group[link["user_id"]] | group[link["linked"]]
            group |= dict.fromkeys(joined, joined)
    rows = []
    for user_id in sorted(group):
        phones = [link for link in links if link["kind"] == "phone" and link["user_id"] in group[user_id]]
        earliest, latest = datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)
        if phones:
            last = max(link["last_seen"] or earliest for link in phones)
            person = min(link["linked"] for link in phones if (link["last_seen"] or earliest) == last)
        else:
            first = lambda name: min(
                link["first_seen"] or latest for link in links if name in (link["user_id"], link["linked"])
            )
            person = min(group[user_id], key=lambda name: (first(name), name))
        rows.append({"user_id": user_id, "person": person})
    return pyarrow.Table.from_pylist(rows, schema=PERSONS)


def seen(name, columns, quote):
    """The SELECT that shows persons, from the view `stored_NAME`, in any dialect with that quote."""
    quoted = [f"{quote}{column}{quote}" for column in columns]
    person = "coalesce(people.person, each_row.user_phone, each_row.user_id) AS user_phone"
    shown = [person if column == "user_phone" else f"each_row.{quoted[at]}" for at, column in enumerate(columns)]
    rows = f"""
        SELECT {", ".join(shown)} FROM stored_{name} AS each_row
        LEFT JOIN persons AS people ON people.user_id = coalesce(each_row.user_phone, each_row.user_id)
    """
    if name not in KEYS:
        return rows
    order = ", ".join(f"{rank} DESC NULLS LAST" for rank in NEWER[name] + quoted)
    return f"""
        SELECT {", ".join(quoted)} FROM (
            SELECT *, row_number() OVER (PARTITION BY {", ".join(KEYS[name])} ORDER BY {order}) AS place
            FROM ({rows}) AS shown
        ) AS placed WHERE place = 1
    """


def loads(lake):
    """What was loaded and not taken back, as the commits tell it: a row for each file and table."""
    rows = []
    for name, table in data_tables(lake).items():
        undone, met = set(), set()
        for commit in table.history():
            if commit.get("command") == "undo":
                undone.add(commit["undoes"])
            if commit.get("command") != "load" or commit["load_id"] in undone:
                continue
            at = datetime.fromtimestamp(commit["timestamp"] / 1000, timezone.utc)
            for file in commit["files"]:
                if file["file_id"] not in met:
                    met.add(file["file_id"])
                    counts = [file[count] for count in ("rows_read", "rows_rejected", "rows_with_sentinel")]
                    window = [file.get(end) for end in ("window_from", "window_to")]
                    window = [date and datetime.fromisoformat(date).date() for date in window]
                    rows.append((file["file_id"], name, at, *counts, *window))
    columns = list(zip(*rows)) or [()] * len(LOADS)
    return pyarrow.table([pyarrow.array(list(cells), kind) for cells, kind in zip(columns, LOADS.types)], schema=LOADS)
