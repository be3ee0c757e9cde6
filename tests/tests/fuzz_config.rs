//! What an operator may write into the configuration file.

use muster_agent::config::{ConfigError, parse};
use muster_tests::fuzz::Target;

/// The kind of an answer: what a configuration came to is not told apart, what is wrong with one is.
fn kind(text: &str) -> String {
    match parse(text) {
        Ok(config) => format!("right: {} users", config.agent.server_user.len()),
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.contains('\n'), "one line: {sentence}");
            assert!(sentence.chars().count() < 1_000, "one sentence: {sentence}");
            match error {
                ConfigError::Syntax { message, .. } => {
                    let words: Vec<_> = message.split_whitespace().take(3).collect();
                    format!("syntax: {}", words.join(" "))
                }
                ConfigError::Unknown { instead, .. } => format!("unknown: {instead}"),
                ConfigError::Value { key, .. } => format!("value: {key}"),
                ConfigError::Together(_) => "together".to_owned(),
                other => format!("unexpected: {other}"),
            }
        }
    }
}

#[test]
fn fuzz_config() {
    let seeds = [
        "",
        "name = \"db1\"\nsite = \"paris\"\npriority = 100\n",
        "[agent]\nstate_dir = \"/var/lib/muster\"\ncontrol_socket = \"/run/c\"\nplugin_socket = \"/run/p\"\n\
         listen = \"[::]:7400\"\nadvertise = \"db1:7400\"\nserver_user = [\"mysql\", 'm']\noperator_group = \"muster\"\n",
        "[text]\nlisten = \"127.0.0.1:2200\"\n[log]\nlevel = \"info,a::b=debug\"\nformat = \"json\"\n",
        "agent.listen = '''127.0.0.1:1'''\ntext = { listen = \"off\" }\nx = 1979-05-27T07:32:00Z\n",
        "priority = 0xff\npriority = 1e3\nsite = [[], {}]\n",
    ];
    let found = Target {
        name: "config",
        seeds: seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
        pieces: &[
            "name = ",
            "site",
            "priority = ",
            "[agent]\n",
            "[text]\n",
            "[log]\n",
            "[[agent]]\n",
            "listen = ",
            "\"\"",
            "\"",
            "'''",
            "\"\"\"",
            "{",
            "}",
            "[",
            "]",
            ".",
            "\n",
            "\r\n",
            "#",
            "\\u0000",
            "\\U0010ffff",
            "\u{feff}",
            "0x",
            "-",
            "_",
            "127.0.0.1:0",
            "[::]:7400",
            "off",
            "true",
            "inf",
            "1979-05-27",
            "\u{202e}",
            "🦀",
            "=",
            ",",
        ],
        bytes_max: 4_096,
    }
    .run(|input| match std::str::from_utf8(input) {
        Ok(text) => kind(text),
        Err(_) => "no text: refused where the file is read".to_owned(),
    });
    assert!(found.words > 10, "{found:?}");
}
