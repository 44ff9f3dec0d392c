//! What ads on Meta cost: one row for each ad, day and currency.
//!
//! From Ads Manager's export, in English, Spanish, Portuguese, French or German. A row for a longer period
//! is spread evenly over its days, to the cent; the row of totals is left out.
//!
//! ```text
//! Ad ID              Reporting starts  Reporting ends  Amount spent (USD)
//! 1202…107           2025-06-01        2025-06-03      100.00    → 33.34, 33.33, 33.33
//!                    2025-06-01        2025-06-03      100.00    the total
//! ```
//!
//! A report that is broken down, by platform or by age, has several rows for an ad and day: those of
//! one file are added up, a record that comes twice counts once. What is added up is what one period
//! has: where a file has a row for the day and one for a week that holds it, the week's share is no
//! further part of the day, and gives way. Files are never added to one another. Of two that tell of
//! one key, the one exported later stays, then the one for the shorter period, then the larger amount:
//!
//! ```text
//! file  Ad ID     Day         Platform   Amount spent   exported_on
//! 1     1202…107  2025-06-01  facebook   10.00  ┐       2025-06-02
//! 1     1202…107  2025-06-01  instagram   7.50  ┘ 17.50
//! 2     1202…107  2025-06-01             16.00          2025-06-05    stays: Meta lowered it
//! ```
//!
//! Beside the row that stays, the least and the greatest amount are kept that any file had for the
//! key, of those for the shortest period that any had: a week's share that differs from the day's own
//! amount was not restated. A row of a lake that did not keep them stands for its own amount, for a
//! period longer than any.

use polars::prelude::*;

use crate::cells::DecimalMark;

use super::{BLANK, CURRENCY, Cell, Column, Fate, Kind, Row, Spread, Table, fold_header, is_same};

/// Its name in the catalog.
pub const NAME: &str = "ad_spend";

columns! {
    /// The ad.
    AD_ID = "ad_id",
    /// The ad account's date.
    DAY = "day",
    /// What was spent.
    SPEND = "spend",
    /// The date on which Meta told it, as far as whoever loads it says so.
    EXPORTED_ON = "exported_on",
    /// How many days the row was reported for of which this is one.
    PERIOD_DAYS = "period_days",
    /// The least number of days that any row with this key was reported for.
    SHORTEST_PERIOD_DAYS = "shortest_period_days",
    /// The least amount of any row with this key for that many days.
    SPEND_LEAST = "spend_least",
    /// The greatest amount of any row with this key for that many days.
    SPEND_GREATEST = "spend_greatest",
    /// The first day of a period.
    REPORTING_STARTS = "reporting_starts",
    /// The last day of a period.
    REPORTING_ENDS = "reporting_ends",
    /// The ad's name, which a row of totals lacks.
    AD_NAME = "ad_name",
    /// The ad set's name.
    AD_SET_NAME = "ad_set_name",
    /// The campaign's name.
    CAMPAIGN_NAME = "campaign_name",
}

/// English titles that are not the column's name.
const ENGLISH: [&str; 2] = ["Amount spent", "Ad spend"];

/// Titles in the export, by column; those that are not English are Spanish, Portuguese, French and
/// German.
const TITLES: [(&str, &[&str]); 8] = [
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
];

