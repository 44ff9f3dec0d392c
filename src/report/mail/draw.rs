//! Draws the page's SVG as PNG.
//!
//! ```text
//! <svg viewBox="0 0 1000 200"><path class="column" d="M30 200V0h190V200z"/>…
//!   │ scaled to 504 × 140 pixels on the screen, two of the image for each
//!   ▼
//! PNG        filled and stroked as the style sheet says of the classes; strokes are not scaled
//! ```
//!
//! Only what the page draws is known: `rect`, and `path` with straight lines. Another shape is a bug, so
//! no chart lacks one silently.

use roxmltree::Node;
use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash,
    Transform,
};

use super::layout::{Size, elements, first_class, has_class, tag};
use crate::error::{Error, Result};

/// Pixels of the image for a pixel of the screen, for screens of high resolution.
const DENSITY: u16 = 2;

/// The colours of the style sheet, in its light scheme.
const LINE: [u8; 3] = [0xe2, 0xdf, 0xd8];
const ONE: [u8; 3] = [0x0b, 0x6e, 0x69];
const TWO: [u8; 3] = [0xb3, 0x54, 0x1e];

/// Draws an SVG element on white.
pub(super) fn png(svg: Node<'_, '_>, size: Size) -> Result<Vec<u8>> {
    let (width, height) = (size.width * DENSITY, size.height * DENSITY);
    let view = svg.attribute("viewBox").and_then(numbers);
    let Some([_, _, across, down]) = view.and_then(|view| <[f32; 4]>::try_from(view).ok()) else {
        return Err(Error::bug("a chart of the page has no view box"));
    };
    let scale = [f32::from(width) / across, f32::from(height) / down];
    let canvas = Pixmap::new(width.into(), height.into());
    let mut canvas = canvas.ok_or_else(|| Error::bug("a chart of a mail has no size"))?;
    canvas.fill(Color::WHITE);
    for shape in elements(svg) {
        draw(shape, scale, &mut canvas)?;
    }
    canvas.encode_png().map_err(|error| Error::bug(format!("a chart of a mail: {error}")))
}

