//! The shipped files, and everything that may be wrong with one.
use super::*;

const MINIMAL: &str = include_str!("../../config/minimal.toml");

#[test]
fn scratch() {
    let result = parse(MINIMAL, "minimal.toml");
    match result { Ok((s,d)) => println!("{s:#?} {d:?}"), Err(d) => panic!("{}", render(&d, MINIMAL, false)) }
    println!("{}", schema_text());
    for bad in [ "[listen]\nhttp=\"localhost:80\"\nthreads=0\n[rooms.main]\nidle=10\n[route.a]\nupstream=\"ap\"\nroom=\"main\"\npth=\"/x\"\n[upstream.app]\naddresses=[\"http://x:1/\"]\nlimit={floor=9,ceiling=3}\n", "a = \nb = \"x\nc=1 2\n[[x]\n", "a=1\na=2\nb=3\nb=4"] {
        match parse(bad, "t.toml") { Ok(_) => panic!(), Err(d) => println!("{}", render(&d, bad, false)) }
        let (_, errors) = DeTable::parse_recoverable(bad);
        for e in errors { println!("{:?} {}", e.span(), e.message()); }
    }
    panic!();
}
