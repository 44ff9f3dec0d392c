//! The currency of a rate card's cell.

/// The ISO 4217 code of a currency: three letters are one, and some signs stand for one. `None` for any
/// other cell.
pub(super) fn code(cell: &str) -> Option<String> {
    let code = match cell {
        "$US" | "US$" => "USD",
        "€" => "EUR",
        "£" => "GBP",
        "₹" => "INR",
        "R$" => "BRL",
        code if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => code,
        _ => return None,
    };
    Some(code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_codes_are_currencies() {
        let cases = [("$US", "USD"), ("US$", "USD"), ("R$", "BRL"), ("₹", "INR"), ("MXN", "MXN")];
        for (cell, expected) in cases {
            assert_eq!(code(cell).as_deref(), Some(expected));
        }
        assert_eq!(["$", "", "Dollar", "¥"].map(code), [const { None }; 4]);
    }
}
