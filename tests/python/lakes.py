"""A lake as other programs see it: folders of Delta tables."""

from pathlib import Path

from deltalake import DeltaTable

# Stored beside the columns of the catalog, for wabalake's own use.
HELPERS = {
    "utc_day", "user_phone_valid", "user_key", "session_key", "message_key", "closure_id", "closure_key",
    "conversion_key", "tag_key",
}


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


def rows(lake):
    """The rows of every table, each as a sorted list of tuples: equal if the lakes are."""
    found = {}
    for name, table in data_tables(lake).items():
        frame = table.to_pyarrow_table(columns=catalog_columns(table))
        found[name] = sorted(zip(*(column.to_pylist() for column in frame.columns)), key=repr)
    return found
