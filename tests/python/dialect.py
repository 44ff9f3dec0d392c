"""A twin in DuckDB's dialect: sqlglot's translation, corrected where DuckDB would answer otherwise or slowly."""

import sqlglot
from sqlglot import exp


def duckdb_dialect(sql):
    """The statement for a DuckDB session whose time zone is UTC."""
    return text(duckdb_tree(sql))


def text(tree):
    """The text of a DuckDB syntax tree."""
    return tree.sql("duckdb", comments=False, pretty=True)


def duckdb_tree(sql):
    """The statement's syntax tree for DuckDB."""
    tree = sqlglot.parse_one(sql, read="spark")
    # Leaves first: a replaced node keeps its corrected children.
    for node in reversed(list(tree.walk())):
        corrected = in_duckdb(node)
        if corrected is not node:
            node.replace(corrected)
    for select in tree.find_all(exp.Select):
        percentiles_at_once(select)
    return tree


def percentiles_at_once(select):
    """Computes the percentiles of a value by one aggregation, which DuckDB does not see by itself."""
    found = {}
    for call in select.find_all(exp.PercentileCont):
        if call.parent_select is select:
            found.setdefault(call.this.sql(), []).append(call)
    for calls in found.values():
        fractions = exp.array(*(call.expression.copy() for call in calls))
        for place, call in enumerate(calls if len(calls) > 1 else [], start=1):
            together = exp.func("quantile_cont", call.this.copy(), fractions.copy())
            call.replace(exp.func("list_extract", together, exp.Literal.number(place)))


def in_duckdb(node):
    """DuckDB's expression for a node of Spark's."""
    # from_utc_timestamp: the local time of an instant. The time zone UTC needs no slow conversion.
    if isinstance(node, exp.AtTimeZone) and isinstance(node.this, exp.Cast):
        instant, zone = node.this.this, node.args["zone"]
        if zone.name == "UTC":
            return exp.func("make_timestamp", exp.func("epoch_us", instant))
        return exp.AtTimeZone(this=instant, zone=zone)
    # to_utc_timestamp: the instant at which clocks of the time zone show a local time.
    if isinstance(node, exp.FromTimeZone):
        local = exp.cast(node.this.this, "TIMESTAMP")
        return exp.AtTimeZone(this=local, zone=node.args["zone"])
    # DuckDB's percentile sorts by itself; an ORDER BY within it would sort twice.
    if isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.PercentileCont):
        value = node.expression.expressions[0].this
        # That of integers is a double by itself.
        value = value.this if isinstance(value, exp.Cast) and value.is_type("double") else value
        return exp.PercentileCont(this=value, expression=node.this.this)
    # DuckDB's count_if is null where there is no row; Spark's is 0.
    of_rows = node.this if isinstance(node, exp.Filter) else node
    if isinstance(of_rows, exp.CountIf) and not isinstance(node.parent, exp.Filter):
        return exp.Coalesce(this=node.copy(), expressions=[exp.Literal.number(0)])
    # A date is the day of a timestamp.
    if isinstance(node, exp.Cast) and node.is_type("date") and isinstance(node.this, exp.TimestampTrunc | exp.DateTrunc):
        if node.this.unit.name.upper() == "DAY":
            return exp.cast(node.this.this.copy(), "DATE")
    if isinstance(node, exp.Anonymous) and node.name.lower() == "timestamp_micros":
        return exp.func("make_timestamptz", *node.expressions)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "pmod":
        number, divisor = map(exp.paren, node.expressions)
        return exp.paren((number % divisor + divisor) % divisor)
    return node
