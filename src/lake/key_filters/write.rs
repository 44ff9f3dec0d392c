//! Writes rows as Parquet, with Bloom filters between the rows and the footer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use polars::frame::chunk_df_for_writing;
use polars::prelude::*;

use super::{FilterPlace, filter_of};
use crate::error::{Error, Result};

/// The maximum number of rows in a row group.
const ROW_GROUP: usize = 1 << 20;

/// The bytes of a footer after its metadata: their length and `PAR1`.
const END: usize = 8;

/// Writes rows as Parquet with a filter of each of some hash columns. Returns the size, and the tags that
/// tell where the filters are.
pub(in crate::lake) fn write_parquet(
    out: impl Write,
    rows: &mut DataFrame,
    filtered: &[&str],
) -> Result<(u64, HashMap<String, Option<String>>)> {
    let footer = RefCell::new(None);
    let mut body = Body { out, footer: &footer };
    let writer = ParquetWriter::new(&mut body).with_compression(ParquetCompression::Zstd(None));
    let filters = filtered.iter().map(|column| Ok((*column, filter_of(rows, column)?)));
    let filters: Vec<_> = filters.collect::<Result<_>>()?;
    let rows = chunk_df_for_writing(rows, ROW_GROUP)?;
    let mut writer = writer.batched(rows.schema())?;
    writer.write_batch(&rows)?;
    *footer.borrow_mut() = Some(Vec::new());
    let size = writer.finish()?;
    drop(writer);

    let Body { mut out, .. } = body;
    let end = footer.take().unwrap_or_default();
    // Polars writes its page indexes with the footer.
    let (indexes, metadata) = end.split_at(start_of_metadata(&end)?);
    out.write_all(indexes)?;
    let mut offset = size - (end.len() - indexes.len()) as u64;
    let mut places = Vec::new();
    for (column, filter) in filters {
        let mut bytes = Vec::new();
        filter.write(&mut bytes)?;
        out.write_all(&bytes)?;
        let place = FilterPlace::of(offset, &bytes);
        offset = place.range.end;
        places.push((column, place));
    }
    let footer = match places.is_empty() {
        true => metadata.to_vec(),
        false => named_in(&metadata[..metadata.len() - END], &places)?,
    };
    out.write_all(&footer)?;
    out.flush()?;
    let tags = places.iter().map(|(column, place)| place.tag(column)).collect();
    Ok((offset + footer.len() as u64, tags))
}

/// A footer whose columns have the places of their filters.
fn named_in(metadata: &[u8], places: &[(&str, FilterPlace)]) -> Result<Vec<u8>, ParquetError> {
    let mut metadata = ParquetMetaDataReader::decode_metadata(metadata)?.into_builder();
    let mut groups = Vec::new();
    for group in metadata.take_row_groups() {
        let mut group = group.into_builder();
        let mut columns = Vec::new();
        for column in group.take_columns() {
            let name = column.column_descr().name();
            let place = places.iter().find(|(of, _)| *of == name).map(|(_, place)| &place.range);
            columns.push(match place {
                None => column,
                Some(place) => {
                    let offset = i64::try_from(place.start).ok();
                    let length = i32::try_from(place.end - place.start).ok();
                    let column = column.into_builder().set_bloom_filter_offset(offset);
                    column.set_bloom_filter_length(length).build()?
                }
            });
        }
        groups.push(group.set_column_metadata(columns).build()?);
    }
    let metadata: ParquetMetaData = metadata.set_row_groups(groups).build();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish()?;
    Ok(footer)
}

/// Where the metadata begins in the end of a file.
fn start_of_metadata(end: &[u8]) -> Result<usize> {
    let length =
        end.last_chunk::<END>().map(|[a, b, c, d, ..]| u32::from_le_bytes([*a, *b, *c, *d]));
    let length = length.and_then(|length| usize::try_from(length).ok()?.checked_add(END));
    let start = length.and_then(|length| end.len().checked_sub(length));
    start.ok_or_else(|| Error::bug("a Parquet file was written without a footer"))
}

/// A writer of a file's rows, which keeps back what is written from some point on.
struct Body<'f, W> {
    out: W,
    footer: &'f RefCell<Option<Vec<u8>>>,
}

impl<W: Write> Write for Body<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.footer.borrow_mut() {
            Some(footer) => footer.write(bytes),
            None => self.out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::bloom_filter::Sbbf;
    use parquet::file::properties::ReaderProperties;
    use parquet::file::reader::FileReader as _;
    use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
    use wabalake_data::tables::{SESSION_KEY, USER_KEY, sessions};

    use super::super::FilterPlaces;
    use super::*;

    fn rows(height: usize) -> DataFrame {
        let key = |row: usize| i64::try_from(row * 7).unwrap();
        let columns = vec![
            Column::new(
                sessions::SESSION_ID.into(),
                (0..height).map(|row| format!("s{row}")).collect::<Vec<_>>(),
            ),
            Column::new(USER_KEY.into(), (0..height).map(key).collect::<Vec<_>>()),
            Column::new(SESSION_KEY.into(), (0..height).map(key).collect::<Vec<_>>()),
        ];
        DataFrame::new(height, columns).unwrap()
    }

    #[test]
    fn filters_are_where_footer_and_tags_say() {
        for height in [1, 1_000, ROW_GROUP + 5] {
            let mut rows = rows(height);
            let mut file = Vec::new();
            let columns = [USER_KEY, SESSION_KEY];
            let (size, tags) = write_parquet(&mut file, &mut rows, &columns).unwrap();
            assert_eq!(size, file.len() as u64);
            let read = ParquetReader::new(io::Cursor::new(&file)).finish().unwrap();
            assert!(read.equals(&rows), "Polars reads the same rows");

            let places = FilterPlaces::read(Some(&tags));
            let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
            let options = ReadOptionsBuilder::new().with_reader_properties(properties);
            let options = options.with_page_index().build();
            let reader = SerializedFileReader::new_with_options(Bytes::from(file.clone()), options);
            let reader = reader.unwrap();
            for (at, place) in [(1, places.users), (2, places.sessions)] {
                let place = place.unwrap();
                let range = usize::try_from(place.range.start).unwrap()
                    ..usize::try_from(place.range.end).unwrap();
                let by_tag = place.open(&file[range]).unwrap();
                for group in 0..reader.num_row_groups() {
                    let group = reader.get_row_group(group).unwrap();
                    let by_footer: &Sbbf = group.get_column_bloom_filter(at).unwrap();
                    for key in (0..height).step_by(1 + height / 100).map(|row| row * 7) {
                        let key = i64::try_from(key).unwrap();
                        assert!(by_tag.check(&key) && by_footer.check(&key));
                    }
                }
            }
        }
    }

    #[test]
    fn file_without_filters_is_that_of_polars() {
        let mut rows = rows(1_000);
        let mut file = Vec::new();
        let (size, tags) = write_parquet(&mut file, &mut rows, &[]).unwrap();
        let mut plain = Vec::new();
        let writer =
            ParquetWriter::new(&mut plain).with_compression(ParquetCompression::Zstd(None));
        assert_eq!(writer.finish(&mut rows).unwrap(), size);
        assert!(file == plain && tags.is_empty());
    }
}
