//! The cost of ads on Meta: one row for each ad, day and currency.
//!
//! Loaded from the export of Ads Manager, in English, Spanish, Portuguese, French or German. A row for
//! a longer period is spread evenly over its days: its amount to the cent, its impressions and clicks to
//! whole numbers, with the remainder on the first days. The row of totals is skipped.
//!
//! ```text
//! Ad ID              Reporting starts  Reporting ends  Amount spent (USD)
//! 1202…107           2025-06-01        2025-06-03      100.00    → 33.34, 33.33, 33.33
//!                    2025-06-01        2025-06-03      100.00    skipped: the total
//! ```
//!
//! A report with a breakdown, by platform or by age, has several rows for an ad and day. Amounts,
//! impressions and clicks of rows of one file are summed if they are for the same period, whatever these
//! rows call the ad, its ad set and its campaign; identical records count once. If a file has a
//! row for a day and one for a week that contains it, the day's row wins. Rows of different files are
//! never summed. For one key, the row that was exported later wins, then the one for the shorter
//! period, then the larger amount, then more impressions, then more clicks:
//!
//! ```text
//! file  Ad ID     Day         Platform   Amount spent   exported_on
//! 1     1202…107  2025-06-01  facebook   10.00  ┐       2025-06-02
//! 1     1202…107  2025-06-01  instagram   7.50  ┘ 17.50
//! 2     1202…107  2025-06-01             16.00          2025-06-05    wins: Meta lowered it
//! ```
//!
//! To detect amounts that Meta restated, the row also keeps the least and the greatest amount that
//! any file had for its key. Only amounts for the shortest period are compared: a week's share that
//! differs from the day's own amount is not a restatement. In rows of an older lake these columns are
//! null, which means the row's own amount, for an unknown period that is longer than any.

use polars::prelude::*;

use crate::cells::{DecimalMark, normalise_header};
use crate::table::{
    BLANK, CURRENCY, Cell, CellKind, Column, Fate, Row, Spread, Table, columns, is_same, positions,
};

/// The table's name.
pub const NAME: &str = "ad_spend";

columns! {
    /// The id of the ad.
    AD_ID = "ad_id",
    /// The day, in the ad account's time zone.
    DAY = "day",
    /// The amount spent.
    SPEND = "spend",
    /// The date of the export, if it was given when the file was loaded.
    EXPORTED_ON = "exported_on",
    /// The length of the reported period, in days.
    PERIOD_DAYS = "period_days",
    /// The length of the shortest period among all rows with this key, in days.
    SHORTEST_PERIOD_DAYS = "shortest_period_days",
    /// The least amount among all rows with this key for the shortest period.
    SPEND_LEAST = "spend_least",
    /// The greatest amount among all rows with this key for the shortest period.
    SPEND_GREATEST = "spend_greatest",
    /// The first day of a period.
    REPORTING_STARTS = "reporting_starts",
    /// The last day of a period.
    REPORTING_ENDS = "reporting_ends",
    /// The id of the ad's campaign.
    CAMPAIGN_ID = "campaign_id",
    /// The campaign's name.
    CAMPAIGN_NAME = "campaign_name",
    /// The id of the ad's ad set.
    AD_SET_ID = "ad_set_id",
    /// The ad set's name.
    AD_SET_NAME = "ad_set_name",
    /// The ad's name.
    AD_NAME = "ad_name",
    /// How often the ad was shown.
    IMPRESSIONS = "impressions",
    /// Clicks on the ad's link; other clicks, as in `Clicks (all)`, are not counted.
    CLICKS = "clicks",
}

/// English titles that differ from the column name.
const ENGLISH: [&str; 3] = ["Amount spent", "Ad spend", "Link clicks"];

