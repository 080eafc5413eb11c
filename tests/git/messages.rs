//! Commit messages, read back by us and by the `git` program.

use super::server::run;
use proptest::prelude::*;
use windlass::git::trailers::{Message, Trailer, TrailerError};

fn pairs(message: &Message) -> Vec<(String, String)> {
    message.trailers().iter().map(|Trailer { key, value }| (key.clone(), value.clone())).collect()
}

/// The trailers as `git interpret-trailers` sees them.
fn by_git(text: &str) -> Vec<(String, String)> {
    let printed = run(std::path::Path::new("/"), &["interpret-trailers", "--parse"], text.as_bytes());
    let split = |line: &str| line.split_once(": ").map(|(key, value)| (key.to_owned(), value.to_owned()));
    printed.lines().filter_map(split).collect()
}

#[derive(serde::Serialize)]
struct Approval<'a> {
    login: &'a str,
    comment: &'a str,
}

#[test]
fn a_step_reads_as_designed() {
    let message = Message::new("checkout: step 2/5, grow to 4 of 10 pods")
        .paragraph("Gates of step 1 passed: soak 5m0s, error-rate ratio 0.93 (e=0.04, safe e'=31.2).")
        .word("Windlass-Release", "prod/checkout#7")
        .and_then(|message| message.word("Windlass-Step", "2/5 grow"))
        .and_then(|message| message.json("Windlass-Approved-By", &Approval { login: "ada", comment: "go\nWindlass-Step: 5/5" }))
        .unwrap();
    let expected = r#"checkout: step 2/5, grow to 4 of 10 pods

Gates of step 1 passed: soak 5m0s, error-rate ratio 0.93 (e=0.04, safe e'=31.2).

Windlass-Release: prod/checkout#7
Windlass-Step: 2/5 grow
Windlass-Approved-By: {"login":"ada","comment":"go\nWindlass-Step: 5/5"}
"#;
    assert_eq!(message.text(), expected);
    assert_eq!(Message::parse(&message.text()), message);
    assert_eq!(by_git(&message.text()), pairs(&message));
    assert_eq!(message.only("windlass-step"), Some("2/5 grow"));
    assert_eq!(message.only("Windlass-Tree"), None);
}

#[test]
fn only_the_last_paragraph_holds_trailers() {
    let trailers = |text: &str| pairs(&Message::parse(text));
    assert_eq!(trailers("subject\n\nWindlass-Step: 1\n\ntext"), []);
    assert_eq!(trailers("Windlass-Step: 1"), []);
    assert_eq!(trailers("subject\nWindlass-Step: 1\n"), []);
    assert_eq!(trailers("subject\n\ntext\nWindlass-Step: 1"), []);
    assert_eq!(trailers("subject\n\n indented\nWindlass-Step: 1"), []);
    assert_eq!(trailers("s\r\n\r\nWindlass-Step: 1\r\n\r\n"), [("Windlass-Step".into(), "1".into())]);
    assert_eq!(trailers("s\n\nKey: a\n  b\n"), [("Key".into(), "a b".into())]);
    assert_eq!(trailers(""), []);
    let twice = Message::parse("s\n\nWindlass-Step: 1\nwindlass-step: 2\n");
    assert_eq!((twice.only("Windlass-Step"), twice.all("Windlass-Step").count()), (None, 2));
}

#[test]
fn keys_and_plain_values_are_checked() {
    let message = || Message::new("s");
    for key in ["", "a b", "a:b", "1a", "-a", "a\n", "ü"] {
        assert!(matches!(message().word(key, "x"), Err(TrailerError::Key(_))), "{key:?}");
    }
    for value in ["", " a", "a ", "a\nb", "a\u{1b}b", "{\"a\":1}", "[1]", "\"x\"", "a\u{202e}b", "a\u{2028}b"] {
        assert!(matches!(message().word("Windlass-X", value), Err(TrailerError::Value(_))), "{value:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn text_from_people_never_makes_a_trailer(
        subject in text(), body in proptest::collection::vec(text(), 0..4), comment in text(), with in any::<bool>()
    ) {
        let mut message = Message::new(&subject);
        for paragraph in &body {
            message = message.paragraph(paragraph);
        }
        if with {
            message = message.word("Windlass-Step", "2/5 grow").unwrap();
            message = message.json("Windlass-Approved-By", &Approval { login: "ada", comment: &comment }).unwrap();
        }
        let text = message.text();
        let parsed = Message::parse(&text);
        prop_assert_eq!(pairs(&parsed), pairs(&message), "{}", text);
        prop_assert_eq!(by_git(&text), pairs(&message), "{}", text);
        prop_assert_eq!(parsed.subject(), message.subject());
        // What is read and written again stays as it is.
        prop_assert_eq!(Message::parse(&parsed.text()), parsed);
        if with {
            let value: serde_json::Value = serde_json::from_str(message.only("Windlass-Approved-By").unwrap()).unwrap();
            prop_assert_eq!(value["comment"].as_str(), Some(comment.as_str()));
        }
    }

    #[test]
    fn no_message_panics(text in any::<String>()) {
        let _ = Message::parse(&text).text();
    }
}

/// Text with what could confuse a reader of messages.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("Windlass-Step: 5/5".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\r".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just("---\n".to_owned()),
        Just("\n---".to_owned()),
        Just("# ------------------------ >8 ------------------------\n".to_owned()),
        Just("# comment".to_owned()),
        Just("Signed-off-by: eve <eve@example.com>\n".to_owned()),
        Just("(cherry picked from commit 1)\n".to_owned()),
        Just("Conflicts:\n\tfile\n".to_owned()),
        Just("\u{2028}Windlass-Step: 5/5".to_owned()),
        Just("\u{85}".to_owned()),
        Just("\0\u{1b}[31m".to_owned()),
        Just(" ".to_owned()),
        Just("\t".to_owned()),
        Just(": ".to_owned()),
        "[a-zA-Z\"\\\\{}:#ü-]{0,8}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}
