//! The report as one HTML file that needs nothing else: no script, no request, for screens and paper.
//!
//! For a manager first: a sentence, three figures, pictures. Then the table, and how it was measured.

use std::fmt::Write as _;

use super::super::account::{CountLine, Kind};
use super::metric::METRICS;
use super::pictures::pictures;
use super::plot::escape;
use super::show::{count, part, percent, seconds, thousands};
use super::verdict::Standing;
use super::{LegSummary, Mode, Parity, Report};

const STYLE: &str = include_str!("page.css");

/// The whole file.
#[must_use]
pub fn page(report: &Report) -> String {
    let name = escape(&report.scenario);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: a click day, {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><div><p>Tornello</p><h1>{name}: a click day, {}</h1></div></header>\n<main>\n",
        played(&report.mode),
        played(&report.mode),
    );
    let _ = write!(html, "<p class=\"lead\">{}</p>\n{}", escape(&sentence(report)), figures(report));
    if !report.words.is_empty() {
        html.push_str("<h2>In words</h2>\n<ul>\n");
        for words in &report.words {
            let _ = writeln!(html, "<li>{}</li>", escape(words));
        }
        html.push_str("</ul>\n");
    }
    let plots = pictures(report);
    if !plots.is_empty() {
        html.push_str("<h2>What happened</h2>\n<div class=\"pictures\">\n");
        for plot in plots {
            let _ = write!(
                html,
                "<figure><figcaption><h3>{}</h3><p>{}</p></figcaption>\n{}</figure>\n",
                escape(&plot.title),
                escape(&plot.description),
                plot.svg(),
            );
        }
        html.push_str("</div>\n");
    }
    html.push_str("<h2>Every figure, and what it must be</h2>\n");
    metrics(report, &mut html);
    parities(report, &mut html);
    html.push_str("<h2>How it was measured</h2>\n");
    measured(report, &mut html);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn played(mode: &Mode) -> &'static str {
    match mode {
        Mode::Live => "played live",
        Mode::Rehearsed { .. } => "rehearsed",
    }
}

/// What came of it, in one sentence.
fn sentence(report: &Report) -> String {
    let served = |leg: &LegSummary| format!("{} ({})", thousands(leg.completed), percent(share(leg)));
    match (report.first(&Kind::Origin), report.first(&Kind::Gateway)) {
        (Some(without), Some(with)) => format!(
            "Of {} people who wanted something scarce, {} reached their goal without the gateway, and {} with it.",
            thousands(with.people),
            served(without),
            served(with),
        ),
        (None, Some(with)) => format!(
            "Of {} people who wanted something scarce, {} reached their goal behind the gateway.",
            thousands(with.people),
            served(with),
        ),
        (Some(without), None) => format!(
            "Of {} people who wanted something scarce, {} reached their goal without a gateway.",
            thousands(without.people),
            served(without),
        ),
        (None, None) => "No leg of the gateway was played.".to_owned(),
    }
}

fn share(leg: &LegSummary) -> f64 {
    leg.completed as f64 / leg.people.max(1) as f64
}

/// Three figures with the gateway, and what they were without.
fn figures(report: &Report) -> String {
    let (without, with) = (report.first(&Kind::Origin), report.first(&Kind::Gateway));
    let Some(judged) = with.or(without) else { return String::new() };
    let other = without.filter(|_| with.is_some());
    let mut html = "<dl class=\"big\">\n".to_owned();
    let mut figure = |label: &str, show: &dyn Fn(&LegSummary) -> String| {
        let then = other.map_or_else(String::new, |other| {
            format!("<dd class=\"then\">without the gateway: {}</dd>", escape(&show(other)))
        });
        let _ = writeln!(
            html,
            "<div><dt>{label}</dt><dd class=\"now\">{}</dd>{then}</div>",
            escape(&show(judged))
        );
    };
    figure("reached their goal", &|leg| percent(share(leg)));
    if judged.has_requests() {
        figure("99 of 100 had a definite answer within", &|leg| match leg.unanswered {
            0 => seconds(leg.first_answer_p99_s),
            never => format!("{}; {} never had one", seconds(leg.first_answer_p99_s), thousands(never)),
        });
        figure("of the origin's work was thrown away", &|leg| percent(leg.origin_wasted_share));
    } else {
        let shown = |s: Option<f64>| s.map_or_else(|| "-".to_owned(), seconds);
        figure("half of those who reached their goal waited less than", &|leg| shown(leg.goal_p50_s));
        figure("99 of 100 of them waited less than", &|leg| shown(leg.goal_p99_s));
    }
    html.push_str("</dl>\n");
    html
}