/// Titles in the export, by column; other than [`ENGLISH`], they are Spanish, Portuguese, French
/// and German.
const TITLES: [(&str, &[&str]); 12] = [
    (
        AD_ID,
        &[
            "Identificador del anuncio",
            "ID del anuncio",
            "Identificação do anúncio",
            "ID do anúncio",
            "Identificador do anúncio",
            "Identifiant de la publicité",
            "ID de la publicité",
            "Identifiant de publicité",
            "ID de publicité",
            "Anzeigen-ID",
        ],
    ),
    (DAY, &["Día", "Dia", "Jour", "Tag"]),
    (
        SPEND,
        &[
            ENGLISH[0],
            ENGLISH[1],
            "Importe gastado",
            "Gasto",
            "Valor usado",
            "Valor gasto",
            "Montante gasto",
            "Montant dépensé",
            "Ausgegebener Betrag",
        ],
    ),
    (
        REPORTING_STARTS,
        &[
            "Inicio del informe",
            "Inicio de los informes",
            "Início dos relatórios",
            "Início do relatório",
            "Début des rapports",
            "Début du rapport",
            "Berichtsstart",
            "Berichtsbeginn",
        ],
    ),
    (
        REPORTING_ENDS,
        &[
            "Fin del informe",
            "Fin de los informes",
            "Término dos relatórios",
            "Encerramento dos relatórios",
            "Fim do relatório",
            "Fim dos relatórios",
            "Fin des rapports",
            "Fin du rapport",
            "Berichtsende",
        ],
    ),
    (
        AD_NAME,
        &[
            "Nombre del anuncio",
            "Nome do anúncio",
            "Nom de la publicité",
            "Anzeigenname",
            "Name der Anzeige",
        ],
    ),
    (
        AD_SET_NAME,
        &[
            "Nombre del conjunto de anuncios",
            "Nome do conjunto de anúncios",
            "Nom de l'ensemble de publicités",
            "Anzeigengruppenname",
            "Name der Anzeigengruppe",
        ],
    ),
    (
        CAMPAIGN_NAME,
        &[
            "Nombre de la campaña",
            "Nome da campanha",
            "Nom de la campagne",
            "Kampagnenname",
            "Name der Kampagne",
        ],
    ),
    (
        CAMPAIGN_ID,
        &[
            "Identificador de la campaña",
            "ID de la campaña",
            "Identificação da campanha",
            "ID da campanha",
            "Identificador da campanha",
            "Identifiant de la campagne",
            "ID de la campagne",
            "Identifiant de campagne",
            "ID de campagne",
            "Kampagnen-ID",
        ],
    ),
    (
        AD_SET_ID,
        &[
            "Identificador del conjunto de anuncios",
            "ID del conjunto de anuncios",
            "Identificação do conjunto de anúncios",
            "ID do conjunto de anúncios",
            "Identificador do conjunto de anúncios",
            "Identifiant de l'ensemble de publicités",
            "ID de l'ensemble de publicités",
            "Anzeigengruppen-ID",
        ],
    ),
    // In French it is the English word.
    (IMPRESSIONS, &["Impresiones", "Impressões", "Impressionen"]),
    (
        CLICKS,
        &[
            ENGLISH[2],
            "Clics en el enlace",
            "Cliques no link",
            "Cliques na ligação",
            "Clics sur un lien",
            "Clics sur le lien",
            "Link-Klicks",
            "Linkklicks",
        ],
    ),
];

/// The titles of a column. In [`TABLE`], a column without titles does not compile.
const fn titles(column: &str) -> &'static [&'static str] {
    let mut index = 0;
    while !is_same(TITLES[index].0.as_bytes(), column.as_bytes()) {
        index += 1;
    }
    TITLES[index].1
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Meta Ads Manager export",
    columns: &[
        Column::new(AD_ID, CellKind::Word).required().or(titles(AD_ID)),
        Column::new(DAY, CellKind::Date).required().or_from(REPORTING_STARTS).or(titles(DAY)),
        Column::new(CURRENCY, CellKind::Word)
            .term()
            .or(&["Moneda", "Divisa", "Moeda", "Devise", "Währung"]),
        Column::new(SPEND, CellKind::Money).required().or(titles(SPEND)),
        Column::new(EXPORTED_ON, CellKind::Date),
        Column::new(CAMPAIGN_ID, CellKind::Word).or(titles(CAMPAIGN_ID)),
        Column::new(CAMPAIGN_NAME, CellKind::Word).term().or(titles(CAMPAIGN_NAME)),
        Column::new(AD_SET_ID, CellKind::Word).or(titles(AD_SET_ID)),
        Column::new(AD_SET_NAME, CellKind::Word).term().or(titles(AD_SET_NAME)),
        Column::new(AD_NAME, CellKind::Word).term().or(titles(AD_NAME)),
        Column::new(IMPRESSIONS, CellKind::Count).or(titles(IMPRESSIONS)),
        Column::new(CLICKS, CellKind::Count).or(titles(CLICKS)),
    ],
    internal: &[
        Column::derived_as(PERIOD_DAYS, CellKind::Integer),
        Column::derived_as(SHORTEST_PERIOD_DAYS, CellKind::Integer),
        Column::derived_as(SPEND_LEAST, CellKind::Money),
        Column::derived_as(SPEND_GREATEST, CellKind::Money),
    ],
    checked: &[SPEND_LEAST, SPEND_GREATEST],
    inputs: &[
        Column::new(REPORTING_STARTS, CellKind::Date).or(titles(REPORTING_STARTS)),
        Column::new(REPORTING_ENDS, CellKind::Date).or(titles(REPORTING_ENDS)),
    ],
    key: &[AD_ID, DAY, CURRENCY],
    day_of: DAY,
    // An unknown period loses to any other.
    precedence: || {
        let amounts = [SPEND, IMPRESSIONS, CLICKS].map(col);
        [col(EXPORTED_ON), lit(0) - col(PERIOD_DAYS)].into_iter().chain(amounts).collect()
    },
    summed: &[SPEND, SPEND_LEAST, SPEND_GREATEST, IMPRESSIONS, CLICKS],
    named: &[CAMPAIGN_ID, CAMPAIGN_NAME, AD_SET_ID, AD_SET_NAME, AD_NAME],
    aggregates: &[
        (SHORTEST_PERIOD_DAYS, shortest_period),
        (SPEND_LEAST, || of_shortest_period(SPEND_LEAST).min()),
        (SPEND_GREATEST, || of_shortest_period(SPEND_GREATEST).max()),
    ],
    sort: &[AD_ID, CURRENCY],
    derive,
    skipped: ["row of totals", "rows of totals"],
    decimal_mark,
    ..BLANK
};

