//! Builds HTML in which no text can become markup.
//!
//! ```text
//! Html::raw("<td>")          markup, from string literals of this program only: &'static str
//! Html::text("<script>…")    any other text: &lt;script&gt;…
//! ```
//!
//! Since [`Html`] takes markup only from literals, whatever comes from a lake is escaped.

use std::fmt::Write as _;

use crate::render::escape;

/// A piece of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds a text, as content or inside a quoted attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        escape(text, &mut self.0);
        self
    }

    /// Adds a text as content; what stands between two backticks is code.
    pub(super) fn prose(&mut self, text: &str) -> &mut Self {
        let mut rest = text;
        while let Some((before, code, after)) = first_code(rest) {
            self.text(before).raw("<code>").text(code).raw("</code>");
            rest = after;
        }
        self.text(rest)
    }

    /// Adds a coordinate with at most three decimals.
    pub(super) fn at(&mut self, number: f64) -> &mut Self {
        let rounded = (number * 1000.0).round() / 1000.0;
        // Writing to a String does not fail.
        let _ = write!(self.0, "{}", if rounded == 0.0 { 0.0 } else { rounded });
        self
    }

    /// Adds a piece of HTML.
    pub(super) fn add(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// The markup.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Splits a text at its first pair of backticks: before, between and after them.
fn first_code(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_text(text: &str) -> String {
        let mut html = Html::new();
        html.text(text);
        html.into_string()
    }

    #[test]
    fn hostile_texts_are_escaped() {
        for (text, shown) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\"><img src=x onerror=alert(1)>", "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"),
            ("' onmouseover='alert(1)", "&#39; onmouseover=&#39;alert(1)"),
            ("</style></svg><svg/onload=a()>", "&lt;/style&gt;&lt;/svg&gt;&lt;svg/onload=a()&gt;"),
            ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
            ("`${a}`", "&#96;${a}&#96;"),
            ("a\u{202e}b\u{0}c\nd", r"a\u{202e}b\u{0}c\nd"),
            ("¿Qué tal? 👋", "¿Qué tal? 👋"),
        ] {
            assert_eq!(of_text(text), shown);
        }
    }

    #[test]
    fn texts_between_backticks_are_code() {
        for (text, shown) in [
            ("a `--by` b `c`", "a <code>--by</code> b <code>c</code>"),
            ("`<b>`", "<code>&lt;b&gt;</code>"),
            ("one ` alone", "one &#96; alone"),
            ("", ""),
        ] {
            assert_eq!(Html::new().prose(text).as_str(), shown);
        }
    }

    proptest! {
        /// No text opens a tag, ends an attribute or begins an entity of its own.
        #[test]
        fn no_text_becomes_markup(text in "(\\PC|[<>&\"'`=/ \u{0}\n\u{202e}]){0,40}") {
            let html = of_text(&text);
            let markup = ['<', '>', '"', '\'', '`', '\u{0}', '\n', '\u{202e}'];
            prop_assert!(!html.contains(markup));
            let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#96;"];
            let bare = entities.iter().fold(html, |html, entity| html.replace(entity, ""));
            prop_assert!(!bare.contains('&'), "{bare}");
        }
    }
}
