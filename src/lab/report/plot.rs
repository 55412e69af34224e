//! A picture of values over an axis, as SVG that needs nothing else: axes with ticks and units, a
//! legend, a title and a description for those who cannot see it.
//!
//! Colours and strokes come from the page's classes `s0`, `s1`, ... (one a series, told apart without
//! colour by their dashes) and `ref` (what the others are measured against).

use std::fmt::Write as _;

use super::axis::Axis;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 52.0;
/// Height of a row of the legend, and mean width of a letter of it.
const ROW: f64 = 22.0;
const LETTER: f64 = 7.4;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Straight from point to point.
    Line,
    /// Each value holds until the next.
    Step,
    /// The surface under steps.
    Surface,
    /// A dot a point.
    Dots,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Its name, for the legend.
    pub(super) name: String,
    /// The page's class that gives it colour and stroke.
    pub(super) class: String,
    /// How it is drawn.
    pub(super) shape: Shape,
    /// Its points, in order of x. Not a number where there is a gap.
    pub(super) points: Vec<(f64, f64)>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plot {
    /// Unique in the page.
    pub(super) id: String,
    /// What it shows.
    pub(super) title: String,
    /// What there is to see in it.
    pub(super) description: String,
    /// Across.
    pub(super) x: Axis,
    /// Upwards.
    pub(super) y: Axis,
    /// What is drawn, the last on top.
    pub(super) series: Vec<Series>,
}

impl Plot {
    /// The picture as an `svg` element.
    #[must_use]
    pub(super) fn svg(&self) -> String {
        let (legend, rows) = self.legend();
        let top = TOP + rows * ROW;
        let frame = Frame { top, bottom: HEIGHT + rows * ROW - BOTTOM };
        let mut text = format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n",
            HEIGHT + rows * ROW,
            escape(&self.title),
            escape(&self.description),
            id = self.id,
        );
        self.grid(&frame, &mut text);
        for series in &self.series {
            self.draw(series, &frame, &mut text);
        }
        text.push_str(&legend);
        text.push_str("</svg>\n");
        text
    }

    fn grid(&self, frame: &Frame, text: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, frame.bottom);
        for (at, label) in self.y.ticks() {
            let y = frame.y(self.y.place(at));
            let _ = writeln!(
                text,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                y + 4.5,
            );
        }
        for (at, label) in self.x.ticks() {
            let x = Frame::x(self.x.place(at));
            let _ = writeln!(
                text,
                "<path class=\"grid\" d=\"M{x:.1} {:.1}v5\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                bottom,
                bottom + 20.0,
            );
        }
        let middle = f64::midpoint(frame.top, bottom);
        let _ = writeln!(
            text,
            "<path class=\"axis\" d=\"M{LEFT} {:.1}V{bottom:.1}H{right}\"/>\n\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"name\" transform=\"translate(15 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            frame.top,
            f64::midpoint(LEFT, right),
            bottom + 42.0,
            escape(&self.x.title()),
            escape(&self.y.title()),
        );
    }

    fn draw(&self, series: &Series, frame: &Frame, text: &mut String) {
        let place = |(x, y): (f64, f64)| (Frame::x(self.x.place(x)), frame.y(self.y.place(y)));
        let mut path = String::new();
        if series.shape == Shape::Dots {
            for point in &series.points {
                let (x, y) = place(*point);
                let _ = write!(path, "M{x:.1} {y:.1}h0");
            }
            let _ = writeln!(text, "<path class=\"dots {}\" d=\"{path}\"/>", series.class);
            return;
        }
        let mut before: Option<(f64, f64)> = None;
        for point in &series.points {
            if !point.1.is_finite() {
                before = None;
                continue;
            }
            let (x, y) = place(*point);
            let _ = match (before, series.shape) {
                (None, Shape::Surface) => write!(path, "M{x:.1} {:.1}V{y:.1}", frame.bottom),
                (None, _) => write!(path, "M{x:.1} {y:.1}"),
                (Some(_), Shape::Line | Shape::Dots) => write!(path, "L{x:.1} {y:.1}"),
                (Some(_), Shape::Step | Shape::Surface) => write!(path, "H{x:.1}V{y:.1}"),
            };
            before = Some((x, y));
        }
        if series.shape == Shape::Surface && before.is_some() {
            let _ = write!(path, "V{:.1}Z", frame.bottom);
        }
        let shape = if series.shape == Shape::Surface { "surface" } else { "line" };
        let _ = writeln!(text, "<path class=\"{shape} {}\" d=\"{path}\"/>", series.class);
    }

    /// The legend above the frame, and how many rows it takes. One series needs none.
    fn legend(&self) -> (String, f64) {
        let mut text = String::new();
        if self.series.len() < 2 {
            return (text, 0.0);
        }
        let (mut x, mut row) = (LEFT, 0.0);
        for Series { name, class, shape, .. } in &self.series {
            let width = 40.0 + name.chars().count() as f64 * LETTER + 14.0;
            if x > LEFT && x + width > WIDTH - RIGHT {
                (x, row) = (LEFT, row + 1.0);
            }
            let y = TOP + row * ROW;
            let swatch = match shape {
                Shape::Surface => {
                    format!("<path class=\"surface {class}\" d=\"M{x:.1} {:.1}h32v10h-32z\"/>", y - 5.0)
                }
                Shape::Dots => format!("<path class=\"dots {class}\" d=\"M{:.1} {y:.1}h0\"/>", x + 16.0),
                Shape::Line | Shape::Step => {
                    format!("<path class=\"line {class}\" d=\"M{x:.1} {y:.1}h32\"/>")
                }
            };
            let _ = writeln!(
                text,
                "{swatch}<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 38.0,
                y + 4.5,
                escape(name)
            );
            x += width;
        }
        (text, row + 1.0)
    }
}

