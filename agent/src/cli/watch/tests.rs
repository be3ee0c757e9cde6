//! The screen, drawn into memory.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::control::fake::{Fake, Served, cluster};

/// What a terminal of this size shows of `model`, some time after the look.
fn drawn(model: &Model, width: u16, height: u16, later_ms: u64, colour: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let at = model.seen.as_ref().map_or_else(Instant::now, |(_, at)| *at);
    let now = at + Duration::from_millis(later_ms);
    terminal
        .draw(|frame| draw::draw(frame, model, now, colour))
        .unwrap();
    terminal.backend().clone()
}

async fn model_of(fake: std::sync::Arc<Fake>) -> Model {
    let served = Served::new(fake).await;
    let seen = look(&Client::new(&served.socket)).await.unwrap();
    Model {
        seen: Some((seen, Instant::now())),
        trouble: None,
    }
}

#[tokio::test]
async fn a_wide_terminal_shows_everything() {
    let model = model_of(Fake::cluster()).await;
    insta::assert_snapshot!("watch_120x24", drawn(&model, 120, 24, 250, false));
}

#[tokio::test]
async fn a_narrow_terminal_shows_what_matters_most() {
    let model = model_of(Fake::cluster()).await;
    insta::assert_snapshot!("watch_50x24", drawn(&model, 50, 24, 250, false));
    insta::assert_snapshot!("watch_24x12", drawn(&model, 24, 12, 250, false));
}

#[tokio::test]
async fn no_size_is_too_small_or_too_large() {
    let model = model_of(Fake::cluster()).await;
    for width in [0, 1, 2, 3, 7, 19, 79, 300] {
        for height in [0, 1, 2, 3, 5, 9, 200] {
            drawn(&model, width, height, 0, true);
        }
    }
}

#[tokio::test]
async fn before_there_is_a_cluster_it_says_what_to_do() {
    let model = model_of(Fake::empty()).await;
    let screen = drawn(&model, 100, 12, 0, false).to_string();
    assert!(
        screen.contains("This host belongs to no cluster: make one with `muster init`"),
        "{screen}"
    );
}

#[tokio::test]
async fn an_agent_that_goes_away_leaves_its_last_picture_with_its_age() {
    let mut model = model_of(Fake::cluster()).await;
    model.trouble = Some("no agent answers at /run/muster/control.sock".into());
    let screen = drawn(&model, 120, 24, 7_300, false).to_string();
    assert!(
        screen.contains("7.3 s old: no agent answers at /run/muster/control.sock"),
        "{screen}"
    );
    assert!(screen.contains("db3"), "{screen}");
    // Ages go on: db2 was heard 340 ms before the look.
    assert!(screen.contains("7.6 s"), "{screen}");
}

#[tokio::test]
async fn colour_is_there_when_wanted_and_not_otherwise() {
    use ratatui::style::Color;
    let model = model_of(Fake::cluster()).await;
    let colours = |colour| {
        let backend = drawn(&model, 120, 24, 0, colour);
        let mut seen: Vec<Color> = backend
            .buffer()
            .content
            .iter()
            .map(|cell| cell.fg)
            .collect();
        seen.sort_by_key(|colour| format!("{colour:?}"));
        seen.dedup();
        seen
    };
    assert_eq!(colours(false), [Color::Reset]);
    assert_eq!(
        colours(true),
        [Color::Green, Color::Red, Color::Reset, Color::Yellow]
    );
}

#[tokio::test]
async fn a_thousand_members_and_hostile_text_are_drawn() {
    let mut picture = cluster();
    let view = std::sync::Arc::make_mut(&mut picture.view);
    let row = view.members[0].clone();
    view.members = (0..1_000).map(|_| row.clone()).collect();
    view.members[0].name = "\u{1b}[2J\u{202e}🦀".repeat(100);
    let model = model_of(Fake::showing(picture)).await;
    let screen = drawn(&model, 80, 24, 0, true).to_string();
    assert!(!screen.contains('\u{1b}') && !screen.contains('\u{202e}'));
}

#[test]
fn q_escape_and_ctrl_c_quit_and_nothing_else_does() {
    let key = |code, modifiers| Input::Key(KeyEvent::new(code, modifiers));
    for input in [
        key(KeyCode::Char('q'), KeyModifiers::NONE),
        key(KeyCode::Char('Q'), KeyModifiers::SHIFT),
        key(KeyCode::Esc, KeyModifiers::NONE),
        key(KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        assert!(quits(&input), "{input:?}");
    }
    for input in [
        key(KeyCode::Char('c'), KeyModifiers::NONE),
        key(KeyCode::Enter, KeyModifiers::NONE),
        Input::Resize(80, 24),
        Input::Paste("q".into()),
    ] {
        assert!(!quits(&input), "{input:?}");
    }
}

#[tokio::test]
async fn looking_goes_on_over_a_restart_of_the_agent() {
    let fake = Fake::cluster();
    let mut served = Served::new(fake.clone()).await;
    let (show, mut shown) = watch::channel(Model::default());
    let client = Client::new(&served.socket);
    let looking = tokio::spawn(keep_looking(client, Duration::from_millis(10), show));
    let mut until = async |what: fn(&Model) -> bool| {
        let waited = tokio::time::timeout(Duration::from_secs(10), shown.wait_for(what)).await;
        waited.unwrap().unwrap().clone()
    };
    until(|model| model.seen.is_some()).await;
    served.stop().await;
    let away = until(|model| model.trouble.is_some()).await;
    assert!(away.seen.is_some(), "the last picture stays");
    served.start(fake).await;
    until(|model| model.trouble.is_none()).await;
    looking.abort();
}

#[tokio::test]
async fn without_a_terminal_it_says_what_to_use_instead() {
    // Under a test runner the standard output may be a terminal or not; the sentence is checked where it is not.
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        return;
    }
    let mut context = Context {
        client: Client::new("/nonexistent"),
        style: crate::cli::Style::default(),
        out: &mut Vec::new(),
        err: &mut Vec::new(),
    };
    let said = Watch { interval_ms: 1_000 }
        .run(&mut context)
        .await
        .unwrap_err();
    assert!(said.to_string().contains("use `muster status`"), "{said}");
    assert_eq!(said.exit_status(), 1);
}
