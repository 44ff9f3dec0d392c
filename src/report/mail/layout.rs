//! Lays the markup of a section out for mail: tables in place of grids, styles in place of classes,
//! images in place of SVG.
//!
//! ```text
//! <p class="note">…</p>          <p style="margin:8px 0 0;…">…</p>
//! <ol class="bars"><li>…         <table><tr><td>a name</td><td>a bar</td><td>a number</td>
//! <svg class="field">…</svg>     <img src="cid:…">
//! <details>…</details>
//! ```
//!
//! All markup that is written is a literal of this module, so no text can become markup.

use roxmltree::Node;
use xxhash_rust::xxh3::xxh3_64;

use super::super::html::Html;
use super::{DOMAIN, draw};
use crate::error::{Error, Result};

/// A table that only lays out. Screen readers do not announce it.
const GRID: &str = "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" \
                    cellspacing=\"0\" border=\"0\">";

/// With more columns, a table fits the mail only if its numbers may be broken before their units.
const MANY_COLUMNS: usize = 8;

/// A table of the labels of an axis.
const LABELS: &str = "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" \
                      cellspacing=\"0\" border=\"0\" style=\"font-size:11px;line-height:14px;\
                      color:#55606d\">";

/// An image of the mail.
pub(super) struct Image {
    /// Its content id: a hash of the bytes, so that equal images are one part.
    pub(super) id: String,
    pub(super) png: Vec<u8>,
}

/// A size on the screen in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u16,
    pub(super) height: u16,
}

impl Size {
    const fn new(width: u16, height: u16) -> Self {
        Self { width, height }
    }

    /// The size of a drawing that stands in a text or a cell.
    fn of(svg: Node<'_, '_>) -> Self {
        match first_class(svg) {
            "spark" => Self::new(150, 24),
            "strip" => Self::new(90, 10),
            _ if svg.parent().is_some_and(|parent| has_class(parent, "key")) => Self::new(24, 8),
            _ => Self::new(120, 12),
        }
    }
}

/// Lays a section out, and collects its images.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) images: Vec<Image>,
}

impl Layout {
    /// Adds what an element contains.
    pub(super) fn children(&mut self, node: Node<'_, '_>, html: &mut Html) -> Result<()> {
        for child in node.children() {
            if child.is_element() {
                self.element(child, html)?;
            } else if child.is_text() {
                breakable(html, child.text().unwrap_or_default());
            }
        }
        Ok(())
    }

    fn element(&mut self, node: Node<'_, '_>, html: &mut Html) -> Result<()> {
        match (tag(node), first_class(node)) {
            // What is folded, what only a screen reader says, and what needs the script.
            ("details" | "caption" | "button", _) | (_, "filters") => Ok(()),
            ("svg", _) => self.image(node, Size::of(node), false, html),
            ("table", _) => self.table(node, html),
            ("ol", "bars") => self.bars(node, html),
            (_, "tiles") => self.tiles(node, html),
            (_, "plot" | "week") => self.beside_scale(node, html),
            (_, "xs") => {
                html.raw(GRID).raw("<tr><td width=\"52\"></td><td>");
                self.labels(node, html)?;
                html.raw("</td></tr></table>");
                Ok(())
            }
            _ => {
                let (open, close) = marks(node);
                html.raw(open);
                self.children(node, html)?;
                html.raw(close);
                Ok(())
            }
        }
    }

    /// Key figures, three in a row.
    fn tiles(&mut self, node: Node<'_, '_>, html: &mut Html) -> Result<()> {
        let tiles: Vec<Node<'_, '_>> = elements(node).collect();
        html.raw(GRID);
        for row in tiles.chunks(3) {
            html.raw("<tr valign=\"top\">");
            for tile in row {
                html.raw("<td width=\"33%\" style=\"padding:0 12px 14px 0\">");
                self.children(*tile, html)?;
                html.raw("</td>");
            }
            html.raw("</tr>");
        }
        html.raw("</table>");
        Ok(())
    }