fn draw(shape: Node<'_, '_>, scale: [f32; 2], canvas: &mut Pixmap) -> Result<()> {
    let unknown = || {
        Error::bug(format!("a mail cannot draw `{}` of class `{}`", tag(shape), first_class(shape)))
    };
    let outline = match tag(shape) {
        "rect" => rectangle(shape, scale),
        "path" => shape.attribute("d").and_then(|data| straight_lines(data, scale)),
        _ => None,
    };
    // A bar of no length and a series without values have no path.
    let Some(path) = outline.ok_or_else(unknown)?.finish() else { return Ok(()) };
    let is_line = shape.attribute("d").is_some_and(|data| !data.ends_with('z'));
    match first_class(shape) {
        // Only takes the pointer.
        "hit" => {}
        "grid" => stroke(canvas, &path, LINE, 1.0, false),
        "line" if has_class(shape, "dashes") => stroke(canvas, &path, TWO, 2.0, true),
        "line" => stroke(canvas, &path, ONE, 2.0, false),
        "column" if is_line => stroke(canvas, &path, ONE, 8.0, false),
        "column" => fill(canvas, &path, ONE, 1.0),
        "reach" => fill(canvas, &path, ONE, 0.35),
        "open" if is_in_key(shape) => fill(canvas, &path, TWO, 0.4),
        "open" => fill(canvas, &path, TWO, 0.16),
        "cell" => fill(canvas, &path, ONE, number(shape, "fill-opacity").unwrap_or(1.0)),
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Returns `true` for a shape of the key of a chart.
fn is_in_key(shape: Node<'_, '_>) -> bool {
    shape.ancestors().any(|around| has_class(around, "key"))
}

fn fill(canvas: &mut Pixmap, path: &Path, colour: [u8; 3], opacity: f32) {
    let paint = paint(colour, opacity);
    canvas.fill_path(path, &paint, FillRule::Winding, Transform::identity(), None);
}

/// Strokes a path of a width in pixels of the screen.
fn stroke(canvas: &mut Pixmap, path: &Path, colour: [u8; 3], width: f32, is_dashed: bool) {
    let density = f32::from(DENSITY);
    let dash = vec![5.0 * density, 4.0 * density];
    let stroke = Stroke {
        width: width * density,
        line_join: LineJoin::Round,
        dash: if is_dashed { StrokeDash::new(dash, 0.0) } else { None },
        ..Stroke::default()
    };
    canvas.stroke_path(path, &paint(colour, 1.0), &stroke, Transform::identity(), None);
}

fn paint([red, green, blue]: [u8; 3], opacity: f32) -> Paint<'static> {
    let mut paint = Paint::default();
    let mut colour = Color::from_rgba8(red, green, blue, u8::MAX);
    colour.set_alpha(opacity);
    paint.set_color(colour);
    paint
}

/// The outline of a rectangle; without lines if it has no extent.
fn rectangle(shape: Node<'_, '_>, [across, down]: [f32; 2]) -> Option<PathBuilder> {
    let mut path = PathBuilder::new();
    let (x, y) = (number(shape, "x").unwrap_or(0.0), number(shape, "y").unwrap_or(0.0));
    let (width, height) = (number(shape, "width")?, number(shape, "height")?);
    if width > 0.0 && height > 0.0 {
        path.push_rect(Rect::from_xywh(x * across, y * down, width * across, height * down)?);
    }
    Some(path)
}

/// The outline of path data with the commands `M`, `L`, `H`, `h`, `V`, `v` and `z`. `None` if there are
/// others.
fn straight_lines(data: &str, [across, down]: [f32; 2]) -> Option<PathBuilder> {
    let mut path = PathBuilder::new();
    let (mut x, mut y) = (0.0, 0.0);
    let mut rest = data.trim();
    while let Some(command) = rest.chars().next() {
        let arguments = &rest[command.len_utf8()..];
        let end = arguments.find(|letter: char| letter.is_alphabetic()).unwrap_or(arguments.len());
        match (command, numbers(&arguments[..end])?.as_slice()) {
            ('M' | 'L', [to_x, to_y]) => (x, y) = (*to_x, *to_y),
            ('H', [to_x]) => x = *to_x,
            ('h', [by]) => x += by,
            ('V', [to_y]) => y = *to_y,
            ('v', [by]) => y += by,
            ('z', []) => {}
            _ => return None,
        }
        match command {
            'M' => path.move_to(x * across, y * down),
            'z' => path.close(),
            _ => path.line_to(x * across, y * down),
        }
        rest = &arguments[end..];
    }
    Some(path)
}

/// Numbers with spaces between.
fn numbers(text: &str) -> Option<Vec<f32>> {
    text.split_whitespace().map(|number| number.parse().ok()).collect()
}

fn number(shape: Node<'_, '_>, name: &str) -> Option<f32> {
    shape.attribute(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    const SIZE: Size = Size { width: 20, height: 10 };

    /// The colours of an SVG drawn on 40 by 20 pixels at some of them, as `rrggbb`.
    fn drawn(shapes: &str, places: &[(u32, u32)]) -> Vec<String> {
        let svg = format!("<svg viewBox=\"0 0 40 20\">{shapes}</svg>");
        let parsed = Document::parse(&svg).unwrap();
        let image = Pixmap::decode_png(&png(parsed.root_element(), SIZE).unwrap()).unwrap();
        assert_eq!((image.width(), image.height()), (40, 20));
        let colour = |(x, y): &(u32, u32)| {
            let pixel = image.pixel(*x, *y).unwrap();
            format!("{:02x}{:02x}{:02x}", pixel.red(), pixel.green(), pixel.blue())
        };
        places.iter().map(colour).collect()
    }

    #[test]
    fn closed_paths_and_rectangles_are_filled() {
        let columns = "<path class=\"column\" d=\"M10 20V10h10V20zM30 20V0h10V20z\"/>";
        let found = drawn(columns, &[(15, 15), (15, 5), (35, 5), (25, 15)]);
        assert_eq!(found, ["0b6e69", "ffffff", "0b6e69", "ffffff"]);
        let cell = "<rect class=\"cell\" width=\"20\" height=\"20\" fill-opacity=\"0.5\"/>";
        let found = drawn(cell, &[(10, 10), (30, 10)]);
        // Half of 11 over white is 133, however it is rounded.
        let red = u8::from_str_radix(&found[0][..2], 16).unwrap();
        assert!((131..=135).contains(&red), "{found:?}");
        assert_eq!(found[1], "ffffff");
    }

    #[test]
    fn lines_are_stroked_as_wide_as_on_the_page() {
        // 2 pixels on the screen are 4 of the image.
        let line = "<path class=\"line\" d=\"M0 10L40 10\"/>";
        let found = drawn(line, &[(20, 9), (20, 11), (20, 6), (20, 13)]);
        assert_eq!(found, ["0b6e69", "0b6e69", "ffffff", "ffffff"]);
        // Dashes of 10 pixels with 8 between.
        let dashes = "<path class=\"line dashes\" d=\"M0 10H40\"/>";
        assert_eq!(drawn(dashes, &[(5, 10), (14, 10), (22, 10)]), ["b3541e", "ffffff", "b3541e"]);
    }

    #[test]
    fn nothing_is_drawn_of_empty_shapes() {
        let shapes = "<path class=\"column\" d=\"\"/>\
                      <rect class=\"reach\" width=\"0\" height=\"9\"/>\
                      <rect class=\"hit\" width=\"40\" height=\"20\"/>";
        assert_eq!(drawn(shapes, &[(0, 0), (20, 10)]), ["ffffff", "ffffff"]);
    }

    #[test]
    fn unknown_shapes_are_bugs() {
        for shape in [
            "<circle class=\"column\" r=\"1\"/>",
            "<path class=\"column\" d=\"M0 0C1 1 2 2 3 3\"/>",
            "<rect class=\"new\" width=\"1\" height=\"1\"/>",
        ] {
            let svg = format!("<svg viewBox=\"0 0 40 20\">{shape}</svg>");
            let parsed = Document::parse(&svg).unwrap();
            let error = png(parsed.root_element(), SIZE).unwrap_err();
            assert_eq!(error.exit_code(), 3, "{shape}");
        }
    }
}