fn head(first: &str, columns: impl Iterator<Item = String>) -> String {
    let columns: String =
        columns.map(|column| format!("<th scope=\"col\">{}</th>", escape(&column))).collect();
    format!("<thead><tr><th scope=\"col\">{first}</th>{columns}</tr></thead>\n<tbody>\n")
}

fn row(html: &mut String, label: &str, cells: impl Iterator<Item = String>, rest: &str) {
    let cells: String = cells.map(|cell| format!("<td>{}</td>", escape(&cell))).collect();
    let _ = writeln!(html, "<tr><th scope=\"row\">{}</th>{cells}{rest}</tr>", escape(label));
}

fn metrics(report: &Report, html: &mut String) {
    let titles = report.legs.iter().map(|leg| leg.title.clone());
    html.push_str("<div class=\"scroll\"><table><caption>Targets are those of the small forms; verdicts are of the leg with the gateway.</caption>\n");
    *html += &head("", titles.chain(["target".to_owned(), "verdict".to_owned()]));
    let mut plain = |label: &str, show: &dyn Fn(&LegSummary) -> String| {
        row(html, label, report.legs.iter().map(show), "<td></td><td></td>");
    };
    plain("people who wanted something scarce", &|leg| thousands(leg.people));
    plain("reached their goal", &|leg| part(leg.completed, leg.people));
    plain("gave up", &|leg| thousands(leg.gave_up));
    plain("still trying at the end", &|leg| thousands(leg.still_there));
    plain("people who only looked around: reached their goal", &|leg| {
        part(leg.browsers_completed, leg.browsers)
    });
    if report.legs.iter().any(LegSummary::has_requests) {
        plain("requests sent by the crowd", &|leg| thousands(leg.requests));
        plain("of them, by bots", &|leg| thousands(leg.bot_requests));
        plain("requests received by the origin", &|leg| thousands(leg.origin_requests));
    }
    plain("length of the leg", &|leg| seconds(leg.elapsed_s));
    let judged = report.first(&Kind::Gateway);
    for metric in METRICS {
        let verdict = match judged.map(|leg| metric.judge(leg).standing) {
            Some(Standing::Met) => "<td class=\"met\">met</td>".to_owned(),
            Some(Standing::Missed) => "<td class=\"missed\">missed</td>".to_owned(),
            Some(Standing::NotApplicable(why)) => format!("<td class=\"why\">{}</td>", escape(why)),
            Some(Standing::Reported) | None => "<td></td>".to_owned(),
        };
        let rest = format!("<td>{}</td>{verdict}", escape(metric.target));
        row(html, metric.label, report.legs.iter().map(|leg| metric.judge(leg).shown), &rest);
    }
    html.push_str("</tbody></table></div>\n");
}

fn parities(report: &Report, html: &mut String) {
    let Some(leg) = report.first(&Kind::Gateway).filter(|leg| !leg.parity.is_empty()) else { return };
    let _ = write!(
        html,
        "<h2>Chances of each group, {}</h2>\n<div class=\"scroll\"><table><caption>What must not matter. \
         A place by admission over the place by arrival of 1 is a group served as it came.</caption>\n{}",
        escape(&leg.title),
        head(
            "",
            ["people", "reached their goal", "mean wait", "place by admission over place by arrival"]
                .into_iter()
                .map(str::to_owned)
        ),
    );
    for Parity { by, groups, .. } in &leg.parity {
        for group in groups {
            let dash = || "-".to_owned();
            let cells = [
                thousands(group.people),
                percent(group.served as f64 / group.people.max(1) as f64),
                group.mean_wait_s.map_or_else(dash, seconds),
                group.rank.map_or_else(dash, |rank| format!("{rank:.3}")),
            ];
            row(html, &format!("{by}: {}", group.name), cells.into_iter(), "");
        }
    }
    html.push_str("</tbody></table></div>\n");
}