    /// A chart with the labels of its vertical axis at its left, and those of its hours below.
    fn beside_scale(&mut self, node: Node<'_, '_>, html: &mut Html) -> Result<()> {
        let (left, size) = match first_class(node) {
            "week" => (40.0, Size::new(516, 150)),
            _ => (52.0, Size::new(504, 140)),
        };
        let mut parts = elements(node);
        let (Some(scale), Some(svg)) = (parts.next(), parts.next()) else {
            return Err(Error::bug("a chart of the page has no scale"));
        };
        html.raw(GRID).raw("<tr><td width=\"").at(left).raw("\" style=\"padding:0 8px 0 0\">");
        html.raw("<table role=\"presentation\" width=\"100%\" height=\"").at(size.height.into());
        html.raw("\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" ");
        html.raw("style=\"font-size:11px;line-height:11px;color:#55606d\">");
        let count = elements(scale).count();
        for (place, label) in elements(scale).enumerate() {
            html.raw("<tr><td align=\"right\" valign=\"");
            html.raw(match place {
                // The rows of a heat map.
                _ if count > 3 => "middle",
                0 => "top",
                place if place + 1 == count => "bottom",
                _ => "middle",
            });
            html.raw("\">");
            self.children(label, html)?;
            html.raw("</td></tr>");
        }
        html.raw("</table></td><td>");
        self.image(svg, size, true, html)?;
        html.raw("</td></tr>");
        if let Some(hours) = parts.next() {
            html.raw("<tr><td></td><td>");
            self.labels(hours, html)?;
            html.raw("</td></tr>");
        }
        html.raw("</table>");
        Ok(())
    }

    /// The labels of a horizontal axis: of a trend from end to end, of hours where each begins.
    fn labels(&mut self, node: Node<'_, '_>, html: &mut Html) -> Result<()> {
        let count = elements(node).count();
        let is_trend = first_class(node) == "xs";
        html.raw(LABELS).raw("<tr>");
        for (place, label) in elements(node).enumerate() {
            html.raw("<td width=\"").at((100.0 / count as f64).floor()).raw("%\" align=\"");
            html.raw(match place {
                0 => "left",
                _ if !is_trend => "left",
                place if place + 1 == count => "right",
                _ => "center",
            });
            html.raw("\">");
            self.children(label, html)?;
            html.raw("</td>");
        }
        html.raw("</tr></table>");
        Ok(())
    }

    /// A bar chart, or confidence intervals: a row for each, with its name, its bar and its number.
    fn bars(&mut self, node: Node<'_, '_>, html: &mut Html) -> Result<()> {
        let are_intervals = has_class(node, "ranges");
        html.raw(
            "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" ",
        );
        html.raw("border=\"0\" style=\"font-size:13px;line-height:17px\">");
        for item in elements(node) {
            let mut parts = elements(item);
            let (Some(name), Some(svg), Some(value)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(Error::bug("a bar of the page has no number"));
            };
            html.raw("<tr><td width=\"36%\" style=\"padding:4px 8px 4px 0\">");
            self.children(name, html)?;
            if are_intervals {
                html.raw("</td><td width=\"23%\" style=\"padding:4px 8px 4px 0\">");
                self.image(svg, Size::of(svg), false, html)?;
            } else {
                html.raw("</td><td width=\"38%\" style=\"padding:4px 8px 4px 0\">");
                bar(svg, html);
            }
            html.raw("</td><td align=\"right\" style=\"padding:4px 0\">");
            self.children(value, html)?;
            html.raw("</td></tr>");
        }
        html.raw("</table>");
        Ok(())
    }

    /// A table of an answer. Every other row is shaded: lines would be a style in each cell.
    fn table(&mut self, node: Node<'_, '_>, html: &mut Html) -> Result<()> {
        html.raw("<table width=\"100%\" cellpadding=\"2\" cellspacing=\"0\" border=\"0\" ");
        html.raw("style=\"font-size:11px;line-height:15px\">");
        let mut is_shaded = false;
        for row in node.descendants().filter(|part| part.has_tag_name("tr")) {
            let is_wide = elements(row).count() > MANY_COLUMNS;
            let is_head = row.parent().is_some_and(|parent| parent.has_tag_name("thead"));
            is_shaded = !is_head && !is_shaded;
            html.raw(match (is_head, is_shaded) {
                (true, _) => "<tr valign=\"bottom\">",
                (false, true) => "<tr valign=\"top\" bgcolor=\"#f5f3ee\">",
                (false, false) => "<tr valign=\"top\">",
            });
            for cell in elements(row) {
                self.cell(cell, is_head, is_wide, html)?;
            }
            html.raw("</tr>");
        }
        html.raw("</table>");
        Ok(())
    }

    fn cell(
        &mut self,
        cell: Node<'_, '_>,
        is_head: bool,
        is_wide: bool,
        html: &mut Html,
    ) -> Result<()> {
        let is_number = has_class(cell, "n");
        let (open, close) = match (is_head, is_number, tag(cell)) {
            (true, true, _) => {
                ("<th scope=\"col\" align=\"right\" style=\"color:#55606d\"", "</th>")
            }
            (true, false, _) => {
                ("<th scope=\"col\" align=\"left\" style=\"color:#55606d\"", "</th>")
            }
            (false, _, "th") => {
                ("<th scope=\"row\" align=\"left\" style=\"font-weight:normal\"", "</th>")
            }
            (false, true, _) => ("<td align=\"right\"", "</td>"),
            (false, false, _) => ("<td", "</td>"),
        };
        html.raw(open);
        if let Some(colour) = shade(cell) {
            html.raw(" bgcolor=\"").text(&colour).raw("\"");
        }
        html.raw(">");
        if is_number && !is_head && !is_wide {
            html.text(&unbroken(&all_text(cell)));
        } else {
            self.children(cell, html)?;
        }
        html.raw(close);
        Ok(())
    }

    /// An image of a drawing. A fluid one is as wide as its cell.
    fn image(
        &mut self,
        svg: Node<'_, '_>,
        size: Size,
        is_fluid: bool,
        html: &mut Html,
    ) -> Result<()> {
        let png = draw::png(svg, size)?;
        let id = format!("{:016x}@{DOMAIN}", xxh3_64(&png));
        html.raw("<img src=\"cid:").text(&id).raw("\" width=\"").at(size.width.into());
        html.raw("\" height=\"").at(size.height.into()).raw("\" alt=\"");
        html.text(svg.attribute("aria-label").unwrap_or_default());
        html.raw(if is_fluid {
            "\" border=\"0\" style=\"display:block;width:100%;height:auto\">"
        } else {
            "\" border=\"0\" style=\"vertical-align:middle\">"
        });
        if !self.images.iter().any(|image| image.id == id) {
            self.images.push(Image { id, png });
        }
        Ok(())
    }
}

/// The markup around what an element contains: its tag with the style of its class.
fn marks(node: Node<'_, '_>) -> (&'static str, &'static str) {
    match (tag(node), first_class(node)) {
        ("figure", _) => ("<div style=\"margin:0 0 16px\">", "</div>"),
        ("figcaption", _) => {
            ("<p style=\"margin:0 0 8px;font-size:14px;font-weight:bold\">", "</p>")
        }
        ("span", "key") => {
            ("<span style=\"font-size:12px;font-weight:normal;color:#55606d\">&nbsp; ", "</span>")
        }
        ("h3", _) => ("<p style=\"margin:0;font-size:13px;color:#55606d\">", "</p>"),
        ("p", "big") => {
            ("<p style=\"margin:0;font-size:24px;line-height:30px;font-weight:bold\">", "</p>")
        }
        ("p", "change") if has_class(node, "good") => {
            ("<p style=\"margin:0 0 6px;font-size:12px;line-height:16px;color:#17693a\">", "</p>")
        }
        ("p", "change") if has_class(node, "bad") => {
            ("<p style=\"margin:0 0 6px;font-size:12px;line-height:16px;color:#b3261e\">", "</p>")
        }
        ("p", "change") => {
            ("<p style=\"margin:0 0 6px;font-size:12px;line-height:16px;color:#55606d\">", "</p>")
        }
        ("p", "none" | "note") => {
            ("<p style=\"margin:8px 0 0;font-size:12px;line-height:16px;color:#55606d\">", "</p>")
        }
        ("p", "verdict") => ("<p style=\"margin:0 0 10px;font-weight:bold\">", "</p>"),
        ("p", _) => ("<p style=\"margin:10px 0\">", "</p>"),
        // The currency of a key figure.
        ("small", _) if node.parent().is_some_and(|parent| has_class(parent, "big")) => {
            ("<span style=\"font-size:12px;font-weight:normal;color:#55606d\">", "</span>")
        }
        ("small", _) => {
            ("<br><span style=\"font-size:12px;font-weight:normal;color:#55606d\">", "</span>")
        }
        ("strong" | "b", _) => ("<strong>", "</strong>"),
        ("code", _) => ("<span style=\"font-family:monospace\">", "</span>"),
        ("ul" | "ol", _) => ("<ul style=\"margin:0 0 10px;padding:0 0 0 20px\">", "</ul>"),
        ("li", _) => ("<li>", "</li>"),
        _ => ("", ""),
    }
}

/// A bar as a coloured cell, which needs no image.
fn bar(svg: Node<'_, '_>, html: &mut Html) {
    let width = elements(svg).find_map(|shape| shape.attribute("width"));
    let width: f64 = width.and_then(|width| width.parse().ok()).unwrap_or_default();
    if width > 0.0 {
        html.raw("<table role=\"presentation\" width=\"").at(width.round().max(1.0));
        html.raw(
            "%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\"><tr><td bgcolor=\"#0b6e69\" ",
        );
        html.raw("height=\"10\" style=\"font-size:1px;line-height:10px\">&nbsp;</td></tr></table>");
    }
}

/// The colour of a cell that the page shades by its number.
fn shade(cell: Node<'_, '_>) -> Option<String> {
    let share = cell.attribute("style")?.strip_prefix("--s:")?.split(['.', '%']).next()?;
    let share: u32 = share.parse().ok()?;
    let channel = |of: u32| 255 - (255 - of) * share.min(100) * 42 / 10_000;
    Some(format!("#{:02x}{:02x}{:02x}", channel(0x0b), channel(0x6e), channel(0x69)))
}

/// A number with its unit on one line. Only before a currency it may be broken.
fn unbroken(number: &str) -> String {
    match number.chars().count() {
        0..=9 => number.replace(' ', "\u{a0}"),
        _ => number.to_owned(),
    }
}

/// Adds a text whose long words may be broken, so that none makes a table wider than the mail.
fn breakable(html: &mut Html, text: &str) {
    /// The maximum number of letters that stay together.
    const TOGETHER: usize = 12;
    for (place, word) in text.split(' ').enumerate() {
        if place > 0 {
            html.text(" ");
        }
        let letters: Vec<char> = word.chars().collect();
        let parts = letters.len().div_ceil(TOGETHER).max(1);
        for (place, part) in letters.chunks(letters.len().div_ceil(parts).max(1)).enumerate() {
            if place > 0 {
                html.raw("<wbr>");
            }
            html.text(&String::from_iter(part));
        }
    }
}

/// The name of an element.
pub(super) fn tag<'i>(node: Node<'_, 'i>) -> &'i str {
    node.tag_name().name()
}

/// The first class of an element, which decides how it is laid out.
pub(super) fn first_class<'a>(node: Node<'a, '_>) -> &'a str {
    let classes = node.attribute("class").unwrap_or_default();
    classes.split(' ').next().unwrap_or_default()
}

pub(super) fn has_class(node: Node<'_, '_>, class: &str) -> bool {
    node.attribute("class").unwrap_or_default().split(' ').any(|one| one == class)
}

/// The elements right below an element.
pub(super) fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// All texts within an element as one.
pub(super) fn all_text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn laid_out(markup: &str) -> (String, usize) {
        let markup = format!("<body>{markup}</body>");
        let parsed = Document::parse(&markup).unwrap();
        let (mut layout, mut html) = (Layout::default(), Html::new());
        layout.children(parsed.root_element(), &mut html).unwrap();
        (html.into_string(), layout.images.len())
    }

