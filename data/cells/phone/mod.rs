//! Phone numbers: parsed from cells, normalised to the person's `user_phone`.
//!
//! ```text
//! code  number                   user_phone        country   why
//! 57.0  300 555-0101.0           573005550101      CO        float text, separators
//! null  ="+57 300 555‑0101"      573005550101      CO        a formula, a Unicode hyphen
//! null  573005550101@c.us        573005550101      CO        an address inside WhatsApp
//! null  1349@lid                 null              null      such an address without a number
//! null  CO.13491208655302741918  the same          CO        Meta's id of a user without a number
//! 57    3.00556E+09              –                           invalid: it has lost digits
//! 52    19991234567              529991234567      MX        renumbered: Mexico dropped the mobile 1
//! 55    1181234567               5511981234567     BR        WhatsApp's ids leave out the ninth digit
//! 55    5511981234567            5511981234567     BR        the number already has the code
//! null  12025550123              12025550123       US        an international number, as in messages
//! 57    12                       5712              CO        not a valid number: code and digits
//! ```

mod cache;
mod parse;
mod plan;
#[cfg(test)]
mod tests;

pub use cache::Phones;
pub use parse::{digit, digits, is_user_id, read, read_with_plus};
pub use plan::{
    Person, Spellings, dialling_code, earlier_forms, full_number, is_current, is_possible,
    renormalise, spellings,
};
