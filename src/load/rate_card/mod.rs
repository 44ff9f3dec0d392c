//! Rate cards as Meta publishes them: CSV files with a price per category in each row.
//!
//! ```text
//! "Rates effective July 1, 2026"                    a note: the date from which the rates hold
//! Market,Currency,Marketing,Utility,Service         the header
//! Colombia,$US,0.0125,0.0008,n/a                    two rates
//! ```
//!
//! A card of volume tiers has a block of columns per category instead:
//!
//! ```text
//! ,,Utility,,,,,Authentication,,,,                  the labels of the blocks
//! Market,Currency,From,To,Rate type,Rate,vs. List rate,From,To,Rate type,Rate,vs. List rate
//! India,USD,1,"25,000",List rate,0.0014,,1,"25,000",List rate,0.0014,
//! ,,"25,001","50,000",Tier,0.0013,-5%,…             market and currency as above
//! ```
//!
//! Each price becomes a record of the table `rates`, of its market.

mod columns;
mod currency;
mod effective;

use std::io::Read;

use chrono::NaiveDate;
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::rates::{
    self, CATEGORY, EFFECTIVE_FROM, MARKET, PRICE, REVISION, TIER_FROM,
};

use self::columns::Columns;
use super::chunk::{Chunk, Record};
use super::csv;
use super::fields::Fields;
use super::header::DELIMITERS;
use super::options::Options;
use super::reader::{CsvBuffer, Reader};
use super::records::Splitter;
use super::redact::without_marks;
use super::source::{Source, Survey};
use crate::error::{Error, Result};

/// The most records above the header.
const ABOVE: usize = 20;

/// A rate card that was found in a file.
#[derive(Clone, Debug)]
pub(crate) struct RateCard {
    columns: Columns,
    delimiter: u8,
    /// The number of records up to and including the header.
    passed: usize,
    /// The date from which the rates hold.
    effective_from: NaiveDate,
    /// The currency of cells that name none of the known ones.
    currency: Option<String>,
}

impl RateCard {
    /// Finds a rate card in a CSV file; `None` if the file is not one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; a card without a date, or with another one than the options'.
    pub(crate) fn find(
        source: &Source,
        survey: &Survey,
        options: &Options,
    ) -> Result<Option<Self>> {
        for delimiter in DELIMITERS {
            let mut splitter = csv::open(source, survey, delimiter)?;
            let mut fields = Fields::new(delimiter);
            let mut above: Vec<String> = Vec::new();
            let mut dated = None;
            for passed in 1..=ABOVE + 2 {
                // Lines above the header may be no records at all.
                let Ok(Some(chunk)) = splitter.header() else { break };
                let cells = match chunk.records.first() {
                    Some(record) => cells(&chunk, record, &mut fields, delimiter),
                    None => break,
                };
                let Some(cells) = cells else { continue };
                if let Some(columns) = Columns::of(&cells, &above) {
                    let effective_from = effective_from(source, dated, options)?;
                    let currency = options.currency.clone();
                    let card = Self { columns, delimiter, passed, effective_from, currency };
                    return Ok(Some(card));
                }
                // A comma within a date may have split it.
                dated = dated.or_else(|| effective::date(&cells.join(" ")));
                above = cells;
            }
        }
        Ok(None)
    }

    /// Describes the options that decide what is read, for the file's id.
    pub(crate) fn read_as(&self) -> String {
        let currency = self.currency.as_deref().unwrap_or_default();
        format!(" rate card from {} in {currency}", self.effective_from)
    }

    /// Opens a reader of the rates.
    pub(crate) fn reader<'s>(
        &self,
        source: &'s Source,
        survey: &Survey,
    ) -> Result<Box<dyn Reader + 's>> {
        let mut splitter = csv::open(source, survey, self.delimiter)?;
        for _ in 0..self.passed {
            splitter.header().map_err(|e| source.read_error(&e))?;
        }
        Ok(Box::new(Rates {
            source,
            splitter,
            fields: Fields::new(self.delimiter),
            card: self.clone(),
            above: [String::new(), String::new()],
            number: 0,
        }))
    }
}

/// The error for a file that is named as a rate card and is none.
pub(crate) fn not_a_card(source: &Source) -> Error {
    Error::data(format!("`{}` is not a rate card as Meta publishes it", source.name))
        .hint(
            "its header names Market, Currency and a price for Marketing, Utility, Authentication or \
             Service, or From and Rate below the labels of its volume tiers; save a sheet as csv",
        )
        .no_export()
}

