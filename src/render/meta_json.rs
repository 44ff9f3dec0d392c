//! A response of Meta's API, which `load` can read.
//!
//! ```text
//! {"analytics":{"phone_numbers":["15550100"],"country_codes":["US"],"granularity":"DAY",
//!   "data_points":[{"start":1748736000,"end":1748822400,"sent":4,"delivered":3}]},"id":"1001"}
//! {"pricing_analytics":{"data":[{"data_points":[…]}]},"id":"1001"}
//! ```
//!
//! A data point has a key for each column of the answer that is not null.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;

use polars::prelude::DataFrame;
use wabalake_data::tables::meta_points::{
    CLICKED, COST, COUNTRY_CODES, FIELDS, PHONE_NUMBERS, UNIQUE_CLICKED, WABA_ID,
};
use wabalake_queries::query::Envelope;

use super::Answer;
use super::batches::Batch;
use super::cells::Value;
use super::json::quoted;
use crate::error::{Error, Result};

/// The parts of a response around the data points.
#[derive(Clone, Debug)]
pub struct Response {
    field: &'static str,
    granularity: &'static str,
    phone_numbers: Vec<String>,
    country_codes: Vec<String>,
    id: Option<String>,
}

impl Response {
    /// Combines the envelope of a question with the accounts, lines and countries found in the rows.
    ///
    /// # Errors
    /// Data points of more than one account.
    pub fn of(envelope: &Envelope, met: &DataFrame) -> Result<Self> {
        let met_in = |column: &str| -> Result<BTreeSet<String>> {
            let texts = met.column(column)?.str()?;
            let words = texts.iter().flatten().flat_map(|text| text.split(','));
            Ok(words.map(str::to_owned).collect())
        };
        let listed = |asked: &Option<Vec<String>>, column: &str| match asked {
            Some(words) => Ok(words.clone()),
            None => met_in(column).map(|words| words.into_iter().collect()),
        };
        let asked: BTreeSet<&String> = envelope.wabas.iter().collect();
        let accounts = met.column(WABA_ID)?.str()?;
        let met: BTreeSet<Option<&str>> = accounts.iter().collect();
        let id = match (asked.first(), asked.len(), met.len()) {
            (Some(only), 1, _) => Some((*only).clone()),
            (_, _, 0 | 1) => met.first().copied().flatten().map(str::to_owned),
            _ => {
                let some: Vec<&str> = met.iter().flatten().copied().take(5).collect();
                return Err(Error::usage(
                    "a response of Meta's API is for one account, and there are several",
                )
                .hint(format!("name one with `--waba`, such as {}", some.join(" or "))));
            }
        };
        Ok(Self {
            field: envelope.field,
            granularity: envelope.granularity,
            phone_numbers: listed(&envelope.phone_numbers, PHONE_NUMBERS)?,
            country_codes: listed(&envelope.country_codes, COUNTRY_CODES)?,
            id,
        })
    }
}

/// Writes the response.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    let Some(response) = &answer.response else {
        return Err(Error::bug("an answer without the envelope of its response"));
    };
    let [messages, _, _, templates, ..] = FIELDS;
    let list = |words: &[String]| serde_json::Value::from(words).to_string();
    let (mut head, mut tail) = (format!("{{\"{}\":{{", response.field), String::new());
    if response.field == messages {
        // Writing to a String does not fail.
        let _ = write!(
            head,
            "\"phone_numbers\":{},\"country_codes\":{},\"granularity\":\"{}\",",
            list(&response.phone_numbers),
            list(&response.country_codes),
            response.granularity,
        );
    } else {
        head.push_str("\"data\":[{");
        tail.push_str("}]");
    }
    let id = response.id.as_deref().map_or_else(|| "null".to_owned(), quoted);
    let _ = writeln!(tail, "}},\"id\":{id}}}");

    let answer = answer.whole()?;
    let mut text = head + "\"data_points\":[";
    for row in 0..answer.rows() {
        text.push_str(if row == 0 { "\n" } else { ",\n" });
        push_point(&answer, row, response.field == templates, &mut text);
        out.write_all(text.as_bytes())?;
        text.clear();
    }
    text.push(']');
    out.write_all((text + &tail).as_bytes())?;
    Ok(())
}

