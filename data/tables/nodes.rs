//! Nodes of flows: one row for each node of a version of a flow, or of all its versions.
//!
//! Loaded from a file of the business's own. A node without a version belongs to every version of the flow.
//! The node that a session reached is the row of the session's version, else the row without a version. A
//! later revision of a row wins.
//!
//! ```text
//! conversation_id  conversation_version  node_id  label          position  is_final  question
//! 7                                      n3       Choose a plan  3         no        plan
//! 7                2                     n3       Pick a plan    2         no        plan      in version 2
//! ```

use polars::prelude::*;

use crate::table::{BLANK, Cell, CellKind, Column, Row, Table, columns, positions};

/// The table's name.
pub const NAME: &str = "nodes";

columns! {
    /// The id of the flow.
    CONVERSATION_ID = "conversation_id",
    /// The flow's version; null for every version.
    CONVERSATION_VERSION = "conversation_version",
    /// The id of the node.
    NODE_ID = "node_id",
    /// The node's label, for people to read.
    LABEL = "label",
    /// The node's place in a flow without branches.
    POSITION = "position",
    /// `true` if the flow ends here.
    IS_FINAL = "is_final",
    /// The name of the variable that holds the answer to the node's question.
    QUESTION = "question",
    /// The version of the row, 0 if the file has none: the greatest counts.
    REVISION = "revision",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a list of the nodes of flows",
    columns: &[
        Column::new(CONVERSATION_ID, CellKind::Word).required(),
        Column::new(CONVERSATION_VERSION, CellKind::Integer),
        Column::new(NODE_ID, CellKind::Word).required(),
        Column::new(LABEL, CellKind::Text).term(),
        Column::new(POSITION, CellKind::Integer),
        Column::new(IS_FINAL, CellKind::Boolean),
        // The kind of `name` in `variables`: equal cells are equal texts.
        Column::new(QUESTION, CellKind::Text).term(),
        Column::new(REVISION, CellKind::Count),
    ],
    key: &[CONVERSATION_ID, CONVERSATION_VERSION, NODE_ID],
    precedence: || vec![col(REVISION)],
    sort: &[CONVERSATION_ID, CONVERSATION_VERSION, POSITION, NODE_ID],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions!(REVISION_CELL = REVISION);
    if row.cells[REVISION_CELL].is_null() {
        row.cells[REVISION_CELL] = Cell::Count(0);
    }
}
