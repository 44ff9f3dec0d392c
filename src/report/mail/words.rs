//! A section as plain text, for programs that show no HTML.
//!
//! ```text
//! Sessions by day. Sessions: from 5 on 1 May to 2 on 28 May, most 9 on 12 May.
//! - Frequency capped, → wait 24 hours between templates: 4 · 20.0 %
//! Country | Sends | Delivered
//! Colombia | 30 | 63.3 %
//! ```

use roxmltree::Node;

use super::layout::{all_text, elements, first_class, has_class, tag};

/// Adds the lines of what an element contains.
pub(super) fn write(node: Node<'_, '_>, text: &mut String) {
    for element in elements(node) {
        match (tag(element), first_class(element)) {
            ("details" | "caption" | "button" | "svg", _) | (_, "filters") => {}
            ("figure", _) => match chart(element) {
                Some(said) => line(said, text),
                None => write(element, text),
            },
            ("table", _) => table(element, text),
            ("ol", "bars") => elements(element).for_each(|item| bar(item, text)),
            ("li", _) => line(&format!("- {}", all_text(element)), text),
            (_, "tile") => tile(element, text),
            ("p" | "h2" | "h3" | "figcaption", _) => line(&spaced(element), text),
            _ => write(element, text),
        }
    }
}

/// The description of a chart, which says more than its labels.
fn chart<'a>(figure: Node<'a, '_>) -> Option<&'a str> {
    figure.descendants().find(|part| has_class(*part, "field"))?.attribute("aria-label")
}

/// A key figure: its name, its value, its change, and a remark if it has one.
fn tile(tile: Node<'_, '_>, text: &mut String) {
    let parts: Vec<String> = elements(tile).map(all_text).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [name, value, notes @ ..] if !notes.is_empty() => {
            line(&format!("- {name}: {value} ({})", notes.join("; ")), text);
        }
        parts => line(&format!("- {}", parts.join(" ")), text),
    }
}

/// A bar: its name with its note, and its number.
fn bar(item: Node<'_, '_>, text: &mut String) {
    let parts: Vec<String> = elements(item).map(spaced).filter(|part| !part.is_empty()).collect();
    line(&format!("- {}", parts.join(": ")), text);
}

fn table(table: Node<'_, '_>, text: &mut String) {
    for row in table.descendants().filter(|part| part.has_tag_name("tr")) {
        let cells: Vec<String> = elements(row).map(spaced).collect();
        line(&cells.join(" | "), text);
    }
}

/// The texts of an element with commas between, as its parts may stand on lines of their own.
fn spaced(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter(Node::is_text).filter_map(|text| text.text());
    texts.map(str::trim).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

fn line(said: &str, text: &mut String) {
    text.push_str(said);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn words(markup: &str) -> String {
        let markup = format!("<body>{markup}</body>");
        let parsed = Document::parse(&markup).unwrap();
        let mut text = String::new();
        write(parsed.root_element(), &mut text);
        text
    }

    #[test]
    fn every_part_of_a_section_has_lines() {
        let tiles = "<div class=\"tiles\"><div class=\"tile\"><h3>Sends</h3><p class=\"big\">85</p>\
                     <p class=\"change\">none before</p><svg class=\"spark\"/></div></div>";
        assert_eq!(words(tiles), "- Sends: 85 (none before)\n");
        let remark = "<div class=\"tile\"><h3>Cost</h3><p class=\"big\">0.12 <small>USD</small></p>\
                      <p class=\"change\">none before</p><p class=\"change\">of 80.0 %</p></div>\
                      <ul class=\"news\"><li><a href=\"#waiting\">2 wait</a>, since 9:10.</li></ul>";
        assert_eq!(
            words(remark),
            "- Cost: 0.12 USD (none before; of 80.0 %)\n- 2 wait, since 9:10.\n"
        );
        let bars = "<figure><figcaption>Flow <small>3 sessions</small></figcaption>\
                    <ol class=\"bars\"><li><span class=\"name\">menu<small>a note</small></span>\
                    <svg/><span class=\"value\">2 · 66.7 %</span></li></ol></figure>";
        assert_eq!(words(bars), "Flow, 3 sessions\n- menu, a note: 2 · 66.7 %\n");
        let chart = "<figure><figcaption>Sends</figcaption><div class=\"plot\"><div class=\"ys\">\
                     <span>8</span></div><svg class=\"field\" aria-label=\"Sends. Most 8.\"/></div>\
                     </figure>";
        assert_eq!(words(chart), "Sends. Most 8.\n");
        let table = "<div class=\"scroll\"><table><caption>T</caption>\
                     <thead><tr><th>A</th><th>B</th></tr></thead>\
                     <tbody><tr><th>a &amp; b</th><td>1</td></tr></tbody></table></div>\
                     <p>Then:</p><ul><li>x</li></ul>";
        assert_eq!(words(table), "A | B\na & b | 1\nThen:\n- x\n");
    }
}
