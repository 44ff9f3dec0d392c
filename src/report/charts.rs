//! Charts: SVG shapes that stretch with the page, and HTML texts that do not.
//!
//! ```text
//! 200 │    ▂ ▄ █      a trend: columns or lines over days, weeks or months
//!   0 │▁ ▃ █ █ █      the value under the pointer is a tooltip (`data-tip`)
//!      1 May    5 May
//! ```
//!
//! Each chart describes itself for screen readers (`aria-label`), and a table beside it has the same
//! numbers. Lines differ by their dashes, not only by colour.

use std::fmt::Write as _;

use super::figures::{NOTHING, Unit};
use super::html::Html;

/// The size of a plot, in SVG units.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 200.0;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    Columns,
    Line,
    Dashes,
}

/// A series of a trend.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) draw: Draw,
    /// One number for each place on the axis.
    pub(super) figures: Vec<Option<f64>>,
}

/// One or more series over a time axis.
pub(super) struct Trend<'a> {
    pub(super) title: String,
    pub(super) unit: Unit,
    /// The label of each place on the axis.
    pub(super) places: &'a [String],
    pub(super) series: Vec<Series>,
    /// The first place whose figures are not final.
    pub(super) open_from: Option<usize>,
}

impl Trend<'_> {
    pub(super) fn html(&self) -> Html {
        let count = self.places.len().max(1) as f64;
        let figures = || self.series.iter().flat_map(|series| series.figures.iter().flatten());
        let most = figures().copied().fold(0.0, f64::max);
        let end = self.unit.axis(most);
        let x = |place: usize| (place as f64 + 0.5) * WIDE / count;
        let y = |figure: f64| HIGH - figure.clamp(0.0, end) / end * HIGH;

        let mut html = Html::new();
        html.raw("<figure class=\"trend\">").add(&self.caption());
        if figures().next().is_none() {
            html.raw("<p class=\"none\">Nothing in this period.</p></figure>");
            return html;
        }
        html.raw("<div class=\"plot\"><div class=\"ys\" aria-hidden=\"true\"><span>");
        html.text(&self.unit.show_end(end)).raw("</span><span>");
        html.text(&self.unit.show_end(end / 2.0)).raw("</span><span>0</span></div>");
        html.raw("<svg class=\"field\" viewBox=\"0 0 1000 200\" preserveAspectRatio=\"none\" ");
        html.raw("role=\"img\" aria-label=\"").text(&self.words()).raw("\">");
        html.raw("<path class=\"grid\" d=\"M0 0H1000M0 100H1000M0 200H1000\"/>");
        if let Some(open) = self.open_from {
            let start = open as f64 * WIDE / count;
            html.raw("<rect class=\"open\" height=\"200\" x=\"").at(start);
            html.raw("\" width=\"").at(WIDE - start).raw("\"/>");
        }
        for series in &self.series {
            match series.draw {
                Draw::Columns => {
                    html.raw("<path class=\"column\" d=\"");
                    let width = WIDE / count * 0.76;
                    for (place, figure) in series.figures.iter().enumerate() {
                        let Some(figure) = figure.filter(|figure| *figure > 0.0) else { continue };
                        html.raw("M").at(x(place) - width / 2.0).raw(" 200V").at(y(figure));
                        html.raw("h").at(width).raw("V200z");
                    }
                }
                line => {
                    html.raw("<path class=\"").raw(line.class()).raw("\" d=\"");
                    let mut before = false;
                    for (place, figure) in series.figures.iter().enumerate() {
                        let Some(figure) = figure else {
                            before = false;
                            continue;
                        };
                        let after = series.figures.get(place + 1).is_some_and(Option::is_some);
                        if before {
                            html.raw("L").at(x(place)).raw(" ").at(y(*figure));
                        } else if after {
                            html.raw("M").at(x(place)).raw(" ").at(y(*figure));
                        } else {
                            // A single point is drawn as a dash.
                            let reach = WIDE / count * 0.3;
                            html.raw("M").at(x(place) - reach).raw(" ").at(y(*figure));
                            html.raw("h").at(2.0 * reach);
                        }
                        before = true;
                    }
                }
            }
            html.raw("\"/>");
        }
        for (place, name) in self.places.iter().enumerate() {
            html.raw("<rect class=\"hit\" x=\"").at(x(place) - WIDE / count / 2.0);
            html.raw("\" width=\"")
                .at(WIDE / count)
                .raw("\" height=\"200\" data-tip=\"")
                .text(name);
            for series in &self.series {
                let figure = series.figures.get(place).copied().flatten();
                let shown = self.unit.show(figure);
                html.text(&if self.series.len() > 1 {
                    format!(" · {} {shown}", series.name)
                } else {
                    format!(" · {shown}")
                });
            }
            if self.is_open(place) {
                html.raw(" · not final");
            }
            html.raw("\"/>");
        }
        html.raw("</svg></div><div class=\"xs\" aria-hidden=\"true\">");
        let last = self.places.len().saturating_sub(1);
        let mut shown: Vec<usize> = vec![0, last / 3, 2 * last / 3, last];
        shown.dedup();
        for place in shown {
            html.raw("<span>").text(self.places.get(place).map_or("", String::as_str));
            html.raw("</span>");
        }
        html.raw("</div></figure>");
        html
    }

    /// The title, and a key of the series and of the places that are not final.
    fn caption(&self) -> Html {
        let mut html = Html::new();
        html.raw("<figcaption>").text(&self.title);
        if self.series.len() > 1 {
            for series in &self.series {
                html.raw(" <span class=\"key\"><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\">");
                html.raw("<path class=\"").raw(series.draw.class()).raw("\" d=\"M0 4H24\"/></svg>");
                html.text(series.name).raw("</span>");
            }
        }
        if self.open_from.is_some() {
            html.raw(" <span class=\"key\"><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\">");
            html.raw("<rect class=\"open\" width=\"24\" height=\"8\"/></svg>not final</span>");
        }
        html.raw("</figcaption>");
        html
    }

    /// A description of the chart for screen readers.
    fn words(&self) -> String {
        let mut words = format!("{}.", self.title);
        for series in &self.series {
            let known: Vec<(&String, f64)> = self
                .places
                .iter()
                .zip(&series.figures)
                .filter_map(|(p, f)| Some((p, (*f)?)))
                .collect();
            let (Some(first), Some(last)) = (known.first(), known.last()) else { continue };
            let most =
                known.iter().fold(first, |most, next| if next.1 > most.1 { next } else { most });
            let show = |of: &(&String, f64)| format!("{} on {}", self.unit.show(Some(of.1)), of.0);
            // Writing to a String does not fail.
            let _ = write!(
                words,
                " {}: from {} to {}, most {}.",
                series.name,
                show(first),
                show(last),
                show(most)
            );
        }
        if let Some(open) = self.open_from.and_then(|place| self.places.get(place)) {
            let _ = write!(words, " Not final: from {open} on.");
        }
        words
    }

    /// Returns `true` for a place whose figures are not final.
    fn is_open(&self, place: usize) -> bool {
        self.open_from.is_some_and(|open| place >= open)
    }
}