/// The titles of a column. One that has none does not compile: [`TABLE`] asks for them.
const fn titles(column: &str) -> &'static [&'static str] {
    let mut place = 0;
    while !is_same(TITLES[place].0.as_bytes(), column.as_bytes()) {
        place += 1;
    }
    TITLES[place].1
}

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "Meta Ads Manager export",
    columns: &[
        Column::new(AD_ID, Kind::Word).required().or(titles(AD_ID)),
        Column::new(DAY, Kind::Date).required().else_from(REPORTING_STARTS).or(titles(DAY)),
        Column::new(CURRENCY, Kind::Word)
            .term()
            .or(&["Moneda", "Divisa", "Moeda", "Devise", "Währung"]),
        Column::new(SPEND, Kind::Money).required().or(titles(SPEND)),
        Column::new(EXPORTED_ON, Kind::Date),
    ],
    beside: &[
        Column::derived_as(PERIOD_DAYS, Kind::Integer),
        Column::derived_as(SHORTEST_PERIOD_DAYS, Kind::Integer),
        Column::derived_as(SPEND_LEAST, Kind::Money),
        Column::derived_as(SPEND_GREATEST, Kind::Money),
    ],
    checked: &[SPEND_LEAST, SPEND_GREATEST],
    inputs: &[
        Column::new(REPORTING_STARTS, Kind::Date).or(titles(REPORTING_STARTS)),
        Column::new(REPORTING_ENDS, Kind::Date).or(titles(REPORTING_ENDS)),
        Column::new(AD_NAME, Kind::Word).term().or(titles(AD_NAME)),
        Column::new(AD_SET_NAME, Kind::Word).term().or(titles(AD_SET_NAME)),
        Column::new(CAMPAIGN_NAME, Kind::Word).term().or(titles(CAMPAIGN_NAME)),
    ],
    key: &[AD_ID, DAY, CURRENCY],
    day_of: DAY,
    // A period that is not known loses to any.
    precedence: || vec![col(EXPORTED_ON), lit(0) - col(PERIOD_DAYS), col(SPEND)],
    added_up: &[SPEND, SPEND_LEAST, SPEND_GREATEST],
    of_every_row: &[
        (SHORTEST_PERIOD_DAYS, shortest_period),
        (SPEND_LEAST, || of_shortest_period(SPEND_LEAST).min()),
        (SPEND_GREATEST, || of_shortest_period(SPEND_GREATEST).max()),
    ],
    sort: &[AD_ID, CURRENCY],
    derive,
    left_out: ["row of totals", "rows of totals"],
    language,
    ..BLANK
};

fn language(header: &str) -> Option<DecimalMark> {
    // A currency in brackets stands behind some titles.
    let title = header.split('(').next().unwrap_or_default().trim();
    let folded = fold_header(title);
    let is_known = |titles: &[&str]| titles.iter().any(|known| fold_header(known) == folded);
    if TITLES.iter().any(|(_, titles)| is_known(titles)) && !is_known(&ENGLISH) {
        return Some(DecimalMark::Comma);
    }
    let is_title = is_known(&ENGLISH) || TITLES.iter().any(|(name, _)| is_known(&[name]));
    (is_title && title.starts_with(char::is_uppercase)).then_some(DecimalMark::Point)
}

fn shortest_period() -> Expr {
    col(SHORTEST_PERIOD_DAYS).min()
}

/// An amount of those rows that are for the shortest period; null stands for the row's own.
fn of_shortest_period(amount: &str) -> Expr {
    let is_shortest = col(SHORTEST_PERIOD_DAYS).eq_missing(shortest_period());
    coalesce(&[col(amount), col(SPEND)]).filter(is_shortest)
}

/// The longest period that a row may be for: what Ads Manager keeps, 37 months, and some days.
const LONGEST: i32 = 1_200;

/// What a row of totals may say in place of a name: these words, or one that begins with one of
/// the others.
const TOTALS: [&str; 6] = ["total", "totals", "totales", "totais", "totaux", "total geral"];
const RESULTS: [&str; 4] = ["results from ", "resultados de ", "résultats de ", "résultats d"];

