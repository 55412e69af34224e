//! Kinds of bad scenario: each is refused, with one error, on the right line, with a remedy.

use crate::config::tests::bad::{Bad, each_is_one_error};
use crate::config::{Diagnostic, Severity, render};
use crate::lab::scenario::Scenario;

/// A good file that uses a little of everything; the tests break it.
const GOOD: &str = r#"name = "GOOD"
seed = 7
horizon_s = 60
time_scale = 20
opens_s = 5
[[class]]
id = "citizen"
people = 100
arrival = [
    { share = 0.6, when = { law = "uniform", from_s = 0, to_s = 5 } },
    { share = 0.4, when = { law = "exp_after", at_s = 5, mean_s = 1 } },
]
app_share = 0.5
no_script = 0.1
devices = [0.70, 0.20, 0.07, 0.03]
nat_share = 0.30
nat_addresses = 4
locale = { it = 0.9, en = 0.1 }
steps = ["home", "card", "static x5", "receipt"]
repeat = { from = 1, to = 2, times = [0.5, 0.5] }
cases = 2
think_s = { law = "lognormal", median_s = 0.15, sigma = 0.5 }
timeout_s = 0.8
retry = "hammer"
retry_gap_s = 0.2
f5_share = 0.2
f5_every_s = 2
patience_s = { spinner = 30, ticket = { law = "exp", mean_s = 180 } }
close_tab = 0.1
away_s = 5
[[class]]
id = "bot"
people = 60
arrival = { law = "click_day", t0_s = 5, before = 0.5, first = 0.3, theta_s = 2, tau_s = 2, to_s = 20 }
steps = ["card"]
rate_rps = 10
identities = 12
timeout_s = 0.9
[[class]]
id = "steady"
people = 10
arrival = { law = "steps", stretches = [{ for_s = 10, per_s = 11 }, { for_s = 20, per_s = 60 }] }
steps = ["home"]
timeout_s = 2
patience_s = { spinner = 31, ticket = 181 }
[[endpoint]]
id = "home"
path = "/home"
service_s = 0.002
[[endpoint]]
id = "card"
path = "/card"
method = "POST"
pool = "sia"
service_s = { law = "bimodal", fast_s = 0.01, slow_s = 0.2, slow_share = 0.1 }
personal = true
idempotency_key = true
sells = "vouchers"
cache_control = "public, max-age=60"
[[endpoint]]
id = "static"
path = "/static"
service_s = { law = "exp", mean_s = 0.001 }
bytes = 4096
[[endpoint]]
id = "receipt"
path = "/receipt"
service_s = 0.003
ends_session = true
[pool.sia]
slots = 12
bounded = 40
zombies = true
thrash = 0.1
[stock.vouchers]
units = 1200
[[fault]]
at_s = 20
until_s = 30
pool = "sia"
slots = 6
[[fault]]
at_s = 21
until_s = 22
origin = "dead"
[[fault]]
at_s = 15
kill = "gateway"
"#;

