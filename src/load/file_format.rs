//! Detects the file format of a source: CSV, a published rate card, spreadsheet or JSON. The only
//! module that knows all formats.

use wabalake_data::cells::DecimalMark;
use wabalake_data::tables::{meta_points, rates, variables};

use super::header::Header;
use super::json::{self, Shape, webhooks};
use super::options::Options;
use super::rate_card::{self, RateCard};
use super::reader::Reader;
use super::sheet::{self, Sheet};
use super::source::{Source, Survey};
use super::wide::{self, Wide};
use super::{csv, foreign};
use crate::error::Result;

/// The format of a file, with what its reader needs.
#[derive(Clone, Debug)]
pub(crate) enum FileFormat {
    /// Text with a delimiter, and the lines above its header.
    Csv(csv::Preamble),
    /// One sheet of a spreadsheet.
    Sheet(Sheet),
    /// A rate card as Meta publishes it.
    RateCard(RateCard),
    /// A wide file of variables, and the format of its rows.
    Wide(Box<Self>, Box<Wide>),
    /// JSON, with the renames of its keys.
    Json(Shape, Vec<(String, String)>),
}

impl FileFormat {
    /// Detects the format of a source and reads its header: one for each table that it feeds.
    pub(crate) fn read(
        source: &Source,
        survey: &Survey,
        options: &Options,
    ) -> Result<(Self, Vec<Header>)> {
        let (format, mut headers) = match Self::find(source, survey, options)? {
            (format, Some(header)) => (format, vec![header]),
            (format, None) => (format, webhooks::headers(source)?),
        };
        for header in &mut headers {
            header.spell(options.date_order, options.decimal);
            match format {
                Self::Csv(_) | Self::Wide(..) => {}
                Self::Sheet(_) => header.with_numbers(),
                // Meta publishes its cards in English.
                Self::RateCard(_) | Self::Json(..) => {
                    header.with_numbers();
                    header.language = Some(DecimalMark::Point);
                }
            }
        }
        Ok((format, headers))
    }

    /// Detects the format. A file that feeds several tables has no header.
    fn find(source: &Source, survey: &Survey, options: &Options) -> Result<(Self, Option<Header>)> {
        if let Some(options_of_wide) = &options.wide {
            let (rows, header) = Self::find_rows(source, survey, options)?;
            let wide = Wide::new(header, options_of_wide);
            let header = json::header_of(source, &variables::TABLE)?;
            return Ok((Self::Wide(Box::new(rows), Box::new(wide)), Some(header)));
        }
        if source.is_workbook {
            if options.is_webhooks {
                return Err(webhooks::not_webhooks(source, None));
            }
            let (sheet, header) = sheet::header(source, options)?;
            return Ok((Self::Sheet(sheet), Some(header)));
        }
        foreign::refuse(source, survey)?;
        if options.is_rate_card {
            let card = RateCard::find(source, survey, options)?;
            let card = card.ok_or_else(|| rate_card::not_a_card(source))?;
            return Ok((Self::RateCard(card), Some(json::header_of(source, &rates::TABLE)?)));
        }
        if let Some(shape) = json::shape(source, survey, options)? {
            let header = match shape {
                Shape::Objects => Some(json::header(source, survey, options)?),
                Shape::Responses => Some(json::header_of(source, &meta_points::TABLE)?),
                Shape::Webhooks => None,
            };
            return Ok((Self::Json(shape, options.renames.clone()), header));
        }
        if options.is_webhooks {
            return Err(webhooks::not_webhooks(source, Some(survey)));
        }
        let read = csv::header(source, survey, options);
        if read.is_err()
            && options.kind.is_none_or(|kind| *kind == rates::TABLE)
            && let Some(card) = RateCard::find(source, survey, options)?
        {
            return Ok((Self::RateCard(card), Some(json::header_of(source, &rates::TABLE)?)));
        }
        read.map(|(above, header)| (Self::Csv(above), Some(header)))
    }

    /// Finds the header of a wide file of variables.
    fn find_rows(source: &Source, survey: &Survey, options: &Options) -> Result<(Self, Header)> {
        if source.is_workbook {
            let (sheet, header) = sheet::header(source, options)?;
            return Ok((Self::Sheet(sheet), header));
        }
        foreign::refuse(source, survey)?;
        if json::shape(source, survey, options)?.is_some() {
            return Err(wide::not_a_grid(source));
        }
        csv::header(source, survey, options).map(|(above, header)| (Self::Csv(above), header))
    }

    /// Returns the number of non-empty lines or rows above the header.
    pub(crate) fn above(&self) -> u64 {
        match self {
            Self::Csv(above) => above.passed as u64,
            Self::Sheet(sheet) => sheet.above as u64,
            Self::Wide(rows, _) => rows.above(),
            Self::RateCard(_) | Self::Json(..) => 0,
        }
    }

    /// Returns the name of the sheet, for a spreadsheet.
    pub(crate) fn sheet(&self) -> Option<&str> {
        match self {
            Self::Sheet(sheet) => Some(&sheet.name),
            Self::Wide(rows, _) => rows.sheet(),
            _ => None,
        }
    }

    /// Returns `true` if the file is one of webhooks.
    pub(crate) fn is_webhooks(&self) -> bool {
        matches!(self, Self::Json(Shape::Webhooks, _))
    }

    /// Returns the rate card, if the file is one.
    pub(crate) fn rate_card(&self) -> Option<&RateCard> {
        match self {
            Self::RateCard(card) => Some(card),
            _ => None,
        }
    }

    /// Describes the options of a file of this format that decide what is read, for the file's id.
    pub(crate) fn read_as(&self) -> Option<String> {
        match self {
            Self::RateCard(card) => Some(card.read_as()),
            Self::Wide(_, wide) => Some(wide.read_as()),
            _ => None,
        }
    }

    /// Opens a reader that starts at the first record. `header` is that of its only table.
    pub(crate) fn reader<'s>(
        &self,
        source: &'s Source,
        survey: &Survey,
        header: &Header,
    ) -> Result<Box<dyn Reader + 's>> {
        match self {
            Self::Csv(above) => csv::reader(source, survey, *above, header),
            Self::Sheet(sheet) => Ok(sheet::reader(source, survey, sheet, header)),
            Self::RateCard(card) => card.reader(source, survey),
            Self::Wide(rows, wide) => Ok(wide.reader(rows.reader(source, survey, &wide.header)?)),
            Self::Json(shape, renames) => json::reader(source, survey, *shape, header, renames),
        }
    }
}
