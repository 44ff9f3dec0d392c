//! Countries that renumbered their phones: numbers in an older or a domestic form are the same person
//! as in the current form.
//!
//! ```text
//! country  current form    older and domestic forms
//! AR       5491123456789   541123456789, 54111523456789, 549111523456789
//! BJ       2290197123456   22997123456
//! BR       5511981234567   551181234567
//! MX       529991234567    5219991234567
//! ```

/// The renumbering rules of one country.
#[derive(Clone, Copy, Debug)]
pub struct Renumbered {
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// The dialling code.
    pub code: i32,
    /// The source of the rules.
    pub source: &'static str,
    /// The candidates for the current form of a national number; the first valid one is it.
    pub(crate) current_forms: fn(&str) -> Vec<String>,
    /// The older and domestic forms of a national number in its current form.
    pub(crate) older_forms: fn(&str) -> Vec<String>,
}

/// The renumbered countries, sorted.
pub static RENUMBERED: [Renumbered; 4] = [
    Renumbered {
        country: "AR",
        code: 54,
        source: "WhatsApp Help Center, About international phone number format: numbers of Argentina have a 9 between \
                 the country code and the area code, and the prefix 15 is removed; Plan Fundamental de \
                 Numeración Nacional (Resolución 46/97 of the Secretaría de Comunicaciones)",
        current_forms: |national| match national.len() {
            10 => vec![format!("9{national}")],
            13 => {
                let local = national.strip_prefix('9').unwrap_or_default();
                AREA_CODES.filter_map(|digits| without_15(local, digits)).collect()
            }
            _ => Vec::new(),
        },
        older_forms: |national| {
            let Some(local) = national.strip_prefix('9') else { return Vec::new() };
            let with_15 = AREA_CODES.filter_map(|digits| {
                let (area, subscriber) = local.split_at_checked(digits)?;
                Some(format!("{area}15{subscriber}"))
            });
            let with_15: Vec<String> = with_15.collect();
            let with_both = with_15.iter().map(|number| format!("9{number}"));
            std::iter::once(local.to_owned()).chain(with_15.clone()).chain(with_both).collect()
        },
    },
    Renumbered {
        country: "BJ",
        code: 229,
        source: "ARCEP Bénin, national numbering plan of 30 November 2024: 01 before each number of eight \
                 digits",
        current_forms: |national| match national.len() {
            8 => vec![format!("01{national}")],
            _ => Vec::new(),
        },
        older_forms: |national| {
            let before = national.strip_prefix("01").filter(|before| before.len() == 8);
            before.map(str::to_owned).into_iter().collect()
        },
    },
    Renumbered {
        country: "BR",
        code: 55,
        source: "Anatel, Resolução 553/2010: a 9 before each mobile number of eight digits; WhatsApp's own ids \
                 leave it out",
        current_forms: |national| match national.split_at_checked(2) {
            Some((area, subscriber))
                if subscriber.len() == 8 && subscriber.starts_with(['6', '7', '8', '9']) =>
            {
                vec![format!("{area}9{subscriber}")]
            }
            _ => Vec::new(),
        },
        older_forms: |national| match national.split_at_checked(2) {
            Some((area, subscriber)) if subscriber.len() == 9 => {
                let before = subscriber.strip_prefix('9');
                before.map(|before| format!("{area}{before}")).into_iter().collect()
            }
            _ => Vec::new(),
        },
    },
    Renumbered {
        country: "MX",
        code: 52,
        source: "IFT, Plan Técnico Fundamental de Numeración in force since 3 August 2019: ten digits, without the \
                 1 before mobile numbers; WhatsApp's own ids still have it",
        current_forms: |national| match national.strip_prefix('1') {
            Some(now) if now.len() == 10 => vec![now.to_owned()],
            _ => Vec::new(),
        },
        older_forms: |national| match national.len() {
            10 => vec![format!("1{national}")],
            _ => Vec::new(),
        },
    },
];

/// The rules of a dialling code.
pub(crate) fn of_code(code: i32) -> Option<&'static Renumbered> {
    RENUMBERED.iter().find(|renumbered| renumbered.code == code)
}

/// The rules that apply to an international number, and its national part.
pub(crate) fn of_number(full: &str) -> Option<(&'static Renumbered, &str)> {
    RENUMBERED.iter().find_map(|rules| {
        let (code, national) = full.split_at_checked(if rules.code < 100 { 2 } else { 3 })?;
        (code.parse() == Ok(rules.code)).then_some((rules, national))
    })
}

/// The lengths of Argentina's area codes.
const AREA_CODES: std::ops::RangeInclusive<usize> = 2..=4;

/// Replaces the 15 after Argentina's area code, of that length, with a 9 before it.
fn without_15(local: &str, digits: usize) -> Option<String> {
    let (area, rest) = local.split_at_checked(digits)?;
    Some(format!("9{area}{}", rest.strip_prefix("15")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::countries;

    #[test]
    fn rules_have_a_country_and_a_source() {
        for Renumbered { country, source, .. } in RENUMBERED {
            assert!(countries::name(country).is_some() && !source.is_empty(), "{country}");
        }
        assert!(RENUMBERED.is_sorted_by_key(|renumbered| renumbered.country));
    }

    #[test]
    fn rules_map_the_examples_of_the_module() {
        let rows = [
            ("AR", "91123456789", "1123456789"),
            ("AR", "91123456789", "111523456789"),
            ("AR", "91123456789", "9111523456789"),
            ("BJ", "0197123456", "97123456"),
            ("BR", "11981234567", "1181234567"),
            ("MX", "9991234567", "19991234567"),
        ];
        for (country, stored, written) in rows {
            let of = RENUMBERED.iter().find(|known| known.country == country).unwrap();
            assert!((of.older_forms)(stored).iter().any(|other| other == written), "{written}");
            // libphonenumber itself handles a 15 without a 9.
            if written != "111523456789" {
                assert!(
                    (of.current_forms)(written).iter().any(|number| number == stored),
                    "{written}"
                );
            }
        }
    }
}