impl Draw {
    fn class(self) -> &'static str {
        match self {
            Self::Columns => "column",
            Self::Line => "line",
            Self::Dashes => "line dashes",
        }
    }
}

/// A sparkline.
pub(super) fn spark(figures: &[Option<f64>]) -> Html {
    let mut html = Html::new();
    let known = || figures.iter().flatten().copied();
    let (least, most) = (known().fold(f64::INFINITY, f64::min), known().fold(0.0, f64::max));
    if known().count() < 2 {
        return html;
    }
    let span = if most > least { most - least } else { 1.0 };
    html.raw("<svg class=\"spark\" viewBox=\"0 0 100 24\" preserveAspectRatio=\"none\" ");
    html.raw("aria-hidden=\"true\"><path class=\"line\" d=\"");
    let mut before = false;
    for (place, figure) in figures.iter().enumerate() {
        if let Some(figure) = figure {
            html.raw(if before { "L" } else { "M" });
            html.at(place as f64 * 100.0 / (figures.len() - 1) as f64).raw(" ");
            html.at(22.0 - (figure - least) / span * 20.0);
        }
        before = figure.is_some();
    }
    html.raw("\"/></svg>");
    html
}

/// A bar of a bar chart.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) figure: f64,
    /// The text beside the bar.
    pub(super) shown: String,
    /// A note under its name.
    pub(super) note: Option<String>,
}

