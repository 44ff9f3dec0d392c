//! People: where they live, their phone numbers, and when they are active.
//!
//! A phone number has a prefix that no operator assigns (an exchange of zeros, or the 555-01 of North
//! American fiction) or that is plainly patterned, and a serial number:
//!
//! ```text
//! CO  57 300 000 nnnn    BR  55 11 9 0000 nnnn    ES  34 600 00 nnnn    US  1 202 555 01nn
//! MX  52 555 000 nnnn    AR  54 9 11 000n nnnn    IN  91 70 0000 nnnn   CA  1 416 555 01nn
//! ```
//!
//! Each country therefore has a limited number of people; in a very large plan they repeat.

use super::random::{Random, hash};

/// The language of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Spanish,
    Portuguese,
    English,
}

/// A country that the business serves.
#[derive(Debug)]
pub(super) struct Country {
    /// The name in the tabular report.
    pub(super) name: &'static str,
    /// The dialling code.
    pub(super) code: &'static str,
    /// The prefixes of national numbers.
    pub(super) prefixes: &'static [&'static str],
    /// The number of digits after prefix and middle.
    tail: u32,
    /// The digits between prefix and tail.
    middle: &'static str,
    /// The share of people who live here, per mille.
    weight: u32,
    /// Hours behind UTC, modulo 24, without DST.
    behind: usize,
    /// The load of each local hour.
    rhythm: &'static [u32; 24],
    pub(super) language: Language,
    /// The line that serves it, by index in `company::LINES`.
    pub(super) line: usize,
}

const LATE_AND_LONG: [u32; 24] =
    [9, 4, 2, 1, 1, 2, 5, 12, 24, 38, 47, 50, 48, 44, 43, 45, 47, 48, 51, 55, 54, 45, 31, 18];
const WITH_SIESTA: [u32; 24] =
    [14, 6, 2, 1, 1, 1, 3, 9, 20, 36, 46, 50, 52, 47, 30, 20, 24, 36, 45, 50, 54, 56, 46, 28];
const EARLY: [u32; 24] =
    [3, 2, 1, 1, 2, 5, 13, 28, 42, 50, 52, 50, 54, 50, 46, 45, 46, 48, 46, 40, 30, 20, 11, 6];

/// The load of each local hour for sends: office hours.
const OFFICE: [u32; 24] =
    [0, 0, 0, 0, 0, 0, 0, 4, 38, 72, 80, 66, 40, 36, 52, 64, 58, 40, 18, 6, 1, 0, 0, 0];

/// The weight of each local weekday, from Monday, for visits and for sends.
const WEEK: [[u32; 7]; 2] =
    [[154, 156, 153, 152, 148, 128, 109], [176, 182, 178, 174, 160, 92, 38]];

