//! Figures as people read them.

/// Shares: `98.5 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `1,200 (98.5 %)`.
#[must_use]
pub fn part(part: u64, whole: u64) -> String {
    format!("{} ({})", thousands(part), percent(part as f64 / whole.max(1) as f64))
}

/// Times: `80 ms`, `4.2 s`, `12 min`, `6.9 h`.
#[must_use]
pub fn seconds(s: f64) -> String {
    match s {
        s if s.is_infinite() => "never".to_owned(),
        s if s < 0.9995 => format!("{:.0} ms", s * 1_000.0),
        s if s < 180.0 => format!("{s:.1} s"),
        s if s < 3.0 * 3_600.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

/// The same with its sign.
#[must_use]
pub fn signed_seconds(s: f64) -> String {
    format!("{}{}", if s < 0.0 { "−" } else { "+" }, seconds(s.abs()))
}

/// Counts: `1,200`.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates; counts are not negative"
)]
pub fn count(count: f64) -> String {
    thousands(count.round() as u64)
}

/// Counts: `1,200`.
#[must_use]
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Ratios: `0.983`, `14.2`.
#[must_use]
pub fn number(value: f64) -> String {
    match value {
        value if value.abs() < 9.995 => format!("{value:.3}"),
        value if value.abs() < 99.95 => format!("{value:.1}"),
        value => count(value),
    }
}

/// Sizes: `64 B`, `31 kB`, `1.2 MB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1_000.0 => format!("{bytes:.0} B"),
        bytes if bytes < 1_000_000.0 => format!("{:.0} kB", bytes / 1_000.0),
        bytes => format!("{:.1} MB", bytes / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_units() {
        assert_eq!([percent(0.9851), part(1_182, 1_200)], ["98.5 %", "1,182 (98.5 %)"]);
        let times = [0.0, 0.05, 0.9999, 42.0, 600.0, 24_840.0].map(seconds);
        assert_eq!(times, ["0 ms", "50 ms", "1.0 s", "42.0 s", "10 min", "6.9 h"]);
        assert_eq!(seconds(f64::INFINITY), "never");
        assert_eq!([-1.5, 0.2].map(signed_seconds), ["−1.5 s", "+200 ms"]);
        assert_eq!([0, 999, 1_000, 71_500_000].map(thousands), ["0", "999", "1,000", "71,500,000"]);
        assert_eq!([0.983, 14.23, 364.0].map(number), ["0.983", "14.2", "364"]);
        assert_eq!([64.0, 31_000.0, 1_230_000.0].map(bytes), ["64 B", "31 kB", "1.2 MB"]);
    }
}
