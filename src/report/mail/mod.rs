//! The page as a mail: its sections laid out for programs that read mail.
//!
//! ```text
//! sections      the page's markup, which is well-formed XML
//!   │ layout     tables of at most 600 pixels, styles in the elements alone
//!   │ draw       SVG as PNG, named by a hash of its bytes
//!   │ words      the same as plain text
//!   ▼
//! multipart/related
//!   ├─ multipart/alternative: text/plain, text/html
//!   └─ image/png, …
//! ```
//!
//! Programs that read mail ignore style sheets, scripts and SVG, and cut off long HTML. What is folded
//! on the page is left out, and sections at the end are left off until the HTML is short enough.

mod draw;
mod layout;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;
use roxmltree::Document;
use uuid::Uuid;

use self::layout::{Image, Layout};
use super::html::Html;
use super::{PageContext, Section};
use crate::error::{Error, Result};
use crate::render::visible;

/// The maximum number of bytes of HTML. Gmail shows 102 kB of a message.
const MOST_BYTES: usize = 100_000;

/// Ends the ids of parts and messages: a name that no machine has.
const DOMAIN: &str = "wabalake.invalid";

/// A section of the mail.
struct Part {
    title: &'static str,
    html: Html,
    text: String,
    images: Vec<Image>,
}

impl Part {
    fn of(title: &'static str, about: &str, body: &Html) -> Result<Self> {
        let markup = format!("<body>{}</body>", body.as_str());
        // XML has no such characters.
        let markup = markup.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
        let parsed = Document::parse(&markup)
            .map_err(|error| Error::bug(format!("the markup of the section `{title}`: {error}")))?;
        let mut layout = Layout::default();
        let mut html = Html::new();
        html.raw(
            "<tr><td bgcolor=\"#ffffff\" style=\"padding:18px 20px;border:1px solid #e2dfd8\">",
        );
        html.raw("<h2 style=\"margin:0 0 2px;font-size:18px;line-height:24px\">");
        html.raw(title).raw("</h2>");
        let mut text = format!("{title}\n{}\n", "-".repeat(title.chars().count()));
        if !about.is_empty() {
            html.raw("<p style=\"margin:0 0 12px;font-size:13px;line-height:18px;color:#55606d\">");
            html.prose(about).raw("</p>");
            // Writing to a String does not fail.
            let _ = writeln!(text, "{}\n", visible(about));
        }
        layout.children(parsed.root_element(), &mut html)?;
        html.raw(
            "</td></tr>\n<tr><td height=\"12\" style=\"font-size:1px;line-height:12px\">&nbsp;",
        );
        html.raw("</td></tr>\n");
        words::write(parsed.root_element(), &mut text);
        Ok(Self { title, html, text, images: layout.images })
    }
}

/// The mail around its sections, which name nobody.
pub(super) fn message(
    title: &str,
    page: &PageContext<'_>,
    sections: &[Section],
    subject: Option<&str>,
) -> Result<Vec<u8>> {
    let part = |section: &Section| Part::of(section.title, &section.about, &section.body);
    let parts = sections.iter().map(part).collect::<Result<Vec<_>>>()?;
    let frame = Frame { title, dates: page.dates(), made: page.made() };
    let kept = frame.kept(&parts);
    let html = frame.html(&parts, kept).into_string();
    let text = frame.text(&parts, kept);
    let bodies = vec![MimePart::new("text/plain", text), MimePart::new("text/html", html)];
    let mut related = vec![MimePart::new("multipart/alternative", bodies)];
    let mut known = BTreeSet::new();
    for image in parts[..kept].iter().flat_map(|part| &part.images) {
        if known.insert(&image.id) {
            let part = MimePart::new("image/png", image.png.as_slice());
            related.push(part.inline().cid(image.id.as_str()));
        }
    }
    let form = ContentType::new("multipart/related").attribute("type", "multipart/alternative");
    let subject =
        subject.map_or_else(|| format!("{title}: {}", page.period.words()), str::to_owned);
    // A header is one line.
    let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = MessageBuilder::new()
        .subject(visible(&subject).into_owned())
        .message_id(format!("{}@{DOMAIN}", Uuid::new_v4()))
        .body(MimePart::new(form, related));
    Ok(message.write_to_vec()?)
}

/// What stands around the sections.
struct Frame<'a> {
    title: &'a str,
    dates: String,
    made: String,
}