fn decimal_mark(header: &str) -> Option<DecimalMark> {
    // Some titles end in a currency in brackets.
    let title = header.split('(').next().unwrap_or_default().trim();
    let normal = normalise_header(title);
    // The same word in English and in French.
    if normal == IMPRESSIONS {
        return None;
    }
    let is_known = |titles: &[&str]| titles.iter().any(|known| normalise_header(known) == normal);
    if TITLES.iter().any(|(_, titles)| is_known(titles)) && !is_known(&ENGLISH) {
        return Some(DecimalMark::Comma);
    }
    let is_title = is_known(&ENGLISH) || TITLES.iter().any(|(name, _)| is_known(&[name]));
    (is_title && title.starts_with(char::is_uppercase)).then_some(DecimalMark::Point)
}

fn shortest_period() -> Expr {
    col(SHORTEST_PERIOD_DAYS).min()
}

/// The amounts of the rows for the shortest period; a null amount means the row's own `spend`.
fn of_shortest_period(amount: &str) -> Expr {
    let is_shortest = col(SHORTEST_PERIOD_DAYS).eq_missing(shortest_period());
    coalesce(&[col(amount), col(SPEND)]).filter(is_shortest)
}

/// The longest valid period, in days: the 37 months that Ads Manager keeps, and some days.
const LONGEST: i32 = 1_200;

/// Words that a row of totals may have instead of a name.
const TOTALS: [&str; 6] = ["total", "totals", "totales", "totais", "totaux", "total geral"];
/// Beginnings of texts that a row of totals may have instead of a name.
const RESULTS: [&str; 4] = ["results from ", "resultados de ", "résultats de ", "résultats d"];

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        AD_CELL = AD_ID,
        DAY_CELL = DAY,
        SPEND_CELL = SPEND,
        PERIOD_CELL = PERIOD_DAYS,
        SHORTEST_CELL = SHORTEST_PERIOD_DAYS,
        LEAST_CELL = SPEND_LEAST,
        GREATEST_CELL = SPEND_GREATEST,
        STARTS_CELL = REPORTING_STARTS,
        ENDS_CELL = REPORTING_ENDS,
        AD_NAME_CELL = AD_NAME,
        AD_SET_NAME_CELL = AD_SET_NAME,
        CAMPAIGN_NAME_CELL = CAMPAIGN_NAME,
        IMPRESSIONS_CELL = IMPRESSIONS,
        CLICKS_CELL = CLICKS,
    }
    const AMOUNTS: [usize; 3] = [SPEND_CELL, LEAST_CELL, GREATEST_CELL];
    const COUNTS: [usize; 2] = [IMPRESSIONS_CELL, CLICKS_CELL];
    const PERIODS: [usize; 2] = [PERIOD_CELL, SHORTEST_CELL];
    const NAMES: [usize; 3] = [AD_NAME_CELL, AD_SET_NAME_CELL, CAMPAIGN_NAME_CELL];
    let is_named = |cell: &Cell<'_>| {
        let name = cell.text().unwrap_or_default().to_lowercase();
        let is_total = TOTALS.contains(&name.as_str());
        !name.is_empty() && !is_total && !RESULTS.iter().any(|words| name.starts_with(words))
    };
    let ad = &row.cells[AD_CELL];
    let is_total = ad.text().is_none_or(|_| !is_named(ad));
    if is_total && !NAMES.iter().any(|at| is_named(&row.cells[*at])) {
        row.fate = Fate::Skipped;
        return;
    }
    for at in PERIODS {
        row.cells[at] = Cell::Integer(1);
    }
    for at in [LEAST_CELL, GREATEST_CELL] {
        row.cells[at] = row.cells[SPEND_CELL].clone();
    }
    if !row.cells[DAY_CELL].is_null() {
        return;
    }
    row.fill_from(DAY_CELL, STARTS_CELL);
    let (&Cell::Date(first), &Cell::Money(amount)) = (&row.cells[DAY_CELL], &row.cells[SPEND_CELL])
    else {
        return;
    };
    let last = match row.cells[ENDS_CELL] {
        Cell::Date(last) => last,
        _ => first,
    };
    if last < first || last - first >= LONGEST {
        let reason = if last < first {
            "a period that ends before it starts"
        } else {
            "a period of more than three years"
        };
        row.fate = Fate::Rejected { column: REPORTING_ENDS, reason };
    } else if last > first {
        let days = last - first + 1;
        for at in PERIODS {
            row.cells[at] = Cell::Integer(days);
        }
        let mut spread = Spread::over(DAY_CELL, first..=last);
        for at in AMOUNTS {
            spread.share(at, shares(amount, days).map(Cell::Money));
        }
        for at in COUNTS {
            if let Cell::Count(count) = row.cells[at] {
                spread.share(at, whole_shares(count, days).map(Cell::Count));
            }
        }
        row.fate = Fate::Spread(spread);
    }
}