    #[test]
    fn texts_stay_texts() {
        let (html, _) = laid_out("<p class=\"x\">&lt;script&gt;a(&#39;b&#39;)&lt;/script&gt;</p>");
        assert_eq!(
            html,
            "<p style=\"margin:10px 0\">&lt;script&gt;a(&#39;b<wbr>&#39;)&lt;/script&gt;</p>"
        );
    }

    #[test]
    fn long_words_can_be_broken() {
        assert_eq!(laid_out("123456789012 b").0, "123456789012 b");
        assert_eq!(laid_out("120226305854810107").0, "120226305<wbr>854810107");
    }

    #[test]
    fn bars_are_coloured_cells() {
        let (html, images) = laid_out(
            "<ol class=\"bars\"><li><span class=\"name\">Capped<small>wait</small></span>\
             <svg viewBox=\"0 0 100 10\"><rect height=\"10\" width=\"40.4\"/></svg>\
             <span class=\"value\">4</span></li></ol>",
        );
        assert!(html.contains(">Capped<br><span style="), "{html}");
        assert!(html.contains("width=\"40%\"") && html.contains(">4</td></tr></table>"), "{html}");
        assert!(!html.contains("svg") && !html.contains("class"), "{html}");
        assert_eq!(images, 0);
    }

    #[test]
    fn currency_stands_beside_its_figure() {
        let (html, _) = laid_out("<p class=\"big\">0.12 <small>USD</small></p>");
        assert!(html.contains(">0.12 <span style="), "{html}");
    }

