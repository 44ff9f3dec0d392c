"""A twin in DuckDB's dialect: sqlglot's translation from Spark's, corrected where its answer is another or comes slowly."""

import sqlglot
from sqlglot import exp


def duckdb_dialect(sql):
    """The statement for a DuckDB session whose time zone is UTC."""
    return text(duckdb_tree(sql))


def text(tree):
    """The text of a tree that is DuckDB's."""
    return tree.sql("duckdb", comments=False, pretty=True)


def duckdb_tree(sql):
    """The statement's syntax tree, its nodes as DuckDB needs them."""
    return sqlglot.parse_one(sql, read="spark").transform(in_duckdb)


def in_duckdb(node):
    """What DuckDB is given for a node of Spark's."""
    # from_utc_timestamp: the local time of an instant. By the zone UTC, DuckDB would be slow.
    if isinstance(node, exp.AtTimeZone) and isinstance(node.this, exp.Cast):
        instant, zone = node.this.this, node.args["zone"]
        if zone.name == "UTC":
            return exp.func("make_timestamp", exp.func("epoch_us", instant))
        return exp.AtTimeZone(this=instant, zone=zone)
    # to_utc_timestamp: the instant at which a zone's clock shows a local time.
    if isinstance(node, exp.FromTimeZone):
        local = exp.cast(node.this.this, "TIMESTAMP")
        return exp.AtTimeZone(this=local, zone=node.args["zone"])
    # A percentile sorts by itself: DuckDB would sort for an ORDER BY as well.
    if isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.PercentileCont):
        value = node.expression.expressions[0].this
        return exp.func("quantile_cont", value, node.this.this)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "timestamp_micros":
        return exp.func("make_timestamptz", *node.expressions)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "pmod":
        number, divisor = map(exp.paren, node.expressions)
        return exp.paren((number % divisor + divisor) % divisor)
    return node