/// A bar chart; the longest bar takes the whole width.
pub(super) fn bars(bars: &[Bar]) -> Html {
    let mut html = Html::new();
    let most = bars.iter().map(|bar| bar.figure).fold(0.0, f64::max).max(1e-9);
    html.raw("<ol class=\"bars\">");
    for bar in bars {
        html.raw("<li><span class=\"name\">").text(&bar.name);
        if let Some(note) = &bar.note {
            html.raw("<small>").text(note).raw("</small>");
        }
        html.raw("</span><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" ");
        html.raw("aria-hidden=\"true\"><rect class=\"column\" height=\"10\" width=\"");
        html.at(bar.figure.max(0.0) / most * 100.0).raw("\"/></svg><span class=\"value\">");
        html.text(&bar.shown).raw("</span></li>");
    }
    html.raw("</ol>");
    html
}

/// A share and its confidence interval.
pub(super) struct Interval {
    pub(super) name: String,
    pub(super) share: Option<f64>,
    pub(super) ends: Option<(f64, f64)>,
    pub(super) note: String,
}

/// Confidence intervals on one axis.
pub(super) fn intervals(title: &str, rows: &[Interval]) -> Html {
    let mut html = Html::new();
    let most = rows.iter().filter_map(|row| row.ends.map(|ends| ends.1)).fold(0.0, f64::max);
    let end = Unit::Percent.axis(most);
    html.raw("<figure><figcaption>").text(title).raw("</figcaption><ol class=\"bars ranges\">");
    for row in rows {
        let said = match (row.share, row.ends) {
            (Some(share), Some((low, high))) => {
                let show = |figure| Unit::Percent.show(Some(figure));
                format!("{} ({} to {})", show(share), show(low), show(high))
            }
            _ => NOTHING.to_owned(),
        };
        html.raw("<li><span class=\"name\">").text(&row.name).raw("<small>").text(&row.note);
        html.raw("</small></span><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" ");
        html.raw("aria-hidden=\"true\"><path class=\"grid\" d=\"M0 0V10M50 0V10M100 0V10\"/>");
        if let (Some(share), Some((low, high))) = (row.share, row.ends) {
            let at = |figure: f64| figure / end * 100.0;
            html.raw("<rect class=\"reach\" y=\"3.5\" height=\"3\" x=\"").at(at(low));
            html.raw("\" width=\"").at(at(high) - at(low));
            html.raw("\"/><rect class=\"column\" y=\"0.5\" height=\"9\" width=\"0.8\" x=\"");
            html.at(at(share) - 0.4).raw("\"/>");
        }
        html.raw("</svg><span class=\"value\">").text(&said).raw("</span></li>");
    }
    html.raw("</ol><p class=\"note\">The axis goes from 0 to ").text(&Unit::Percent.show_end(end));
    html.raw(
        ". A thick mark is the share, the bar through it where the true share lies with 95 % ",
    );
    html.raw("certainty: bars that do not meet are shares that differ.</p></figure>");
    html
}

/// A heat map with a row for each weekday and a column for each hour.
pub(super) fn hours(title: &str, figures: &[[f64; 24]; 7]) -> Html {
    const DAYS: [&str; 7] =
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let most = figures.iter().flatten().copied().fold(0.0, f64::max);
    let mut busiest = (0, 0);
    for (day, hours) in figures.iter().enumerate() {
        for (hour, figure) in hours.iter().enumerate() {
            if *figure > figures[busiest.0][busiest.1] {
                busiest = (day, hour);
            }
        }
    }
    let name = |day: usize, hour: usize| format!("{} {hour:02}:00 to {hour:02}:59", DAYS[day]);
    let busiest = name(busiest.0, busiest.1);
    let said = format!("Most on {busiest}: {}.", Unit::Count.show(Some(most)));
    let mut html = Html::new();
    html.raw("<figure><figcaption>").text(title).raw("</figcaption><div class=\"week\">");
    html.raw("<div class=\"days\" aria-hidden=\"true\">");
    for day in DAYS {
        html.raw("<span>").text(&day[..3]).raw("</span>");
    }
    html.raw("</div><svg class=\"field\" viewBox=\"0 0 24 7\" preserveAspectRatio=\"none\" ");
    html.raw("role=\"img\" aria-label=\"").text(title).raw(". ").text(&said).raw("\">");
    for (day, hours) in figures.iter().enumerate() {
        for (hour, figure) in hours.iter().enumerate() {
            let shade = if most > 0.0 { figure / most } else { 0.0 };
            html.raw("<rect class=\"cell\" width=\"0.94\" height=\"0.94\" x=\"").at(hour as f64);
            html.raw("\" y=\"").at(day as f64).raw("\" fill-opacity=\"").at(0.06 + 0.94 * shade);
            html.raw("\" data-tip=\"").text(&name(day, hour)).text(" · ");
            html.text(&Unit::Count.show(Some(*figure))).raw("\"/>");
        }
    }
    html.raw("</svg><div class=\"hours\" aria-hidden=\"true\"><span>0h</span><span>6h</span>");
    html.raw("<span>12h</span><span>18h</span></div></div><p class=\"note\">").text(&said);
    html.raw("</p></figure>");
    html
}

/// A strip of days, filled for those with rows. If days are too many to be told apart, those that
/// follow each other are one mark.
pub(super) fn strip(has: &[bool], said: &str) -> Html {
    const MARKS: usize = 92;
    let mut html = Html::new();
    let width = 1000.0 / has.len().max(1) as f64;
    html.raw(
        "<svg class=\"strip\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" ",
    );
    html.raw("aria-label=\"").text(said).raw("\"><path class=\"column\" d=\"");
    let mut day = 0;
    for days in has.chunk_by(|one, next| has.len() > MARKS && one == next) {
        if days.first() == Some(&true) {
            let length = width * (days.len() as f64 - 0.14);
            html.raw("M").at(day as f64 * width).raw(" 0h").at(length).raw("V10h");
            html.at(-length).raw("z");
        }
        day += days.len();
    }
    html.raw("\"/></svg>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(draw: Draw, figures: &[Option<f64>]) -> String {
        let places: Vec<String> = (1..=figures.len()).map(|day| format!("{day} May")).collect();
        let series = vec![Series { name: "sessions", draw, figures: figures.to_vec() }];
        let title = "Sessions <each> day".to_owned();
        let open_from = (figures.len() > 3).then_some(3);
        let unit = Unit::Count;
        Trend { title, unit, places: &places, series, open_from }.html().into_string()
    }

    #[test]
    fn trend_is_drawn_and_described() {
        let html = trend(Draw::Columns, &[Some(10.0), None, Some(5.0), Some(0.0)]);
        assert!(html.contains("M30 200V0h190V200zM530 200V100h190V200z\""), "{html}");
        assert!(html.contains("data-tip=\"2 May · –\""));
        let said = "sessions: from 10 on 1 May to 0 on 4 May, most 10 on 1 May.";
        let said = format!("{said} Not final: from 4 May on.");
        assert!(html.contains(&format!("Sessions &lt;each&gt; day. {said}")), "{html}");
        assert!(html.contains("height=\"200\" x=\"750\" width=\"250\"/>"), "{html}");
        assert!(html.contains("data-tip=\"4 May · 0 · not final\"/>"), "{html}");
    }

    #[test]
    fn many_days_in_a_row_are_one_mark() {
        let marks = |has: &[bool]| strip(has, "").into_string().matches('M').count();
        assert_eq!(marks(&[true, true, false]), 2);
        let mut year = [true; 365];
        year[100] = false;
        assert_eq!(marks(&year), 2);
    }

    #[test]
    fn lines_break_at_missing_values() {
        let html = trend(Draw::Line, &[Some(10.0), Some(5.0), None, Some(10.0)]);
        assert!(html.contains("d=\"M125 0L375 100M800 0h150\""), "{html}");
        assert!(trend(Draw::Line, &[None]).contains("Nothing in this period"));
    }

    #[test]
    fn empty_charts_have_no_nan() {
        assert_eq!(spark(&[None, Some(1.0)]), Html::new());
        assert!(!hours("", &[[0.0; 24]; 7]).into_string().contains("NaN"));
        assert!(!bars(&[]).into_string().contains("NaN"));
        assert!(!strip(&[], "").into_string().contains("NaN"));
    }
}