/// Faults that one key shows by itself.
const SHAPE: &[Bad] = &[
    // Syntax.
    ("name = \"GOOD\"", "name = GOOD", "name = GOOD", "put it in quotes: `\"GOOD\"`"),
    ("[pool.sia]", "[pool.sia", "[pool.sia", "close the name of the table with `]`"),
    ("slots = 12", "slots = 12\nslots = 13", "slots = 13", "keep one of the two"),
    // Keys.
    ("seed = 7", "sed = 7", "sed = 7", "did you mean `seed`?"),
    ("timeout_s = 0.8", "timeout_s = 0.8\ntimout_s = 0.8", "timout_s", "did you mean `timeout_s`?"),
    ("units = 1200", "unit = 1200", "unit = 1200", "did you mean `units`?"),
    ("from_s = 0, to_s = 5", "from_s = 0, til_s = 5, to_s = 5", "til_s", "remove it; the keys here are"),
    (
        "[[endpoint]]\nid = \"home\"",
        "[[endpoints]]\nid = \"home\"",
        "[[endpoints]]",
        "did you mean `endpoint`?",
    ),
    ("path = \"/home\"", "path = \"/home\"\nslots = 3", "slots = 3", "move it: it is a key of"),
    ("horizon_s = 60\n", "", "name = \"GOOD\"", "add `horizon_s = "),
    ("people = 100\n", "", "[[class]]", "add `people = 1`"),
    ("mean_s = 1 }", "mead_s = 1 }", "mead_s", "did you mean `mean_s`?"),
    ("mean_s = 0.001", "", "law = \"exp\"", "add `mean_s = "),
    ("zombies = true\n", "", "[pool.sia]", "add `zombies = true`"),
    ("units = 1200\n", "", "[stock.vouchers]", "add `units = 1`"),
    ("[pool.sia]", "[pool.SIA]", "[pool.SIA]", "at most 40: `sia`"),
    ("it = 0.9,", "Italiano = 0.9,", "Italiano", "`it`, `en`"),
    // Types.
    ("people = 100", "people = \"100\"", "people = \"100\"", "without quotes: `people = 100`"),
    ("people = 100", "people = 1.5", "people = 1.5", "`people = 1`"),
    ("horizon_s = 60", "horizon_s = \"60s\"", "60s", "`horizon_s = "),
    ("steps = [\"card\"]", "steps = \"card\"", "steps = \"card\"", "write a list: `steps = [\"card\"]`"),
    ("zombies = true", "zombies = \"true\"", "zombies = \"true\"", "without quotes: `zombies = true`"),
    (
        "think_s = { law = \"lognormal\", median_s = 0.15, sigma = 0.5 }",
        "think_s = \"3s\"",
        "think_s",
        "`think_s = ",
    ),
    ("[pool.sia]", "[[pool.sia]]", "[[pool.sia]]", "`[pool.sia]` with one pair of brackets"),
    // Choices.
    ("law = \"uniform\"", "law = \"unifrom\"", "unifrom", "did you mean `\"uniform\"`?"),
    ("law = \"exp_after\"", "law = \"poisson\"", "poisson", "`\"click_day\"`"),
    ("{ law = \"exp\", mean_s = 0.001 }", "{ mean_s = 0.001 }", "mean_s = 0.001", "add `law = ...`"),
    ("law = \"bimodal\"", "law = \"bimodel\"", "bimodel", "did you mean `\"bimodal\"`?"),
    ("retry = \"hammer\"", "retry = \"hammmer\"", "hammmer", "did you mean `\"hammer\"`?"),
    ("method = \"POST\"", "method = \"PUT\"", "PUT", "`\"GET\"`, `\"POST\"`"),
    ("kill = \"gateway\"", "kill = \"origin\"", "kill = \"origin\"", "`\"gateway\"`"),
    ("origin = \"dead\"", "origin = \"slow\"", "origin = \"slow\"", "`\"dead\"`"),
    ("bounded = 40", "queue = \"bounded\"", "queue = \"bounded\"", "`\"unbounded\"`"),
    // Formats and bounds.
    ("path = \"/home\"", "path = \"home\"", "path = \"home\"", "`\"/home\"`"),
    ("path = \"/home\"", "path = \"/home?a=b\"", "/home?a=b", "`\"/home\"`"),
    ("slots = 12", "slots = 0", "slots = 0", "from 1 to 1000000"),
    ("people = 100", "people = 0", "people = 0", "from 1 to 100000000"),
    ("app_share = 0.5", "app_share = 50", "app_share = 50", "from 0 to 1"),
    ("share = 0.6", "share = 60", "share = 60", "from 0 to 1"),
    ("timeout_s = 0.8", "timeout_s = 0", "timeout_s = 0", "above 0 and up to 600"),
    ("horizon_s = 60", "horizon_s = -60", "horizon_s = -60", "above 0 and up to 2592000"),
    ("mean_s = 0.001", "mean_s = -1", "mean_s = -1", "from 0 to 1000000"),
    ("sigma = 0.5", "sigma = nan", "sigma = nan", "from 0 to 5"),
    ("retry_gap_s = 0.2", "retry_gap_s = -0.2", "retry_gap_s", "from 0 to 1000000"),
    ("steps = [\"card\"]", "steps = []", "steps = []", "name at least one"),
    (
        "stretches = [{ for_s = 10, per_s = 11 }, { for_s = 20, per_s = 60 }]",
        "stretches = []",
        "stretches",
        "name at least one",
    ),
];