/// The countries, by decreasing weight.
pub(super) static COUNTRIES: [Country; 8] = [
    Country {
        name: "Colombia",
        code: "57",
        prefixes: &[
            "300", "301", "302", "303", "304", "305", "310", "311", "312", "313", "314", "315",
            "316", "317", "318", "319", "320", "321", "322", "323", "330", "333", "350", "351",
        ],
        middle: "000",
        tail: 4,
        weight: 340,
        behind: 5,
        rhythm: &LATE_AND_LONG,
        language: Language::Spanish,
        line: 0,
    },
    Country {
        name: "Mexico",
        code: "52",
        prefixes: &[
            "555", "550", "330", "810", "221", "222", "228", "229", "238", "246", "271", "311",
            "312", "314", "322", "341", "351", "352", "378", "392", "411", "427", "442", "443",
            "444", "449", "461", "462", "477", "492", "493", "612", "614", "618", "624", "627",
            "631", "644", "646", "656", "662", "664", "667", "668", "686", "722", "744", "771",
            "775", "777", "833", "834", "844", "867", "871", "899", "921", "951", "961", "998",
        ],
        middle: "000",
        tail: 4,
        weight: 220,
        behind: 6,
        rhythm: &LATE_AND_LONG,
        language: Language::Spanish,
        line: 1,
    },
    Country {
        name: "Brazil",
        code: "55",
        prefixes: &[
            "11", "12", "13", "14", "15", "16", "17", "18", "19", "21", "22", "24", "27", "28",
            "31", "32", "33", "34", "35", "37", "38", "41", "42", "43", "44", "45", "46", "47",
            "48", "49", "51", "53", "54", "55", "61", "62", "63", "64", "65", "66", "67", "68",
            "69", "71", "73", "74", "75", "77", "79", "81", "82", "83", "84", "85", "86", "87",
            "88", "89", "91", "92", "93", "94", "95", "96", "97", "98", "99",
        ],
        middle: "90000",
        tail: 4,
        weight: 180,
        behind: 3,
        rhythm: &LATE_AND_LONG,
        language: Language::Portuguese,
        line: 2,
    },
    Country {
        name: "Argentina",
        code: "54",
        prefixes: &["911"],
        middle: "000",
        tail: 5,
        weight: 90,
        behind: 3,
        rhythm: &WITH_SIESTA,
        language: Language::Spanish,
        line: 0,
    },
    Country {
        name: "Spain",
        code: "34",
        prefixes: &[
            "600", "605", "606", "607", "608", "609", "610", "611", "612", "615", "616", "617",
            "618", "619", "620", "622", "625", "626", "627", "628", "629", "630", "633", "635",
            "636", "637", "638", "639", "640", "644", "645", "646", "647", "648", "649", "650",
        ],
        middle: "00",
        tail: 4,
        weight: 60,
        behind: 24 - 2,
        rhythm: &WITH_SIESTA,
        language: Language::Spanish,
        line: 0,
    },
    Country {
        name: "India",
        code: "91",
        prefixes: &[
            "70", "71", "72", "73", "74", "75", "76", "77", "78", "79", "80", "81", "82", "83",
            "84", "85", "86", "87", "88", "89", "90", "91", "92", "93", "94", "95", "96", "97",
            "98", "99",
        ],
        middle: "0000",
        tail: 4,
        weight: 50,
        behind: 24 - 5,
        rhythm: &EARLY,
        language: Language::English,
        line: 0,
    },
    Country {
        name: "United States of America",
        code: "1",
        prefixes: &[
            "202", "203", "205", "206", "207", "208", "209", "210", "212", "213", "214", "215",
            "216", "217", "218", "219", "224", "225", "228", "229", "231", "234", "239", "240",
            "248", "251", "252", "253", "254", "256", "260", "262", "267", "269", "270", "276",
            "281", "301", "302", "303", "304", "305", "307", "308", "309", "310", "312", "313",
            "314", "315", "316", "317", "318", "319", "320", "321", "323", "330", "336", "337",
            "339", "347", "351", "352", "360", "361", "386", "401", "402", "404", "405", "406",
            "407", "408", "409", "410", "412", "413", "414", "415", "417", "419", "423", "424",
            "425", "432", "434", "435", "440", "443", "469", "478", "479", "480", "484", "501",
            "502", "503", "504", "505", "507", "508", "509", "510", "512", "513", "515", "516",
            "517", "518", "520", "530", "540", "541", "551", "559", "561", "562", "563", "567",
        ],
        middle: "55501",
        tail: 2,
        weight: 35,
        behind: 5,
        rhythm: &EARLY,
        language: Language::English,
        line: 1,
    },
    Country {
        name: "Canada",
        code: "1",
        prefixes: &[
            "204", "226", "236", "249", "250", "289", "306", "343", "365", "403", "416", "418",
            "431", "437", "438", "450", "506", "514", "519", "548", "579", "581", "587", "604",
            "613", "639", "647", "705", "709", "778", "780", "807", "819", "825", "867", "873",
            "902", "905",
        ],
        middle: "55501",
        tail: 2,
        weight: 25,
        behind: 5,
        rhythm: &EARLY,
        language: Language::English,
        line: 1,
    },
];

