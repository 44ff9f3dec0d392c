//! Options of a load.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use wabalake_data::Table;
use wabalake_data::cells::{DateOrder, DecimalMark};
use wabalake_data::tables::CellKind;

use super::wide::WideOptions;
use super::window::Windows;
use crate::config::Alpha2;

/// Options of a load.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Options {
    /// Target table; `None` detects it from the header.
    pub kind: Option<&'static Table>,
    /// Time zone of timestamps without an offset.
    pub source_timezone: Tz,
    /// Time zones for the exports of single tables, which replace `source_timezone`.
    pub source_timezones: BTreeMap<&'static str, Tz>,
    /// Country of national phone numbers in the side tables, ISO 3166-1 alpha-2; `None` reads all
    /// numbers as international.
    pub default_country: Option<Alpha2>,
    /// Renames of column titles: from, to.
    pub renames: Vec<(String, String)>,
    /// Order of day and month in dates; `None` detects it from all cells of a column.
    pub date_order: Option<DateOrder>,
    /// Decimal mark of amounts; `None` detects it likewise.
    pub decimal: Option<DecimalMark>,
    /// Date of the export, for tables that store it.
    pub exported_on: Option<NaiveDate>,
    /// `true` accepts only rate cards as Meta publishes them; otherwise they are detected.
    pub is_rate_card: bool,
    /// `true` accepts only webhooks of Meta and Treble; otherwise they are detected.
    pub is_webhooks: bool,
    /// Date from which a rate card holds, if its notes do not say.
    pub effective_from: Option<NaiveDate>,
    /// Currency of a rate card's rows that name none, ISO 4217.
    pub currency: Option<String>,
    /// Options of wide files of variables, if the files are such; `kind` is then `variables`.
    pub wide: Option<WideOptions>,
    /// The periods that files were asked for.
    pub windows: Windows,
    /// Sheet of a spreadsheet; `None` detects it from the headers.
    pub sheet: Option<String>,
    /// `true` makes each file a load of its own.
    pub per_file: bool,
    /// `true` fails the load at the first reject.
    pub strict: bool,
    /// The load fails if it has more rejects.
    pub max_rejects: Option<u64>,
    /// `true` reads and merges, but writes nothing to the lake.
    pub dry_run: bool,
    /// `true` shows no progress.
    pub quiet: bool,
    /// Bytes of typed rows that may be held in memory.
    pub memory: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: None,
            source_timezone: Tz::UTC,
            source_timezones: BTreeMap::new(),
            default_country: None,
            renames: Vec::new(),
            date_order: None,
            decimal: None,
            exported_on: None,
            is_rate_card: false,
            is_webhooks: false,
            effective_from: None,
            currency: None,
            wide: None,
            windows: Windows::default(),
            sheet: None,
            per_file: false,
            strict: false,
            max_rejects: None,
            dry_run: false,
            quiet: true,
            memory: 96 << 20,
        }
    }
}

impl Options {
    /// Returns the time zone of a table's timestamps without an offset.
    pub(super) fn source_timezone_of(&self, table: &Table) -> Tz {
        self.source_timezones.get(table.name).copied().unwrap_or(self.source_timezone)
    }

    /// Returns the country of a table's national phone numbers.
    pub(super) fn default_country_of(&self, table: &Table) -> Option<Alpha2> {
        let may_be_national =
            |column: &wabalake_data::Column| matches!(column.kind, CellKind::FullPhone);
        self.default_country.filter(|_| table.exported().any(may_be_national))
    }
}