/// Faults between keys.
const MEANING: &[Bad] = &[
    // Names.
    ("\"card\", \"static x5\"", "\"crad\", \"static x5\"", "crad", "did you mean `card`?"),
    (
        "steps = [\"card\"]",
        "steps = [\"vouchers\"]",
        "vouchers",
        "add `[[endpoint]]` with `id = \"vouchers\"`",
    ),
    ("static x5", "static xfive", "static xfive", "`\"static x5\"`"),
    ("static x5", "static x500\", \"static x501", "steps = ", "at most 1000"),
    ("pool = \"sia\"\nservice", "pool = \"sai\"\nservice", "sai", "did you mean `sia`?"),
    ("pool = \"sia\"\nslots = 6", "pool = \"idp\"\nslots = 6", "idp", "add `[pool.idp]`, or use `sia`"),
    ("sells = \"vouchers\"", "sells = \"voucher\"", "sells = ", "did you mean `vouchers`?"),
    ("sells = \"vouchers\"", "sells = \"money\"", "money", "add `[stock.money]`"),
    // Twice.
    ("id = \"static\"", "id = \"card\"", "id = \"card\"", "a name of its own"),
    ("path = \"/static\"", "path = \"/card\"", "path = \"/card\"", "a path of its own"),
    ("id = \"bot\"", "id = \"citizen\"", "id = \"citizen\"", "a name of its own"),
    ("path = \"/home\"", "path = \"/.tornello/v1\"", "/.tornello", "choose another path"),
    ("path = \"/home\"", "path = \"/health\"", "/health", "choose another path"),
    // Shares.
    ("share = 0.4", "share = 0.3", "arrival = [", "add 0.1 to one of them"),
    ("[0.70, 0.20, 0.07, 0.03]", "[0.70, 0.20, 0.17, 0.03]", "devices", "take 0.1 away"),
    ("it = 0.9,", "it = 0.8,", "locale", "add 0.1 to one of them"),
    ("times = [0.5, 0.5]", "times = [0.5, 0.6]", "times", "take 0.1 away"),
    ("before = 0.5, first = 0.3", "before = 0.5, first = 0.6", "first = 0.6", "at most 0.5"),
    (
        "per_s = 11 }, { for_s = 20, per_s = 60 }",
        "per_s = 0 }, { for_s = 20, per_s = 0 }",
        "stretches",
        "above 0",
    ),
    // Order in time.
    ("from_s = 0, to_s = 5", "from_s = 6, to_s = 5", "to_s = 5", "at least 6"),
    ("t0_s = 5", "t0_s = 25", "to_s = 20", "an earlier `t0_s`"),
    (
        "law = \"click_day\", t0_s = 5, before = 0.5, first = 0.3, theta_s = 2, tau_s = 2, to_s = 20",
        "law = \"uniform\", from_s = 60, to_s = 70",
        "from_s = 60",
        "raise `horizon_s`",
    ),
    ("until_s = 30", "until_s = 10", "until_s = 10", "above 20"),
    ("until_s = 30\n", "", "[[fault]]", "add `until_s = 30`"),
    ("until_s = 22", "until_s = 20", "until_s = 20", "above 21"),
    ("kill = \"gateway\"", "kill = \"gateway\"\nuntil_s = 20", "until_s = 20", "remove `until_s`"),
    (
        "[[fault]]\nat_s = 21",
        "[[fault]]\nat_s = 25\nuntil_s = 35\npool = \"sia\"\nslots = 3\n[[fault]]\nat_s = 21",
        "at_s = 25",
        "let one end before the other begins",
    ),
    // What breaks.
    ("origin = \"dead\"\n", "", "[[fault]]", "write one of `slots`, `stalled`, `slowness` or `error_rate`"),
    ("slots = 6", "slots = 6\nstalled = true", "[[fault]]", "write another `[[fault]]`"),
    ("slots = 6", "slots = 6\nslowness = 2", "[[fault]]", "write another `[[fault]]`"),
    ("slots = 6", "slots = 6\nerror_status = 503", "error_status = 503", "add `error_rate`"),
    ("slots = 6", "slots = 6\nerror_at_once = true", "error_at_once = true", "add `error_rate`"),
    ("pool = \"sia\"\nslots = 6", "slots = 6", "[[fault]]", "add `pool = \"sia\"`"),
    ("kill = \"gateway\"", "kill = \"gateway\"\npool = \"sia\"", "pool = \"sia\"", "remove `pool`"),
    // People and programs.
    ("identities = 12\n", "", "[[class]]", "add `identities = 1`"),
    ("rate_rps = 10\n", "", "[[class]]", "add `rate_rps = 1`"),
    ("identities = 12", "identities = 120", "identities = 120", "at most 60"),
    ("identities = 12", "identities = 12\nrefreshes = 3", "refreshes = 3", "are programs"),
    ("patience_s = { spinner = 31, ticket = 181 }", "", "[[class]]", "add `patience_s = "),
    ("spinner = 30", "spinner = 300", "ticket = ", "a shorter `spinner`"),
    ("people = 100", "people = 100001", "people = 100001", "`level = \"session\"`"),
    ("from = 1, to = 2", "from = 3, to = 2", "to = 2", "at least 3"),
    ("from = 1, to = 2", "from = 1, to = 8", "to = 8", "at most 7"),
    ("nat_addresses = 4\n", "", "nat_share = 0.30", "add `nat_addresses = 4`"),
    ("f5_every_s = 2\n", "", "f5_share = 0.2", "add `f5_every_s = 2`"),
    ("away_s = 5\n", "", "close_tab = 0.1", "add `away_s = "),
    ("\"public, max-age=60\"", "\"public\\nmax-age\"", "cache_control", "as it stands in an answer"),
];

