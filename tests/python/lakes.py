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
                    rows.append((file["file_id"], name, at, *counts))
    columns = list(zip(*rows)) or [()] * len(LOADS)
    return pyarrow.table([pyarrow.array(list(cells), kind) for cells, kind in zip(columns, LOADS.types)], schema=LOADS)
