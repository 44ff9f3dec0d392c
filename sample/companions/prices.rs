//! The export of Ads Manager, the markets of the countries, and the rate card.

use chrono::Datelike as _;
use wabalake_data::reference::{countries, markets};

use super::{Companion, amount, line};
use crate::company::{MetaSource, SOURCES};
use crate::people::COUNTRIES;
use crate::random::hash;
use crate::rate_card::RATES;

impl Companion {
    /// Writes ad spend day by day: in English, or in every second download in Spanish with decimal
    /// commas.
    pub(super) fn ad_spend(&self, out: &mut String) -> u64 {
        let ads = || SOURCES.iter().filter(|source| source.is_ad);
        let results = |ad: &MetaSource, day: i64| AdResults::of(self.plan.seed, ad.id, day);
        let all = self.days.clone().flat_map(|day| ads().map(move |ad| (ad, day)));
        let total =
            all.map(|(ad, day)| results(ad, day)).fold(AdResults::default(), AdResults::with);
        let dates =
            [self.days.start, self.days.end - 1].map(|day| self.plan.date(day).unwrap_or_default());
        // If no day is after the 12th, the date order could not be detected.
        let mut all = self.days.clone().filter_map(|day| self.plan.date(day));
        let is_clear = all.any(|date| date.day() > 12);
        let mut rows = 0;
        if self.even {
            out.push_str(
                "Reporting starts,Reporting ends,Campaign name,Campaign ID,Ad set name,Ad set ID,Ad name,\
                 Ad ID,Impressions,Link clicks,Amount spent (USD)\n",
            );
            let ([first, last], total) = (dates, total.cells(',', '.'));
            line(out, format_args!("{first},{last},,,,,,,{total}"));
        } else {
            out.push_str(
                "Día;Nombre de la campaña;Identificador de la campaña;Nombre del conjunto de anuncios;\
                 Identificador del conjunto de anuncios;Nombre del anuncio;Identificador del anuncio;\
                 Impresiones;Clics en el enlace;Importe gastado (USD)\n",
            );
        }
        for day in self.days.clone() {
            let date = self.plan.date(day).unwrap_or_default();
            for ad in ads() {
                let results = results(ad, day);
                let (id, name) = (ad.id, if ad.is_video { "Video" } else { "Imagen" });
                let (campaign, campaign_id) = (ad.headline, campaign_of(ad));
                let ad_set = campaign_id + 1;
                if self.even {
                    let results = results.cells(',', '.');
                    line(
                        out,
                        format_args!(
                            "{date},{date},\"{campaign}\",{campaign_id},Todos,{ad_set},{name},{id},{results}"
                        ),
                    );
                } else {
                    let date = date.format(if is_clear { "%d/%m/%Y" } else { "%Y-%m-%d" });
                    let results = results.cells(';', ',');
                    line(
                        out,
                        format_args!(
                            "{date};{campaign};{campaign_id};Todos;{ad_set};{name};{id};{results}"
                        ),
                    );
                }
                rows += 1;
            }
        }
        rows
    }
}

/// The id of an ad's campaign, which all ads with its headline share.
fn campaign_of(ad: &MetaSource) -> u64 {
    let first = SOURCES.iter().find(|source| source.is_ad && source.headline == ad.headline);
    first.map_or(ad.id, |first| first.id) + 50_000
}

/// The results of ads.
#[derive(Clone, Copy, Debug, Default)]
struct AdResults {
    cents: u64,
    impressions: u64,
    clicks: u64,
}

impl AdResults {
    /// The results of an ad on a day.
    fn of(seed: u64, ad: u64, day: i64) -> Self {
        let random = |stream| hash(&[seed, stream, ad, day.cast_unsigned()]);
        let impressions = 400 + random(9) % 8_000;
        Self {
            cents: 300 + random(4) % 4_000,
            impressions,
            clicks: impressions * (random(10) % 40) / 1_000,
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            cents: self.cents + other.cents,
            impressions: self.impressions + other.impressions,
            clicks: self.clicks + other.clicks,
        }
    }

    /// Impressions, clicks and amount.
    fn cells(self, delimiter: char, mark: char) -> String {
        let Self { cents, impressions, clicks } = self;
        let (whole, rest) = (cents / 100, cents % 100);
        format!("{impressions}{delimiter}{clicks}{delimiter}{whole}{mark}{rest:02}")
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
