//! Every way to write a configuration right, and what is said to every way of writing it wrong.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::keys::KEYS;
use super::*;

/// [`super::load`] on a host whose usual file is not there.
fn load(
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    host_name: &str,
) -> Result<Loaded, ConfigError> {
    let usual = Path::new("/nonexistent/muster.toml");
    load::load_with(usual, overrides, environment, host_name)
}

/// What a file with this text is answered with.
fn said(text: &str) -> String {
    parse(text).map_or_else(|e| e.to_string(), |config| format!("accepted: {config:?}"))
}

fn overrides(values: &[(&'static str, &str)]) -> Overrides {
    Overrides {
        config: None,
        values: values
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect(),
    }
}

fn environment(values: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    values
        .iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

fn file(text: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_ref()).unwrap();
    file
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let config = parse("").unwrap();
    assert_eq!(
        config,
        Config {
            name: "localhost".into(),
            site: String::new(),
            priority: 100,
            agent: AgentConfig {
                state_dir: "/var/lib/muster".into(),
                control_socket: "/run/muster/control.sock".into(),
                plugin_socket: "/run/muster/agent.sock".into(),
                listen: "0.0.0.0:7400".parse().unwrap(),
                advertise: "localhost:7400".into(),
                server_user: vec!["mysql".into()],
                operator_group: "muster".into(),
            },
            text: TextConfig { listen: None },
            log: LogConfig {
                level: "info,openraft=warn".into(),
                format: LogFormat::Text
            },
        }
    );
}

#[test]
fn the_defaults_that_are_told_are_the_defaults_that_hold() {
    let told: Vec<(String, String)> = KEYS
        .iter()
        .filter(|key| !["name", "site", "advertise"].contains(&key.name))
        .map(|key| (key.variable.to_owned(), key.default.to_owned()))
        .collect();
    let told = told.iter().map(|(name, value)| (name.into(), value.into()));
    let loaded = load(&Overrides::default(), told, "localhost").unwrap();
    assert_eq!(loaded.config, parse("").unwrap());
}

#[test]
fn the_guide_names_every_key_with_its_variable_and_default() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/guide/configuration.md"
    );
    let guide = std::fs::read_to_string(path).unwrap();
    for key in &KEYS {
        let start = format!("| `{}` | `{}` | {} |", key.name, key.variable, key.default);
        assert!(
            guide.contains(&start),
            "the guide has no row beginning with: {start}"
        );
    }
    let example = guide
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    parse(example).unwrap();
}

