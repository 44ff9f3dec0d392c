"""Ids as hashes: the lake stores the hash of a person's phone and of a session's id beside them, as 64-bit keys.

DuckDB groups and joins by keys faster than by texts. A statement may use keys if it compares the texts for equality
and for null only, and does not answer them.
"""

from sqlglot import exp

KEYS = {"user_phone": "user_key", "session_id": "session_key"}


def by_keys(tree):
    """The statement with keys in place of the ids that it only compares."""
    for id_, key in KEYS.items():
        names = holders(tree, id_)
        compared = all(is_compared(column, names, tree) for column in columns(tree, names))
        only_ids = all(yields(alias.this, names) for alias in tree.find_all(exp.Alias) if alias.alias in names)
        if compared and only_ids:
            for identifier in tree.find_all(exp.Identifier):
                if identifier.name in names:
                    identifier.set("this", identifier.name.replace(id_, key))
    return tree


def holders(tree, id_):
    """The names of columns with the id: its own, and aliases."""
    names = {id_}
    while True:
        projections = (projection(column) for column in columns(tree, names))
        found = names | {node.alias for node in projections if isinstance(node, exp.Alias)}
        if found == names:
            return names
        names = found


def columns(tree, names):
    return [column for column in tree.find_all(exp.Column) if column.name in names]


def projection(node):
    """The outermost expression that yields the column unchanged: the column, a CASE around it, their alias."""
    while True:
        parent = node.parent
        chosen = isinstance(parent, exp.If) and node.arg_key == "true"
        if chosen or isinstance(parent, exp.Case) and node.arg_key in ("ifs", "default"):
            node = parent
        else:
            return parent if isinstance(parent, exp.Alias) else node


def is_compared(column, names, tree):
    """True if equality is all that matters where the column is used."""
    node = projection(column)
    parent = node.parent
    if isinstance(parent, exp.Select):
        return parent is not tree
    if isinstance(parent, exp.Window):
        return node.arg_key == "partition_by"
    if isinstance(parent, (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)):
        return yields(parent.this, names) and yields(parent.expression, names)
    return isinstance(parent, (exp.Is, exp.Count, exp.Distinct, exp.Group))


def yields(node, names):
    """True if the expression yields only the id, or null."""
    if isinstance(node, exp.Case):
        chosen = [branch.args["true"] for branch in node.args["ifs"]] + [node.args.get("default") or exp.null()]
        return all(yields(value, names) for value in chosen)
    return isinstance(node, exp.Null) or isinstance(node, exp.Column) and node.name in names