/// Where the values are drawn.
struct Frame {
    top: f64,
    bottom: f64,
}

impl Frame {
    fn x(share: f64) -> f64 {
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, share: f64) -> f64 {
        self.bottom - share * (self.bottom - self.top)
    }
}

/// Text as it stands in markup.
#[must_use]
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::axis::Unit;
    use super::*;

    fn plot(shape: Shape, points: Vec<(f64, f64)>) -> Plot {
        let series = |name: &str, class: &str| Series {
            name: name.to_owned(),
            class: class.to_owned(),
            shape,
            points: points.clone(),
        };
        Plot {
            id: "p".into(),
            title: "People <waiting>".into(),
            description: "At most 5 & never 6".into(),
            x: Axis::linear("time", Unit::Seconds, 10.0),
            y: Axis::linear("people", Unit::Count, 5.0),
            series: vec![series("WITHOUT", "s0"), series("WITH", "s1")],
        }
    }

    #[test]
    fn it_says_what_it_shows_and_escapes_it() {
        let svg = plot(Shape::Line, vec![(0.0, 0.0), (10.0, 5.0)]).svg();
        assert!(svg.contains("<title id=\"p-t\">People &lt;waiting&gt;</title>"), "{svg}");
        assert!(svg.contains("5 &amp; never 6") && svg.contains("time (s)") && svg.contains(">WITH</text>"));
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }

    #[test]
    fn points_lie_where_they_belong() {
        let frame = "M92.0 300.0L610.0 36.0";
        assert!(plot(Shape::Line, vec![(0.0, 0.0), (10.0, 5.0)]).svg().contains(frame));
        assert!(plot(Shape::Step, vec![(0.0, 0.0), (10.0, 5.0)]).svg().contains("M92.0 300.0H610.0V36.0"));
        assert!(plot(Shape::Surface, vec![(0.0, 5.0), (10.0, 0.0)]).svg().contains("V300.0Z"));
        assert_eq!(plot(Shape::Dots, vec![(0.0, 0.0); 7]).svg().matches("M92.0 300.0h0").count(), 14);
    }

    #[test]
    fn a_gap_breaks_the_line() {
        let svg = plot(Shape::Line, vec![(0.0, 0.0), (2.0, f64::NAN), (4.0, 1.0), (6.0, 1.0)]).svg();
        assert!(!svg.contains("NaN") && svg.contains("M92.0 300.0M"), "{svg}");
    }

    #[test]
    fn a_long_legend_takes_more_rows_and_moves_the_frame() {
        let mut long = plot(Shape::Line, vec![(0.0, 0.0)]);
        long.series = [&long.series[..]; 4].concat();
        let (_, rows) = long.legend();
        assert!(rows >= 2.0);
        assert!(long.svg().contains(&format!("viewBox=\"0 0 640 {}\"", 330.0 + rows * ROW)));
    }
}