    #[test]
    fn cells_are_shaded_and_figures_unbroken() {
        let (html, _) = laid_out(
            "<table><caption>T</caption><thead><tr><th class=\"n\">Rate</th></tr></thead><tbody>\
             <tr><td class=\"n\" style=\"--s:50.9%\">33.3 %</td></tr>\
             <tr><td class=\"n\">12,500.00 USD</td></tr></tbody></table>",
        );
        assert!(
            html.contains("<td align=\"right\" bgcolor=\"#cce1e0\">33.3\u{a0}%</td>"),
            "{html}"
        );
        assert!(
            html.contains("<tr valign=\"top\"><td align=\"right\">12,500.00 USD</td>"),
            "{html}"
        );
        assert!(!html.contains(">T<"), "{html}");
    }

    #[test]
    fn figures_of_a_wide_table_may_be_broken() {
        let row = |columns: usize| "<td class=\"n\">33.3 %</td>".repeat(columns);
        let table = |columns| format!("<table><tbody><tr>{}</tr></tbody></table>", row(columns));
        let is_broken = |columns| laid_out(&table(columns)).0.contains("33.3 %");
        assert!(!is_broken(MANY_COLUMNS) && is_broken(MANY_COLUMNS + 1));
    }

    #[test]
    fn equal_images_are_one() {
        let chart = "<svg class=\"spark\" viewBox=\"0 0 100 24\">\
                     <path class=\"line\" d=\"M0 2L9 9\"/></svg>";
        let (html, images) = laid_out(&format!(
            "{chart}{chart}<details><summary>As a table</summary>{chart}</details>"
        ));
        assert_eq!((html.matches("<img src=\"cid:").count(), images), (2, 1));
        assert!(!html.contains("As a table"), "{html}");
    }
}