/// Splits an amount into equal shares of whole cents, which sum up to it. The first days get the
/// remaining cents, one each.
fn shares(amount: i64, days: i32) -> impl Iterator<Item = i64> {
    const CENT: i64 = 10_000;
    let (cents, rest) = (amount / CENT, amount % CENT);
    let first_day = std::iter::once(rest).chain(std::iter::repeat(0));
    whole_shares(cents, days).zip(first_day).map(|(cents, rest)| cents * CENT + rest)
}

/// Splits a count into equal shares, which sum up to it. The first days get the remainder, one each.
fn whole_shares(count: i64, days: i32) -> impl Iterator<Item = i64> {
    let days = i64::from(days);
    let (each, over) = (count / days, count % days);
    (0..days).map(move |day| each + if day < over.abs() { over.signum() } else { 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_mark_follows_from_the_language_of_a_title() {
        let cases = [
            ("Amount spent (USD)", Some(DecimalMark::Point)),
            ("Ad ID", Some(DecimalMark::Point)),
            ("Importe gastado (COP)", Some(DecimalMark::Comma)),
            ("Día", Some(DecimalMark::Comma)),
            ("Montant dépensé (EUR)", Some(DecimalMark::Comma)),
            ("Link clicks", Some(DecimalMark::Point)),
            ("Clics sur un lien", Some(DecimalMark::Comma)),
            ("Impressions", None),
            ("spend", None),
            ("ad_id", None),
            ("amount_spent", None),
            ("Betrag", None),
        ];
        for (title, mark) in cases {
            assert_eq!(decimal_mark(title), mark, "{title}");
        }
    }

    #[test]
    fn remaining_cents_go_to_the_first_days() {
        let cents: Vec<i64> = shares(100_000_000, 3).map(|share| share / 10_000).collect();
        assert_eq!(cents, [3334, 3333, 3333]);
    }

    #[test]
    fn remaining_clicks_go_to_the_first_days() {
        assert_eq!(whole_shares(11, 4).collect::<Vec<_>>(), [3, 3, 3, 2]);
        assert_eq!(whole_shares(2, 3).collect::<Vec<_>>(), [1, 1, 0]);
        assert_eq!(whole_shares(-5, 3).collect::<Vec<_>>(), [-2, -2, -1]);
    }

    proptest! {
        #[test]
        fn shares_sum_up_to_the_amount(amount in -1_000_000_000_000i64..1_000_000_000_000, days in 1..1200i32) {
            let shares: Vec<i64> = shares(amount, days).collect();
            prop_assert_eq!(shares.iter().sum::<i64>(), amount);
            let (least, most) = (shares[1..].iter().min(), shares[1..].iter().max());
            if let (Some(least), Some(most)) = (least, most) {
                prop_assert!(most - least <= 10_000);
            }
        }
    }
}