#[cfg(test)]
impl Country {
    /// The first and the last number of each prefix.
    pub(super) fn extremes(&self) -> impl Iterator<Item = [National; 2]> {
        let numbers = 10_u64.pow(self.tail);
        (0..self.prefixes.len() as u64)
            .map(move |p| [p * numbers, (p + 1) * numbers - 1].map(|n| National::new(self, n)))
    }
}

/// A national phone number, in digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct National {
    digits: [u8; 12],
    length: usize,
}

impl National {
    fn new(country: &Country, number: u64) -> Self {
        let capacity = 10_u64.pow(country.tail);
        let prefix = usize::try_from(number / capacity).unwrap_or(0) % country.prefixes.len();
        let mut national = Self { digits: [0; 12], length: 0 };
        national.push(country.prefixes[prefix].as_bytes());
        national.push(country.middle.as_bytes());
        for power in (0..country.tail).rev() {
            let digit = number / 10_u64.pow(power) % 10;
            national.push(&[b'0' + u8::try_from(digit).unwrap_or(0)]);
        }
        national
    }

    fn push(&mut self, digits: &[u8]) {
        self.digits[self.length..self.length + digits.len()].copy_from_slice(digits);
        self.length += digits.len();
    }

    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

/// A person who writes to the business or receives its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    /// The index in [`COUNTRIES`].
    country: usize,
    pub(super) national: National,
    /// Random bits that are constant for the person.
    pub(super) nature: u64,
}

impl Person {
    /// The person whose first episode has that number, counted over all days. Before the plan's first
    /// day, numbers are negative: that person was a customer already.
    pub(super) fn new(seed: u64, episode: i64) -> Self {
        let nature = hash(&[seed, 1, episode.cast_unsigned()]);
        let index = Random::new(nature).weighted(&COUNTRIES, |country| country.weight);
        let country = &COUNTRIES[index];
        let numbers = i64::try_from(country.prefixes.len()).unwrap_or(1) * 10_i64.pow(country.tail);
        // Multiplying by a prime permutes the numbers, so that none repeats before all are used.
        let number = episode.rem_euclid(numbers) * 6_700_417 % numbers;
        let national = National::new(country, number.unsigned_abs());
        Self { country: index, national, nature }
    }

    pub(super) fn country(&self) -> &'static Country {
        &COUNTRIES[self.country]
    }
}

/// The distribution of episodes over the hours of a UTC day, by country, for visits and sends.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// Cumulative weights of the hours, for visits and sends.
    sums: [[[u32; 24]; 2]; COUNTRIES.len()],
}

impl Rhythm {
    /// The distributions of the weekdays, from Monday.
    pub(super) fn of_week() -> [Self; 7] {
        std::array::from_fn(Self::of)
    }

    /// The distribution on a weekday, counted from Monday as 0.
    fn of(weekday: usize) -> Self {
        let mut sums = [[[0; 24]; 2]; COUNTRIES.len()];
        for (country, sums) in COUNTRIES.iter().zip(&mut sums) {
            for (sends, sums) in sums.iter_mut().enumerate() {
                let rhythm = if sends == 1 { &OFFICE } else { country.rhythm };
                let mut sum = 0;
                for (utc, slot) in sums.iter_mut().enumerate() {
                    let local = weekday * 24 + utc + 7 * 24 - country.behind;
                    sum += rhythm[local % 24] * WEEK[sends][local / 24 % 7];
                    *slot = sum;
                }
            }
        }
        Self { sums }
    }

    /// Draws the UTC hour in which an episode of that person starts.
    pub(super) fn hour(&self, person: &Person, sends: bool, random: &mut Random) -> u32 {
        let sums = &self.sums[person.country][usize::from(sends)];
        let at = random.below(sums[23]);
        sums.iter().zip(0..).find(|(sum, _)| at < **sum).map_or(0, |(_, hour)| hour)
    }
}
