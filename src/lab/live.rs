//! The leg while it runs: a block that redraws itself on a terminal, a line every few seconds elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::account::Tick;
use super::tally::Count;

const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: usize = 40;

/// What a gateway says of itself, for the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Gauges {
    limit: u64,
    cursor: u64,
    issued: u64,
}

/// One picture.
#[derive(Clone, Copy, Debug)]
struct Picture {
    elapsed: Duration,
    count: Count,
    in_flight: u64,
    gauges: Option<Gauges>,
}

/// How a leg is shown while it is played.
#[derive(Debug)]
pub struct View {
    title: String,
    form: Form,
    last: Option<Picture>,
    shown: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Silent,
    Block,
    Lines,
}

impl View {
    /// A block on a terminal, lines elsewhere.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let form = if std::io::stdout().is_terminal() { Form::Block } else { Form::Lines };
        Self { title: title.to_owned(), form, last: None, shown: None }
    }

    /// Shows nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { title: String::new(), form: Form::Silent, last: None, shown: None }
    }

    /// Takes a sample; shows it if it is time.
    pub fn draw(&mut self, tick: &Tick, count: &Count) {
        let gauges = tick.issued.zip(tick.called).zip(tick.limit);
        let picture = Picture {
            elapsed: Duration::try_from_secs_f64(tick.at_s).unwrap_or_default(),
            count: *count,
            in_flight: tick.in_flight,
            gauges: gauges.map(|((issued, cursor), limit)| Gauges { limit, cursor, issued }),
        };
        self.last = Some(picture);
        let due = self.shown.is_none_or(|shown| picture.elapsed >= shown + LINE_EVERY);
        if self.form == Form::Block || (self.form == Form::Lines && due) {
            self.show(&picture);
        }
    }

    /// The leg is over: its last picture is shown, if it was not.
    pub fn finish(&mut self) {
        if let Some(last) = self.last
            && self.form == Form::Lines
            && self.shown != Some(last.elapsed)
        {
            self.show(&last);
        }
    }

    fn show(&mut self, picture: &Picture) {
        let text = match self.form {
            Form::Block => block(&self.title, picture, self.shown.is_some()),
            Form::Lines | Form::Silent => line(&self.title, picture),
        };
        self.shown = Some(picture.elapsed);
        // A closed pipe ends the view, not the leg.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn line(title: &str, picture: &Picture) -> String {
    let Picture { elapsed, count, in_flight, gauges } = picture;
    let mut text = format!(
        "{title} {:>3.0}s  arrived {}/{}  completed {}  waiting {}  gave up {}  in flight at the origin {in_flight}",
        elapsed.as_secs_f64(),
        count.arrived,
        count.people,
        count.completed,
        count.waiting,
        count.gave_up,
    );
    if let Some(Gauges { limit, cursor, issued }) = gauges {
        let _ = write!(text, "  limit {limit}  called {cursor} of {issued}");
    }
    text.push('\n');
    text
}

/// The block; `again` moves up over the last one first.
fn block(title: &str, picture: &Picture, again: bool) -> String {
    let Picture { elapsed, count, in_flight, gauges } = picture;
    let called = gauges.map_or_else(
        || "-".to_owned(),
        |gauges| format!("limit {}, called {} of {}", gauges.limit, gauges.cursor, gauges.issued),
    );
    let rows = [
        format!("{title}  {:.0} s, {} requests", elapsed.as_secs_f64(), count.requests),
        format!("  arrived    {} {:>6} of {}", bar(count.arrived, count.people), count.arrived, count.people),
        format!("  waiting    {} {:>6}", bar(count.waiting, count.people), count.waiting),
        format!("  completed  {} {:>6}", bar(count.completed, count.people), count.completed),
        format!("  gave up    {} {:>6}", bar(count.gave_up, count.people), count.gave_up),
        format!("  unfinished at the origin: {in_flight}"),
        format!("  gateway: {called}"),
    ];
    let mut text = if again { format!("\x1b[{}A", rows.len()) } else { String::new() };
    for row in rows {
        let _ = writeln!(text, "\x1b[2K{row}");
    }
    text
}

fn bar(part: u64, whole: u64) -> String {
    let filled = (part.min(whole) * BAR as u64).div_ceil(whole.max(1));
    let filled = usize::try_from(filled).unwrap_or(BAR).min(BAR);
    format!("{}{}", "█".repeat(filled), "·".repeat(BAR - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(gauges: Option<Gauges>) -> Picture {
        let count = Count { people: 1200, arrived: 600, completed: 30, waiting: 500, ..Count::default() };
        Picture { elapsed: Duration::from_secs(12), count, in_flight: 11, gauges }
    }

    #[test]
    fn the_line_says_it_all() {
        let text = line("WITH", &picture(Some(Gauges { limit: 12, cursor: 40, issued: 540 })));
        assert_eq!(
            text,
            "WITH  12s  arrived 600/1200  completed 30  waiting 500  gave up 0  \
             in flight at the origin 11  limit 12  called 40 of 540\n"
        );
    }

    #[test]
    fn the_block_moves_up_by_its_own_height_and_bars_fit() {
        let first = block("WITHOUT", &picture(None), false);
        let rows = first.matches('\n').count();
        assert!(block("WITHOUT", &picture(None), true).starts_with(&format!("\x1b[{rows}A")));
        assert_eq!(bar(0, 0).chars().count(), BAR);
        assert_eq!(bar(2400, 1200), "█".repeat(BAR));
        assert_eq!(bar(1, 1200).chars().filter(|c| *c == '█').count(), 1);
    }
}