impl Frame<'_> {
    /// How many of the first sections fit.
    fn kept(&self, parts: &[Part]) -> usize {
        let fits = |kept: &usize| self.html(parts, *kept).as_str().len() <= MOST_BYTES;
        (0..=parts.len()).rev().find(fits).unwrap_or(0)
    }

    /// The HTML with the first sections. Its last line names the others.
    fn html(&self, parts: &[Part], kept: usize) -> Html {
        let mut html = Html::new();
        html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.raw("<meta name=\"color-scheme\" content=\"light\">\n<title>").text(self.title);
        html.raw("</title></head>\n<body style=\"margin:0;padding:0;background:#faf9f6\">\n");
        html.raw(
            "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" ",
        );
        html.raw("border=\"0\" bgcolor=\"#faf9f6\"><tr><td align=\"center\">\n");
        html.raw("<table role=\"presentation\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" ");
        html.raw("border=\"0\" style=\"width:100%;max-width:600px;font-family:Arial,Helvetica,");
        html.raw("sans-serif;font-size:14px;line-height:20px;color:#1d232b\">\n");
        html.raw("<tr><td style=\"padding:24px 20px 16px\"><h1 style=\"margin:0 0 4px;");
        html.raw("font-size:24px;line-height:30px;word-break:break-word\">").text(self.title);
        html.raw("</h1><p style=\"margin:0;color:#55606d\">").text(&self.dates);
        html.raw("</p></td></tr>\n");
        for part in &parts[..kept] {
            html.add(&part.html);
        }
        html.raw("<tr><td style=\"padding:4px 20px 24px;font-size:12px;line-height:16px;");
        html.raw("color:#55606d\"><p style=\"margin:0\">").text(&self.footer()).raw("</p>");
        if let Some(left_off) = left_off(&parts[kept..]) {
            html.raw("\n<p style=\"margin:8px 0 0\">").text(&left_off).raw("</p>");
        }
        html.raw("</td></tr></table></td></tr></table></body></html>\n");
        html
    }

    /// The same as plain text.
    fn text(&self, parts: &[Part], kept: usize) -> String {
        let mut text = format!("{}\n{}\n\n", visible(self.title), self.dates);
        for part in &parts[..kept] {
            text.push_str(&part.text);
            text.push('\n');
        }
        text.push_str(&self.footer());
        text.push('\n');
        if let Some(left_off) = left_off(&parts[kept..]) {
            text.push_str(&left_off);
            text.push('\n');
        }
        text
    }

    fn footer(&self) -> String {
        format!("This mail names nobody. It was {}.", self.made)
    }
}

/// Names the sections that are not in the mail.
fn left_off(parts: &[Part]) -> Option<String> {
    let titles: Vec<&str> = parts.iter().map(|part| part.title).collect();
    (!titles.is_empty())
        .then(|| format!("Left off, as a mail must be short: {}.", titles.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(title: &'static str, body: &str) -> Part {
        let mut html = Html::new();
        html.raw("<table><tr><td>").text(body).raw("</td></tr></table>");
        Part::of(title, "Why?", &html).unwrap()
    }

    fn frame() -> Frame<'static> {
        Frame { title: "Flows & <b>", dates: "1 May 2025.".to_owned(), made: "made".to_owned() }
    }

    #[test]
    fn last_line_names_the_sections_that_are_left_off() {
        let parts = [part("One", "1"), part("Two", "2"), part("Three", "3")];
        let whole = frame().html(&parts, 3).into_string();
        assert!(whole.contains(">Three</h2>") && !whole.contains("Left off"), "{whole}");
        let html = frame().html(&parts, 1).into_string();
        assert!(html.contains(">One</h2>") && !html.contains(">Two</h2>"), "{html}");
        let last = html.trim_end().lines().last().unwrap();
        assert!(last.contains("Left off, as a mail must be short: Two; Three.<"), "{last}");
        assert!(html.contains("Flows &amp; &lt;b&gt;</h1>"), "{html}");
        let text = frame().text(&parts, 1);
        assert!(text.ends_with("\nLeft off, as a mail must be short: Two; Three.\n"), "{text}");
        assert!(text.contains("\nOne\n---\nWhy?\n\n"), "{text}");
    }

    #[test]
    fn sections_are_left_off_until_the_rest_fits() {
        // 40,000 bytes each.
        let long = "text ".repeat(8_000);
        let parts = [part("One", &long), part("Two", &long), part("Three", &long)];
        let kept = frame().kept(&parts);
        assert_eq!(kept, 2);
        let html = frame().html(&parts, kept).into_string();
        assert!(html.len() <= MOST_BYTES, "{}", html.len());
        assert_eq!(frame().kept(&parts[..2]), 2);
    }

    #[test]
    fn characters_that_xml_lacks_are_replaced() {
        let html = part("One", "a\u{ffff}b").html.into_string();
        assert!(html.contains("a\u{fffd}b"), "{html}");
    }
}
