//! The export of Ads Manager, the markets of the countries, and the rate card.

use chrono::Datelike as _;
use wabalake_data::reference::{countries, markets};

use super::{Companion, amount, line};
use crate::company::SOURCES;
use crate::people::COUNTRIES;
use crate::random::hash;
use crate::rate_card::RATES;

impl Companion {
    /// Writes ad spend day by day: in English, or in every second download in Spanish with decimal
    /// commas.
    pub(super) fn ad_spend(&self, out: &mut String) -> u64 {
        let ads = || SOURCES.iter().filter(|source| source.is_ad);
        let cents =
            |id: u64, day: i64| 300 + hash(&[self.plan.seed, 4, id, day.cast_unsigned()]) % 4_000;
        let total: u64 =
            self.days.clone().flat_map(|day| ads().map(move |ad| cents(ad.id, day))).sum();
        let dates =
            [self.days.start, self.days.end - 1].map(|day| self.plan.date(day).unwrap_or_default());
        // If no day is after the 12th, the date order could not be detected.
        let mut all = self.days.clone().filter_map(|day| self.plan.date(day));
        let is_clear = all.any(|date| date.day() > 12);
        let mut rows = 0;
        if self.even {
            line(
                out,
                format_args!(
                    "Reporting starts,Reporting ends,Campaign name,Ad name,Ad ID,Amount spent (USD)"
                ),
            );
            let [first, last] = dates;
            line(out, format_args!("{first},{last},,,,{}.{:02}", total / 100, total % 100));
        } else {
            line(
                out,
                format_args!(
                    "Día;Nombre de la campaña;Nombre del anuncio;Identificador del anuncio;Importe gastado (USD)"
                ),
            );
        }
        for day in self.days.clone() {
            let date = self.plan.date(day).unwrap_or_default();
            for ad in ads() {
                let cents = cents(ad.id, day);
                let (id, whole, rest) = (ad.id, cents / 100, cents % 100);
                let name = if ad.is_video { "Video" } else { "Imagen" };
                let campaign = ad.headline;
                if self.even {
                    line(
                        out,
                        format_args!("{date},{date},\"{campaign}\",{name},{id},{whole}.{rest:02}"),
                    );
                } else {
                    let date = date.format(if is_clear { "%d/%m/%Y" } else { "%Y-%m-%d" });
                    line(out, format_args!("{date};{campaign};{name};{id};{whole},{rest:02}"));
                }
                rows += 1;
            }
        }
        rows
    }
}

/// The built-in markets of the people's countries, which change no answer.
pub(super) fn markets(out: &mut String) -> u64 {
    line(out, format_args!("country,market,valid_from,revision"));
    let mut rows = 0;
    for country in &COUNTRIES {
        let code = countries::by_name(country.name).unwrap_or_default();
        for market in markets::all().filter(|market| market.countries.contains(code)) {
            line(out, format_args!("{code},{},{},0", market.name, market.valid_from));
            rows += 1;
        }
    }
    rows
}

pub(super) fn rate_card(out: &mut String) -> u64 {
    line(out, format_args!("effective_from,country,category,tier_from,price,currency,revision"));
    for rate in &RATES {
        line(
            out,
            format_args!(
                "{},{},{},{},{},{},0",
                rate.first_day(),
                rate.country,
                rate.category,
                rate.tier_from,
                amount(rate.price),
                rate.currency
            ),
        );
    }
    RATES.len() as u64
}