/// The date of a card: that of its notes, else that of the options.
fn effective_from(
    source: &Source,
    dated: Option<NaiveDate>,
    options: &Options,
) -> Result<NaiveDate> {
    match (dated, options.effective_from) {
        (Some(of_file), Some(given)) if of_file != given => {
            let what =
                format!("`{}` says that its rates are effective from {of_file}", source.name);
            Err(Error::usage(what).hint("load it without `--effective-from`"))
        }
        (Some(date), _) | (None, Some(date)) => Ok(date),
        (None, None) => Err(Error::data(format!(
            "`{}` is a rate card without a date from which it is effective",
            source.name
        ))
        .hint("give it with `--effective-from YYYY-MM-DD`")),
    }
}

/// Splits a record of a chunk into cells; `None` if it is not valid UTF-8.
fn cells(
    chunk: &Chunk,
    record: &Record,
    fields: &mut Fields,
    delimiter: u8,
) -> Option<Vec<String>> {
    let text = std::str::from_utf8(&chunk.bytes[record.start..record.end]).ok()?;
    let mut cells = Vec::new();
    fields.read(text, record.quoted, delimiter, &mut cells);
    Some(cells.into_iter().map(|cell| without_marks(cell).trim().to_owned()).collect())
}

/// Yields the rates of a card.
struct Rates<'s> {
    source: &'s Source,
    splitter: Splitter<Box<dyn Read + Send>>,
    fields: Fields,
    card: RateCard,
    /// Market and currency of the record above.
    above: [String; 2],
    /// The number of rates read so far.
    number: u64,
}

impl Reader for Rates<'_> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut written = CsvBuffer::default();
        // A chunk of footnotes has no rates, and is not the end.
        while let Some(chunk) =
            self.splitter.next_chunk().map_err(|e| self.source.read_error(&e))?
        {
            for record in &chunk.records {
                self.read(&chunk, record, &mut written);
            }
            if let Some(rates) = written.take(chunk.read) {
                return Ok(Some(rates));
            }
        }
        Ok(None)
    }
}

impl Rates<'_> {
    /// Writes the rates of a record.
    fn read(&mut self, chunk: &Chunk, record: &Record, written: &mut CsvBuffer) {
        let cells = cells(chunk, record, &mut self.fields, self.card.delimiter);
        let fault = chunk.broken.get(&record.number).cloned();
        let (Some(cells), None) = (cells, &fault) else {
            self.number += 1;
            let raw = &chunk.bytes[record.start..record.end];
            let reason = fault.unwrap_or_else(|| "not valid UTF-8".to_owned());
            written.push_broken(self.number, record.line, raw, reason);
            return;
        };
        let columns = &self.card.columns;
        let cell = |at: usize| cells.get(at).map_or("", String::as_str);
        let named = [cell(columns.market), cell(columns.currency)];
        if columns.has_tiers() {
            for (above, named) in self.above.iter_mut().zip(named) {
                if !named.is_empty() {
                    named.clone_into(above);
                }
            }
        } else {
            self.above = named.map(str::to_owned);
        }
        let [market, currency] = &self.above;
        let currency = currency::code(currency).or_else(|| self.card.currency.clone());
        let date = self.card.effective_from.to_string();
        for price in &columns.prices {
            let tier_from = price.from.map_or("0", cell);
            if is_none(cell(price.price)) || is_none(tier_from) {
                continue;
            }
            self.number += 1;
            let tier_from = columns::tier_from(tier_from);
            let fields = rates::TABLE.exported().map(|column| match column.name {
                EFFECTIVE_FROM => date.as_str(),
                MARKET => market,
                CATEGORY => price.category,
                TIER_FROM => &tier_from,
                PRICE => cell(price.price),
                CURRENCY => currency.as_deref().unwrap_or_default(),
                REVISION => "0",
                _ => "",
            });
            written.push(self.number, record.line, fields);
            if market.is_empty() {
                written.spoil(self.number, "the row names no market".to_owned());
            } else if currency.is_none() {
                let reason = "the row names no known currency: give it with --currency".to_owned();
                written.spoil(self.number, reason);
            }
        }
    }
}

/// Returns `true` for a cell without a price or tier.
fn is_none(cell: &str) -> bool {
    cell.is_empty() || cell == "--" || cell.eq_ignore_ascii_case("n/a")
}
