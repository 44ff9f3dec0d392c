//! Sortable tables.

use super::figures::{NOTHING, Unit, money, show_price};
use super::html::Html;

/// A column of a table with its cells.
pub(super) struct TableColumn {
    pub(super) title: &'static str,
    pub(super) cells: Vec<Cell>,
    /// The number with full shading; `None` for no shading.
    pub(super) shade: Option<f64>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(Option<String>),
    Figure(Unit, Option<f64>),
    /// An amount in millionths, and its currency.
    Money(Option<i128>, Option<String>),
    /// A price, and its currency.
    Price(Option<f64>, Option<String>),
}

impl TableColumn {
    pub(super) fn texts(title: &'static str, texts: Vec<Option<String>>) -> Self {
        Self { title, cells: texts.into_iter().map(Cell::Text).collect(), shade: None }
    }

    pub(super) fn figures(title: &'static str, unit: Unit, figures: Vec<Option<f64>>) -> Self {
        let cells = figures.into_iter().map(|figure| Cell::Figure(unit, figure)).collect();
        Self { title, cells, shade: None }
    }

    pub(super) fn money(
        title: &'static str,
        amounts: Vec<Option<i128>>,
        currencies: Vec<Option<String>>,
    ) -> Self {
        let cells = amounts.into_iter().zip(currencies).map(|(of, what)| Cell::Money(of, what));
        Self { title, cells: cells.collect(), shade: None }
    }

    pub(super) fn prices(
        title: &'static str,
        prices: Vec<Option<f64>>,
        currencies: Vec<Option<String>>,
    ) -> Self {
        let cells = prices.into_iter().zip(currencies).map(|(of, what)| Cell::Price(of, what));
        Self { title, cells: cells.collect(), shade: None }
    }

    /// Removes the rows that `keep` excludes.
    pub(super) fn only(mut self, keep: &[bool]) -> Self {
        let mut keep = keep.iter();
        self.cells.retain(|_| keep.next() == Some(&true));
        self
    }

    /// Shades cells by their numbers, relative to the greatest.
    pub(super) fn shaded(self, most: f64) -> Self {
        Self { shade: (most > 0.0).then_some(most), ..self }
    }
}

/// The first rows of a table; the first column has row headers.
pub(super) fn table(caption: &str, columns: &[TableColumn], most: usize) -> Html {
    let mut html = Html::new();
    let rows = columns.first().map_or(0, |column| column.cells.len());
    if rows == 0 {
        html.raw("<p class=\"none\">Nothing in this period.</p>");
        return html;
    }
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"").text(caption);
    html.raw("\"><table class=\"sortable\"><caption>").text(caption).raw("</caption><thead><tr>");
    for column in columns {
        let text = matches!(column.cells.first(), Some(Cell::Text(_)));
        html.raw(if text { "<th scope=\"col\">" } else { "<th scope=\"col\" class=\"n\">" });
        html.text(column.title).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    for row in 0..rows.min(most) {
        html.raw("<tr>");
        for (place, column) in columns.iter().enumerate() {
            cell(&mut html, column, row, place == 0);
        }
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div>");
    if rows > most {
        html.raw("<p class=\"note\">The first ").text(&Unit::Count.show(Some(most as f64)));
        html.raw(" of ").text(&Unit::Count.show(Some(rows as f64))).raw(".</p>");
    }
    html
}

fn cell(html: &mut Html, column: &TableColumn, row: usize, names: bool) {
    let (shown, figure) = match column.cells.get(row) {
        Some(Cell::Figure(unit, figure)) => (unit.show(*figure), Some(*figure)),
        Some(Cell::Money(amount, currency)) => {
            let shown = amount.map_or_else(|| NOTHING.to_owned(), money);
            let shown = match currency {
                Some(currency) => format!("{shown} {currency}"),
                None => shown,
            };
            let place = amount.map(|millionths| millionths as f64 / 1e6);
            (shown, Some(place))
        }
        Some(Cell::Price(price, currency)) => {
            // Sort values have three decimals, which are too few for prices.
            let place = price.map(|price| price * 1000.0);
            (show_price(*price, currency.as_deref()), Some(place))
        }
        Some(Cell::Text(Some(text))) => (text.clone(), None),
        Some(Cell::Text(None)) | None => (NOTHING.to_owned(), None),
    };
    html.raw(if names { "<th scope=\"row\"" } else { "<td" });
    if let Some(figure) = figure {
        html.raw(" class=\"n\" data-v=\"");
        if let Some(figure) = figure {
            html.at(figure);
        }
        html.raw("\"");
        if let (Some(figure), Some(most)) = (figure, column.shade) {
            html.raw(" style=\"--s:").at((100.0 * figure / most).clamp(0.0, 100.0)).raw("%\"");
        }
    }
    html.raw(">").text(&shown).raw(if names { "</th>" } else { "</td>" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_sort_values() {
        let columns = [
            TableColumn::texts("Flow", vec![Some("<b>".to_owned()), None]),
            TableColumn::figures("Sessions", Unit::Count, vec![Some(1_200.0), None])
                .shaded(2_400.0),
            TableColumn::money(
                "Spend",
                vec![Some(2_500_000), None],
                vec![Some("USD".to_owned()), None],
            ),
            // A currency that is known although the price is not.
            TableColumn::prices(
                "Cost per reply",
                vec![Some(0.0125), None],
                vec![Some("USD".to_owned()), Some("USD".to_owned())],
            ),
        ];
        let html = table("Flows", &columns, 10).into_string();
        assert!(html.contains("<th scope=\"row\">&lt;b&gt;</th>"), "{html}");
        assert!(html.contains("data-v=\"1200\" style=\"--s:50%\">1,200</td>"), "{html}");
        assert!(html.contains("data-v=\"2.5\">2.50 USD</td>"), "{html}");
        assert!(html.contains("data-v=\"12.5\">0.0125 USD</td>"), "{html}");
        assert_eq!(html.matches("data-v=\"\">–</td>").count(), 3, "{html}");
        assert!(table("Flows", &columns, 1).into_string().contains("The first 1 of 2."));
        assert!(table("Flows", &[], 1).into_string().contains("Nothing in this period"));
    }
}
