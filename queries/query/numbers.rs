//! Parser of whole numbers within a range.
//!
//! ```text
//! --days '1, 7,30'   1, 7 and 30
//! --days 1,x         an error whose hint names the range
//! ```

use std::num::IntErrorKind;
use std::ops::RangeInclusive;

use wabalake_data::Invalid;

/// Returns a parser of whole numbers within a range. White space around a number is ignored.
///
/// # Errors
/// A text that is not a whole number, or a number outside the range. The hint names the range.
pub fn whole<T>(
    range: RangeInclusive<i64>,
) -> impl Fn(&str) -> Result<T, Invalid> + Clone + Send + Sync + 'static
where
    T: TryFrom<i64> + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.trim().parse::<i64>();
        let outside = match &number {
            Ok(number) => !range.contains(number),
            Err(error) => {
                matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow)
            }
        };
        let taken = number.ok().filter(|number| range.contains(number));
        taken.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let example = 30.clamp(*least, *most);
            let up_to = match u32::try_from(*most) {
                Ok(most) if most < u32::MAX => format!("from {least} to {most}"),
                _ => format!("from {least} on"),
            };
            let what = if outside { "out of range" } else { "not a whole number" };
            Invalid::new(what).hint(format!("write a whole number {up_to}, such as {example}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_within_a_range_are_parsed() {
        let days = whole::<i32>(1..=36_500);
        for text in ["7", " 7", "7 ", "\t7", "+7", "007"] {
            assert_eq!(days(text), Ok(7), "{text:?}");
        }
        let invalid =
            |what| Err(Invalid::new(what).hint("write a whole number from 1 to 36500, such as 30"));
        for text in ["", "x", "7.5", "7 days", "seven"] {
            assert_eq!(days(text), invalid("not a whole number"), "{text:?}");
        }
        for text in ["0", "-1", "36501", "99999999999999999999"] {
            assert_eq!(days(text), invalid("out of range"), "{text:?}");
        }
        let open = whole::<u32>(1..=u32::MAX.into())("0").unwrap_err().hint.unwrap();
        assert!(open.ends_with("from 1 on, such as 30"), "{open}");
    }
}