/// Writes a data point. For templates, Meta lists costs by type and clicks by button, people who
/// clicked among the buttons.
fn push_point(answer: &Batch<'_>, row: usize, of_a_template: bool, text: &mut String) {
    let mut pairs = Vec::new();
    let mut clicks = Vec::new();
    for (name, cells) in answer.names().zip(answer.cells()) {
        let mut written = String::new();
        match cells.get(row) {
            Value::Null => continue,
            Value::Text(value) => written.push_str(&quoted(value)),
            value => value.write(&mut written),
        }
        match name {
            CLICKED if of_a_template => clicks.push(format!("{{\"count\":{written}}}")),
            UNIQUE_CLICKED if of_a_template => {
                clicks.push(format!("{{\"type\":\"unique_url_button\",\"count\":{written}}}"));
            }
            COST if of_a_template => {
                let spent = format!("[{{\"type\":\"amount_spent\",\"value\":{written}}}]");
                pairs.push((COST, spent));
            }
            name => pairs.push((name, written)),
        }
    }
    if !clicks.is_empty() {
        pairs.push((CLICKED, format!("[{}]", clicks.join(","))));
    }
    let pairs = pairs.iter().map(|(name, value)| format!("{}:{value}", quoted(name)));
    // Writing to a String does not fail.
    let _ = write!(text, "{{{}}}", pairs.collect::<Vec<_>>().join(","));
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;
    use wabalake_data::tables::meta_points::{DELIVERED, END, READ, SENT, START, TEMPLATE_ID};

    use super::super::tests::written;
    use super::super::{Answer, Format};
    use super::*;

    fn envelope(field: &'static str, wabas: &[&str]) -> Envelope {
        Envelope {
            field,
            granularity: "DAY",
            wabas: wabas.iter().map(|waba| (*waba).to_owned()).collect(),
            phone_numbers: None,
            country_codes: Some(vec!["BR".to_owned()]),
            met: DataFrame::empty().lazy(),
        }
    }

    fn met(wabas: &[Option<&str>]) -> DataFrame {
        let lines: Vec<_> = wabas.iter().map(|_| Some("15550102,15550101")).collect();
        df![WABA_ID => wabas, PHONE_NUMBERS => lines.clone(), COUNTRY_CODES => lines].unwrap()
    }

    #[test]
    fn message_points_have_number_and_country_lists() {
        let frame = df![START => [0i64, 1], END => [1i64, 2], SENT => [Some(4i64), None]].unwrap();
        let response = Response::of(&envelope("analytics", &[]), &met(&[Some("7")])).unwrap();
        let answer = Answer::plain(frame).unwrap().within(response);
        assert_eq!(
            written(&answer, Format::MetaJson),
            "{\"analytics\":{\"phone_numbers\":[\"15550101\",\"15550102\"],\
             \"country_codes\":[\"BR\"],\"granularity\":\"DAY\",\"data_points\":[\n\
             {\"start\":0,\"end\":1,\"sent\":4},\n{\"start\":1,\"end\":2}]},\"id\":\"7\"}\n"
        );
    }

    #[test]
    fn template_points_nest_clicks_and_costs() {
        let frame = df![
            START => [0i64], END => [1i64], TEMPLATE_ID => ["a\"b"], DELIVERED => [1i64], READ => [0i64],
            CLICKED => [2i64], UNIQUE_CLICKED => [1i64], COST => [0.5],
        ];
        let response = Response::of(&envelope("template_analytics", &[]), &met(&[])).unwrap();
        let answer = Answer::plain(frame.unwrap()).unwrap().within(response);
        assert_eq!(
            written(&answer, Format::MetaJson),
            "{\"template_analytics\":{\"data\":[{\"data_points\":[\n\
             {\"start\":0,\"end\":1,\"template_id\":\"a\\\"b\",\"delivered\":1,\"read\":0,\
             \"cost\":[{\"type\":\"amount_spent\",\"value\":0.5}],\"clicked\":[{\"count\":2},\
             {\"type\":\"unique_url_button\",\"count\":1}]}]}]},\
             \"id\":null}\n"
        );
    }

    #[test]
    fn response_is_for_one_account() {
        let id = |wabas: &[&str], there: &[Option<&str>]| {
            let response = Response::of(&envelope("analytics", wabas), &met(there));
            response.map(|response| response.id)
        };
        assert_eq!(id(&["7"], &[Some("8")]).unwrap().as_deref(), Some("7"));
        assert_eq!(id(&["7", "8"], &[Some("8")]).unwrap().as_deref(), Some("8"));
        assert_eq!(id(&[], &[None]).unwrap(), None);
        for several in [&[Some("7"), Some("8")][..], &[Some("7"), None]] {
            let error = id(&[], several).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.lines().contains("`--waba`, such as 7"), "{}", error.lines());
        }
    }
}