fn derive(row: &mut Row<'_, '_>) {
    places! {
        AD_PLACE = AD_ID,
        DAY_PLACE = DAY,
        SPEND_PLACE = SPEND,
        PERIOD_PLACE = PERIOD_DAYS,
        SHORTEST_PLACE = SHORTEST_PERIOD_DAYS,
        LEAST_PLACE = SPEND_LEAST,
        GREATEST_PLACE = SPEND_GREATEST,
        STARTS_PLACE = REPORTING_STARTS,
        ENDS_PLACE = REPORTING_ENDS,
        AD_NAME_PLACE = AD_NAME,
        AD_SET_NAME_PLACE = AD_SET_NAME,
        CAMPAIGN_NAME_PLACE = CAMPAIGN_NAME,
    }
    const AMOUNTS: &[usize] = &[SPEND_PLACE, LEAST_PLACE, GREATEST_PLACE];
    const PERIODS: [usize; 2] = [PERIOD_PLACE, SHORTEST_PLACE];
    const NAMES: [usize; 3] = [AD_NAME_PLACE, AD_SET_NAME_PLACE, CAMPAIGN_NAME_PLACE];
    let is_named = |cell: &Cell<'_>| {
        let name = cell.text().unwrap_or_default().to_lowercase();
        let is_total = TOTALS.contains(&name.as_str());
        !name.is_empty() && !is_total && !RESULTS.iter().any(|words| name.starts_with(words))
    };
    let ad = &row.cells[AD_PLACE];
    let is_total = ad.text().is_none_or(|_| !is_named(ad));
    if is_total && !NAMES.iter().any(|at| is_named(&row.cells[*at])) {
        row.fate = Fate::LeftOut;
        return;
    }
    for at in PERIODS {
        row.cells[at] = Cell::Integer(1);
    }
    for at in [LEAST_PLACE, GREATEST_PLACE] {
        row.cells[at] = row.cells[SPEND_PLACE].clone();
    }
    if !row.cells[DAY_PLACE].is_null() {
        return;
    }
    row.stand_in(DAY_PLACE, STARTS_PLACE);
    let (&Cell::Date(first), &Cell::Money(amount)) =
        (&row.cells[DAY_PLACE], &row.cells[SPEND_PLACE])
    else {
        return;
    };
    let last = match row.cells[ENDS_PLACE] {
        Cell::Date(last) => last,
        _ => first,
    };
    if last < first || last - first >= LONGEST {
        let reason = if last < first {
            "a period that ends before it starts"
        } else {
            "a period of more than three years"
        };
        row.fate = Fate::Refused { column: REPORTING_ENDS, reason };
    } else if last > first {
        let days = last - first + 1;
        for at in PERIODS {
            row.cells[at] = Cell::Integer(days);
        }
        let shares = (first..=last).zip(shares(amount, days)).collect();
        row.fate = Fate::Spread(Spread { day: DAY_PLACE, amounts: AMOUNTS, shares });
    }
}

/// An amount in equal shares of whole cents, which add up to it: what is left over goes to the
/// first, a cent each.
fn shares(amount: i64, days: i32) -> impl Iterator<Item = i64> {
    const CENT: i64 = 10_000;
    let days = i64::from(days);
    let (cents, rest) = (amount / CENT, amount % CENT);
    let (each, over) = (cents / days, cents % days);
    (0..days).map(move |day| {
        let cent = if day < over.abs() { over.signum() } else { 0 };
        (each + cent) * CENT + if day == 0 { rest } else { 0 }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn titles_tell_their_language() {
        let cases = [
            ("Amount spent (USD)", Some(DecimalMark::Point)),
            ("Ad ID", Some(DecimalMark::Point)),
            ("Importe gastado (COP)", Some(DecimalMark::Comma)),
            ("Día", Some(DecimalMark::Comma)),
            ("Montant dépensé (EUR)", Some(DecimalMark::Comma)),
            ("spend", None),
            ("ad_id", None),
            ("amount_spent", None),
            ("Betrag", None),
        ];
        for (title, mark) in cases {
            assert_eq!(language(title), mark, "{title}");
        }
    }

    #[test]
    fn a_hundred_over_three_days() {
        let cents: Vec<i64> = shares(100_000_000, 3).map(|share| share / 10_000).collect();
        assert_eq!(cents, [3334, 3333, 3333]);
    }

    proptest! {
        #[test]
        fn shares_add_up(amount in -1_000_000_000_000i64..1_000_000_000_000, days in 1..1200i32) {
            let shares: Vec<i64> = shares(amount, days).collect();
            prop_assert_eq!(shares.iter().sum::<i64>(), amount);
            let (least, most) = (shares[1..].iter().min(), shares[1..].iter().max());
            if let (Some(least), Some(most)) = (least, most) {
                prop_assert!(most - least <= 10_000);
            }
        }
    }
}