fn measured(report: &Report, html: &mut String) {
    let _ = writeln!(
        html,
        "<p>Scenario {}, seed {}, {}, by tornello {}. The crowd: {}. Every leg meets the same people at the same \
         times; all times count from the moment at which a person meant to come, however long an answer took.</p>",
        escape(&report.scenario),
        report.seed,
        played(&report.mode),
        env!("CARGO_PKG_VERSION"),
        escape(&report.crowd),
    );
    if let Mode::Rehearsed { level, limits } = &report.mode {
        let _ = write!(
            html,
            "<p>Rehearsed in virtual time, by {}. What that leaves out:</p>\n<ul>\n",
            escape(level)
        );
        for limit in limits {
            let _ = writeln!(html, "<li>{}</li>", escape(limit));
        }
        html.push_str("</ul>\n");
    }
    if report.legs.iter().any(|leg| !leg.cpu.is_empty()) {
        html.push_str("<div class=\"scroll\"><table><caption>Processor time by process, in seconds, and as a share of one core over the leg.</caption>\n");
        *html += &head("", ["process", "seconds", "of one core"].into_iter().map(str::to_owned));
        for leg in &report.legs {
            for (process, cpu) in &leg.cpu {
                let of_core = percent(cpu / leg.elapsed_s.max(f64::MIN_POSITIVE));
                row(html, &leg.title, [process.clone(), format!("{cpu:.1}"), of_core].into_iter(), "");
            }
        }
        html.push_str("</tbody></table></div>\n");
    }
    for leg in &report.legs {
        for kill in &leg.kills {
            let back = kill.back_s.map_or_else(
                || "it did not come back".to_owned(),
                |back| format!("it answered again at {}", seconds(back)),
            );
            let _ = writeln!(
                html,
                "<p>{}: {} was killed at {} with {} requests in flight; {back}.</p>",
                escape(&leg.title),
                escape(&kill.process),
                seconds(kill.at_s),
                thousands(kill.in_flight),
            );
        }
        agreement(leg, html);
    }
    for note in &report.notes {
        let _ = writeln!(html, "<p class=\"note\">{}</p>", escape(note));
    }
    if !report.scenario_text.is_empty() {
        let _ = write!(html, "<h2>The scenario</h2>\n<pre>{}</pre>\n", escape(&report.scenario_text));
    }
}

fn agreement(leg: &LegSummary, html: &mut String) {
    if leg.agreement.is_empty() {
        return;
    }
    let _ = write!(
        html,
        "<div class=\"scroll\"><table><caption>{}: who counted what. Counts may differ by what was in flight when \
         something was killed.</caption>\n{}",
        escape(&leg.title),
        head("", ["crowd", "origin", "gateway", "in flight at kills", ""].into_iter().map(str::to_owned)),
    );
    for CountLine { what, crowd, origin, gateway, in_flight_at_kills, agrees } in &leg.agreement {
        let known = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), thousands);
        let verdict =
            if *agrees { "<td class=\"met\">agrees</td>" } else { "<td class=\"missed\">differs</td>" };
        let cells = [known(*crowd), known(*origin), known(*gateway), count(*in_flight_at_kills as f64)];
        row(html, what, cells.into_iter(), verdict);
    }
    html.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::super::tests::{played as played_report, report};
    use super::*;

    #[test]
    fn the_page_needs_nothing_else() {
        let html = page(&played_report());
        for outside in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    }

    #[test]
    fn a_manager_reads_the_outcome_first() {
        let html = page(&played_report());
        let lead = "Of 1,200 people who wanted something scarce, 41 (3.4 %) reached their goal without the \
                    gateway, and 1,200 (100.0 %) with it.";
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text}"));
        assert!(at(lead) < at("class=\"big\"") && at("class=\"big\"") < at("<figure>"));
        assert!(at("</figure>") < at("Every figure") && at("Every figure") < at("How it was measured"));
        assert!(at("seed 7") < at("The scenario</h2>"));
    }

    #[test]
    fn every_metric_and_count_stands_in_it_and_text_is_escaped() {
        let mut report = played_report();
        report.words.push("R&D waits <long>".to_owned());
        report.notes.push("In flight: POST /wallet of person 7".to_owned());
        let html = page(&report);
        for metric in METRICS {
            assert!(html.contains(&escape(metric.label)), "{}", metric.label);
        }
        for text in [
            "R&amp;D waits &lt;long&gt;",
            "of person 7",
            "agrees",
            "differs",
            "was killed at 15.0 s",
            "gateway",
            "class=\"met\"",
        ] {
            assert!(html.contains(text), "{text}");
        }
        for tag in ["table", "tr", "td", "th", "figure", "svg", "div", "p", "ul", "li", "dl", "main"] {
            let opened =
                html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn a_rehearsal_says_what_it_leaves_out() {
        let mut rehearsed = report();
        let limits = vec!["Requests are not simulated.".to_owned()];
        rehearsed.mode = Mode::Rehearsed { level: "session".into(), limits };
        let html = page(&rehearsed);
        assert!(html.contains("rehearsed") && html.contains("<li>Requests are not simulated.</li>"));
    }
}