#[test]
fn a_full_file_is_taken() {
    let config = parse(
        r#"
        name = "db1"
        site = "Zürich"
        priority = 0x10
        [agent]
        state_dir = "/srv/muster"
        control_socket = "/srv/muster/c.sock"
        plugin_socket = "/srv/muster/p.sock"
        listen = "[::]:7500"
        advertise = "db1.example.net:7500"
        server_user = ["mysql", "mariadb"]
        operator_group = "dba"
        [text]
        listen = "127.0.0.1:2200"
        [log]
        level = "warn,muster_agent::link=trace"
        format = "json"
        "#,
    )
    .unwrap();
    assert_eq!(config.name, "db1");
    assert_eq!(config.site, "Zürich");
    assert_eq!(config.priority, 16);
    assert_eq!(config.agent.state_dir, PathBuf::from("/srv/muster"));
    assert_eq!(config.agent.listen, "[::]:7500".parse().unwrap());
    assert_eq!(config.agent.advertise, "db1.example.net:7500");
    assert_eq!(config.agent.server_user, ["mysql", "mariadb"]);
    assert_eq!(config.agent.operator_group, "dba");
    assert_eq!(config.text.listen, Some("127.0.0.1:2200".parse().unwrap()));
    assert_eq!(config.log.level, "warn,muster_agent::link=trace");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn every_mistake_is_answered_with_its_place_and_what_is_right() {
    let cases = [
        (
            "nmae = \"db1\"",
            "line 1, column 1: there is no key 'nmae' at the top; did you mean 'name'?",
        ),
        (
            "\n[agent]\n  lisen = \"0.0.0.0:7400\"",
            "line 3, column 3: there is no key 'lisen' in [agent]; did you mean 'listen'?",
        ),
        (
            "[agnet]\nlisten = \"0.0.0.0:7400\"",
            "line 1, column 2: there is no table [agnet]; did you mean 'agent'?",
        ),
        (
            "colour = 1",
            "line 1, column 1: there is no key 'colour' at the top; there are name, site, priority",
        ),
        (
            "state_dir = \"/x\"",
            "line 1, column 1: there is no key 'state_dir' at the top; it belongs in [agent]",
        ),
        (
            "[agent]\nname = \"db1\"",
            "line 2, column 1: there is no key 'name' in [agent]; it belongs at the top of the file, before any [table]",
        ),
        (
            "[text]\nport = 2200",
            "line 2, column 1: there is no key 'port' in [text]; there are listen",
        ),
        (
            "agent = 1",
            "line 1, column 1: there is no key 'agent' at the top; [agent] is a table, with its keys in the lines below it",
        ),
        (
            "name = 7",
            "line 1, column 8: 7 does not fit name: it takes 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or a digit, as in \"db1\"",
        ),
        (
            "name = \"\"",
            "line 1, column 8: \"\" does not fit name: it takes 1 to 64 ",
        ),
        ("name = \"a b\"", "\"a b\" does not fit name"),
        ("name = \"-x\"", "\"-x\" does not fit name"),
        (
            "site = \"a\\nb\"",
            "line 1, column 8: \"a\u{fffd}b\" does not fit site: it takes at most 64 characters of one line",
        ),
        (
            "priority = \"100\"",
            "\"100\" does not fit priority: it takes a whole number from 0 (never promoted) to 4294967295",
        ),
        (
            "priority = -1",
            "line 1, column 12: -1 does not fit priority",
        ),
        (
            "priority = 1.5",
            "a number with a fraction does not fit priority",
        ),
        (
            "priority = 99999999999999999999999999999999999999999999",
            "so large a number does not fit priority",
        ),
        ("site = true", "true or false does not fit site"),
        ("site = 1979-05-27", "a date or time does not fit site"),
        ("site = {a = 1}", "a table does not fit site"),
        (
            "[agent]\nstate_dir = \"var/lib\"",
            "line 2, column 13: \"var/lib\" does not fit state_dir: it takes an absolute path",
        ),
        (
            "[agent]\nlisten = 7400",
            "7400 does not fit listen: it takes an address of this host and a port",
        ),
        (
            "[agent]\nlisten = \"localhost:7400\"",
            "\"localhost:7400\" does not fit listen",
        ),
        (
            "[agent]\nlisten = \"0.0.0.0:74000\"",
            "\"0.0.0.0:74000\" does not fit listen",
        ),
        (
            "[agent]\nadvertise = \"0.0.0.0:7400\"",
            "\"0.0.0.0:7400\" does not fit advertise: it takes a host name or address that the others can reach",
        ),
        (
            "[agent]\nadvertise = \"db1\"",
            "\"db1\" does not fit advertise",
        ),
        (
            "[agent]\nadvertise = \"10.0.0.256:7400\"",
            "\"10.0.0.256:7400\" does not fit advertise",
        ),
        (
            "[agent]\nadvertise = \"2001:db8::7:7400\"",
            "\"2001:db8::7:7400\" does not fit advertise",
        ),
        (
            "[agent]\nserver_user = []",
            "a list of 0 does not fit server_user: it takes one to 16 names",
        ),
        (
            "[agent]\nserver_user = [1]",
            "a list that holds more than texts does not fit server_user",
        ),
        (
            "[agent]\noperator_group = \"a b\"",
            "\"a b\" does not fit operator_group",
        ),
        (
            "[text]\nlisten = \"none\"",
            "\"none\" does not fit listen: it takes an address of this host and a port, as in \"127.0.0.1:2200\", or \"off\"",
        ),
        (
            "[log]\nlevel = \"inof\"",
            "\"inof\" does not fit level: it takes off, error, warn",
        ),
        (
            "[log]\nlevel = \"info,=debug\"",
            "\"info,=debug\" does not fit level",
        ),
        (
            "[log]\nformat = \"xml\"",
            "line 2, column 10: \"xml\" does not fit format: it takes \"text\" or \"json\"",
        ),
        (
            "name = \"a\"\nname = \"b\"",
            "line 2, column 1: duplicate key; what is right looks like",
        ),
        ("name = db1", "line 1, column 8: "),
        (
            "[agent",
            "what is right looks like `key = \"text\"`, `key = 7` or `[table]`",
        ),
        (
            "[agent]\ncontrol_socket = \"/a\"\nplugin_socket = \"/a\"",
            "control_socket and plugin_socket are both /a: give each its own path",
        ),
        (
            "[agent]\nlisten = \"127.0.0.1:2200\"\n[text]\nlisten = \"127.0.0.1:2200\"",
            "are both 127.0.0.1:2200: give each its own port",
        ),
        (
            "[agent]\nlisten = \"127.0.0.1:0\"",
            "lets the system choose the port",
        ),
    ];
    for (text, expected) in cases {
        let said = said(text);
        assert!(
            said.contains(expected),
            "{text}\nis answered with\n{said}\nnot\n{expected}"
        );
        assert!(!said.contains('\n'), "one line only: {said}");
    }
}

#[test]
fn a_socket_path_ends_where_the_kernel_s_does() {
    let with = |length: usize| {
        let path = format!("/{}", "s".repeat(length - 1));
        said(&format!("[agent]\ncontrol_socket = \"{path}\""))
    };
    assert!(with(107).starts_with("accepted"), "{}", with(107));
    assert!(with(108).contains("at most 107 bytes"), "{}", with(108));
}

#[test]
fn an_address_of_its_own_is_advertised_as_it_is() {
    let config = parse("[agent]\nlisten = \"192.0.2.7:7500\"").unwrap();
    assert_eq!(config.agent.advertise, "192.0.2.7:7500");
    let config = parse("[agent]\nlisten = \"[::]:7500\"").unwrap();
    assert_eq!(config.agent.advertise, "localhost:7500");
}

#[test]
fn a_host_whose_name_cannot_be_used_says_so() {
    let empty = load(&Overrides::default(), environment(&[]), "bad name").unwrap_err();
    assert_eq!(
        empty.to_string(),
        "the host name 'bad name' cannot serve as this agent's name: give it one with name = \"…\"; it takes 1 to 64 \
         letters, digits, '.', '_' or '-', beginning with a letter or a digit, as in \"db1\""
    );
    let only_address = load(
        &overrides(&[("MUSTER_NAME", "db1")]),
        environment(&[]),
        "12",
    );
    assert!(
        only_address
            .unwrap_err()
            .to_string()
            .contains("advertise = \"HOST:PORT\"")
    );
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file_over_the_default() {
    let file = file("site = \"file\"\npriority = 1\nname = \"file\"\n[log]\nlevel = \"warn\"");
    let mut given = overrides(&[("MUSTER_SITE", "flag")]);
    given.config = Some(file.path().to_owned());
    let env = environment(&[("MUSTER_SITE", "variable"), ("MUSTER_PRIORITY", "2")]);
    let loaded = load(&given, env, "host").unwrap();
    assert_eq!(loaded.config.site, "flag");
    assert_eq!(loaded.config.priority, 2);
    assert_eq!(loaded.config.name, "file");
    assert_eq!(loaded.config.agent.operator_group, "muster");
    assert_eq!(loaded.file.as_deref(), Some(file.path()));
    assert_eq!(loaded.notes, Vec::<String>::new());
}

#[test]
fn a_variable_names_the_file_and_an_option_names_another() {
    let by_variable = file("site = \"variable\"");
    let by_flag = file("site = \"flag\"");
    let env = || environment(&[("MUSTER_CONFIG", by_variable.path().to_str().unwrap())]);
    let site = |given: &Overrides| load(given, env(), "host").unwrap().config.site;
    assert_eq!(site(&Overrides::default()), "variable");
    let given = Overrides {
        config: Some(by_flag.path().to_owned()),
        ..Overrides::default()
    };
    assert_eq!(site(&given), "flag");
}

#[test]
fn every_key_can_be_overridden_by_its_variable_and_its_option() {
    let good = [
        ("MUSTER_NAME", "db9"),
        ("MUSTER_SITE", "s9"),
        ("MUSTER_PRIORITY", "9"),
        ("MUSTER_STATE_DIR", "/nine"),
        ("MUSTER_CONTROL_SOCKET", "/nine/c"),
        ("MUSTER_PLUGIN_SOCKET", "/nine/p"),
        ("MUSTER_LISTEN", "127.0.0.9:9"),
        ("MUSTER_ADVERTISE", "nine:9"),
        ("MUSTER_SERVER_USER", "nine, ten"),
        ("MUSTER_OPERATOR_GROUP", "nine"),
        ("MUSTER_TEXT_LISTEN", "127.0.0.9:99"),
        ("MUSTER_LOG_LEVEL", "debug"),
        ("MUSTER_LOG_FORMAT", "json"),
    ];
    assert_eq!(
        good.map(|(name, _)| name),
        KEYS.each_ref().map(|key| key.variable)
    );
    let by_variable = load(&Overrides::default(), environment(&good), "host").unwrap();
    let by_flag = load(&overrides(&good), environment(&[]), "host").unwrap();
    assert_eq!(by_variable.config, by_flag.config);
    let config = by_flag.config;
    assert_eq!(config.agent.server_user, ["nine", "ten"]);
    assert_eq!(config.agent.advertise, "nine:9");
    assert_eq!(config.text.listen, Some("127.0.0.9:99".parse().unwrap()));

    for key in &KEYS {
        let bad = "\u{7}";
        let wrong = load(
            &Overrides::default(),
            environment(&[(key.variable, bad)]),
            "host",
        );
        let said = wrong.unwrap_err().to_string();
        let start = format!(
            "{}: '\u{fffd}' does not fit {}: it takes ",
            key.variable, key.name
        );
        assert!(said.starts_with(&start), "{said}");
        let wrong = load(&overrides(&[(key.variable, bad)]), environment(&[]), "host");
        let said = wrong.unwrap_err().to_string();
        assert!(said.starts_with(&format!("{}: ", key.flag())), "{said}");
    }
}

#[test]
fn what_the_file_turned_on_a_variable_turns_off() {
    let file = file("[text]\nlisten = \"127.0.0.1:2200\"");
    let given = Overrides {
        config: Some(file.path().to_owned()),
        ..Overrides::default()
    };
    let loaded = load(
        &given,
        environment(&[("MUSTER_TEXT_LISTEN", "off")]),
        "host",
    )
    .unwrap();
    assert_eq!(loaded.config.text.listen, None);
}

#[test]
fn a_mistyped_variable_is_noted_and_a_foreign_one_is_not() {
    let env = environment(&[
        ("MUSTER_LISTN", "x"),
        ("MUSTER_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "x"),
    ]);
    let loaded = load(&Overrides::default(), env, "host").unwrap();
    assert_eq!(
        loaded.notes,
        ["the variable MUSTER_LISTN means nothing to the agent; did you mean MUSTER_LISTEN?"]
    );
}

#[test]
fn files_that_are_no_configuration_are_refused_with_a_sentence() {
    let said = |path: PathBuf| {
        let given = Overrides {
            config: Some(path),
            ..Overrides::default()
        };
        load(&given, environment(&[]), "host")
            .unwrap_err()
            .to_string()
    };
    let missing = said("/nonexistent/muster.toml".into());
    assert!(
        missing.starts_with("cannot read the configuration /nonexistent/muster.toml: No such file"),
        "{missing}"
    );
    assert!(said("/dev/zero".into()).starts_with("/dev/zero is not a regular file: "));
    assert!(said("/tmp".into()).starts_with("/tmp is not a regular file: "));
    let huge = file(vec![b'#'; 64 * 1024 + 1]);
    assert!(said(huge.path().into()).contains("is larger than 64 KiB"));
    let full = file(vec![b'#'; 64 * 1024]);
    let given = Overrides {
        config: Some(full.path().into()),
        ..Overrides::default()
    };
    assert!(load(&given, environment(&[]), "host").is_ok());
    let binary = file(b"name = \"db1\"\n\x7fELF\xff\xfe");
    assert!(said(binary.path().into()).contains(":2: there is a byte that is no UTF-8 text"));
    let zeros = file([0u8; 100]);
    assert!(said(zeros.path().into()).contains(":1: there is a byte that is no UTF-8 text"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_taken() {
    assert_eq!(
        parse("\u{feff}site = \"a\"\r\npriority = 3\r\n")
            .unwrap()
            .priority,
        3
    );
}

#[test]
fn deep_nesting_is_answered_and_not_a_stack_overflow() {
    assert!(parse(&format!("site = {}", "[".repeat(20_000))).is_err());
    assert!(parse(&format!("site = {}", "{a=".repeat(20_000))).is_err());
    assert!(parse(&format!("[{}]", vec!["a"; 20_000].join("."))).is_err());
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn near_toml_is_answered_in_one_line(
        lines in proptest::collection::vec("(\\[(agent|text|log|x)\\]|(name|site|listen|level|x) = (\"[^\"\\\\]{0,9}\"|-?[0-9]{1,5}|\\[\\]))", 0..8)
    ) {
        if let Err(e) = parse(&lines.join("\n")) {
            prop_assert!(!e.to_string().contains('\n'));
        }
    }
}