fn errors(text: &str) -> Vec<Diagnostic> {
    let found = Scenario::read(text, "bad.toml").expect_err("a bad scenario was accepted");
    found.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error).collect()
}

fn check(cases: &[Bad]) {
    each_is_one_error(GOOD, cases, |text| Scenario::read(text, "bad.toml"));
}

#[test]
fn the_good_file_is_good() {
    let (scenario, warnings) =
        Scenario::read(GOOD, "good.toml").unwrap_or_else(|found| panic!("{}", render(&found, GOOD, false)));
    assert!(warnings.is_empty(), "{}", render(&warnings, GOOD, false));
    assert_eq!((scenario.classes.len(), scenario.endpoints.len(), scenario.faults.len()), (3, 4, 3));
}

#[test]
fn faults_of_one_key() {
    check(SHAPE);
}

#[test]
fn faults_between_keys() {
    check(MEANING);
    assert!(SHAPE.len() + MEANING.len() >= 80);
}

#[test]
fn an_empty_file_is_told_what_it_needs() {
    let found = errors("");
    let mut messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    messages.sort_unstable();
    assert_eq!(
        messages,
        [
            "missing key `horizon_s`",
            "missing key `name`",
            "missing table `[[class]]`",
            "missing table `[[endpoint]]`"
        ]
    );
    assert!(found.iter().all(|d| d.help.starts_with("add `")));
}

#[test]
fn all_faults_are_reported_at_once_and_only_once() {
    let text = GOOD
        .replacen("seed = 7", "sed = 7", 1)
        .replacen("people = 100", "people = \"many\"", 1)
        .replacen("law = \"exp_after\"", "law = \"exp_afer\"", 1)
        .replacen("\"static x5\"", "\"statics x5\"", 1)
        .replacen("slots = 12", "slots = 0", 1)
        .replacen("until_s = 30", "until_s = 3", 1);
    let found = errors(&text);
    let lines: Vec<&str> = found.iter().map(|d| text.lines().nth(d.line - 1).unwrap().trim()).collect();
    let begins =
        ["sed = 7", "people = \"many\"", "{ share = 0.4", "steps = [\"home\"", "slots = 0", "until_s = 3"];
    assert_eq!(lines.len(), begins.len(), "{}", render(&found, &text, false));
    assert!(lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{lines:?}");
}

#[test]
fn what_cannot_matter_is_a_warning() {
    for (old, new, remedy) in [
        ("pool = \"sia\"\nservice", "service", "write `pool = \"sia\"` in an endpoint"),
        ("sells = \"vouchers\"\n", "", "write `sells = \"vouchers\"` in an endpoint"),
        ("at_s = 15\nkill", "at_s = 61\nkill", "raise `horizon_s`"),
    ] {
        assert!(GOOD.contains(old), "{old}");
        let (_, warnings) = Scenario::read(&GOOD.replacen(old, new, 1), "s.toml").unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].help.contains(remedy), "{}", warnings[0].help);
    }
}
