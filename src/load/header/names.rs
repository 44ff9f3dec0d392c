//! Matches titles with columns.

use wabalake_data::cells::DecimalMark;
use wabalake_data::cells::normalise_header;
use wabalake_data::tables::{CURRENCY, CellKind};
use wabalake_data::words::likeness;
use wabalake_data::{Column, TABLES, Table};

/// Returns `true` if a rename is meant for a title. `from` may omit the currency.
pub(super) fn is_meant(from: &str, title: &str) -> bool {
    let from = normalise_header(from);
    from == normalise_header(title)
        || in_currency(title).is_some_and(|(name, _)| normalise_header(name) == from)
}

/// Applies renames to titles. A currency in a title is kept.
pub(super) fn renamed(own: &[String], renames: &[(String, String)]) -> Vec<String> {
    let mut cells = own.to_vec();
    for (from, to) in renames.iter().rev() {
        let is_exact = |title: &String| normalise_header(title) == normalise_header(from);
        let exact = own.iter().any(is_exact);
        for (title, cell) in own.iter().zip(&mut cells) {
            if is_exact(title) || (!exact && is_meant(from, title)) {
                *cell = match in_currency(title) {
                    Some((_, currency)) if in_currency(to).is_none() && is_money(to) => {
                        format!("{to} ({currency})")
                    }
                    _ => to.clone(),
                };
            }
        }
    }
    cells
}

/// Returns `true` if a title is that of an amount.
fn is_money(title: &str) -> bool {
    let mut columns = TABLES.iter().flat_map(|table| table.exported());
    columns.any(|column| matches!(column.kind, CellKind::Money) && column.is_named(title))
}

/// Returns `true` if a title names a column. Titles of amounts may have a currency.
pub(crate) fn names(column: &Column, cell: &str) -> bool {
    column.is_named(cell)
        || matches!(column.kind, CellKind::Money)
            && in_currency(cell).is_some_and(|(name, _)| column.is_named(name))
}

/// Returns `true` if a title names a column of stamps exactly. Other titles of it, which may be those of
/// texts, are not read then: `last_message` beside `last_message_at`.
pub(super) fn is_replacing(column: &Column, cell: &str) -> bool {
    matches!(column.kind, CellKind::StampOrText)
        && normalise_header(column.name) == normalise_header(cell)
}

/// Splits `Amount spent (COP)` into the title and the currency.
pub(super) fn in_currency(cell: &str) -> Option<(&str, &str)> {
    let (name, unit) = cell.trim().strip_suffix(')')?.rsplit_once('(')?;
    let currency = match unit.trim() {
        "$" | "US$" => "USD",
        "€" => "EUR",
        "£" => "GBP",
        "R$" => "BRL",
        code if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) => code,
        _ => return None,
    };
    Some((name, currency))
}

/// Returns the index of the currency cell, and the currency in a title or the table's default.
pub(super) fn currency(
    table: &Table,
    places: &[Option<usize>],
    cells: &[String],
) -> Option<(usize, String)> {
    let at = table.position(CURRENCY)?;
    let amounts = table.cells().zip(places).filter(|(c, _)| matches!(c.kind, CellKind::Money));
    let mut said = amounts.filter_map(|(_, place)| in_currency(&cells[(*place)?]));
    let currency = said.next().map(|(_, currency)| currency).or(table.currency)?;
    Some((at, currency.to_owned()))
}

/// Returns the decimal mark of the titles' language; `None` if they are in several languages.
pub(super) fn language(table: &Table, cells: &[String]) -> Option<DecimalMark> {
    let mut marks = cells.iter().filter_map(|cell| (table.decimal_mark)(cell));
    let first = marks.next()?;
    marks.all(|mark| mark == first).then_some(first)
}

/// Returns the first column that a file must have and lacks.
pub(super) fn lacking(table: &Table, places: &[Option<usize>]) -> Option<&'static str> {
    let is_there = |name: &str| table.position(name).is_some_and(|at| places[at].is_some());
    let stands_in = |column: &Column| column.fallback.is_some_and(is_there);
    let mut cells = table.cells();
    let lacks = |column: &&Column| column.expected && !is_there(column.name) && !stands_in(column);
    cells.find(lacks).map(|column| column.name)
}

/// Returns the title most similar to the name of a column. Synonyms share words, and misspelt names
/// letters: this looks for synonyms.
pub(super) fn likest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let score = |candidate: &str| likeness(&normalise_header(name), &normalise_header(candidate));
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
    best.map(|(_, candidate)| candidate.to_owned())
}
