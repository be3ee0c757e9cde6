//! How things are written for people: colour only where it is seen, foreign text without its teeth, ages in words.

use std::borrow::Cow;
use std::io::IsTerminal;

/// What the reader's end can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Colours are shown.
    pub colour: bool,
    /// Columns of the terminal; none where the output is no terminal, so that nothing is wrapped for a program.
    pub width: Option<u16>,
}

impl Style {
    /// What the standard output can show. `NO_COLOR` (<https://no-color.org>) and `TERM=dumb` turn colour off.
    pub(super) fn of_stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::default();
        }
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colour: !no_color && !dumb,
            width: ratatui::crossterm::terminal::size()
                .ok()
                .map(|(columns, _)| columns)
                .filter(|columns| *columns > 0),
        }
    }

    /// `text` in bold, where that is seen.
    pub(super) fn bold(self, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[1m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// `text` in the colour of its mood, where that is seen.
    pub(super) fn mood(self, text: &str, mood: Mood) -> String {
        let code = match mood {
            Mood::Good => 32,
            Mood::Wary => 33,
            Mood::Bad => 31,
        };
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Whether a word is good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// As it should be.
    Good,
    /// On its way, or not known.
    Wary,
    /// Somebody should look.
    Bad,
}

impl Mood {
    /// Of MEMBER_STATE or AGENT_STATE.
    pub(super) fn of_state(state: &str) -> Self {
        match state {
            "ONLINE" => Self::Good,
            "OFFLINE" | "UNREACHABLE" | "ERROR" => Self::Bad,
            _ => Self::Wary,
        }
    }
}

/// Text from servers, peers and files, safe to show: an error message of a server must not be able to move the cursor,
/// recolour the terminal, or reverse the reading direction.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let replace = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if harmful(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(text.chars().map(replace).collect())
}

/// A duration for people, two digits or so.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60_000..7_200_000 => format!("{} min", seconds / 60),
        7_200_000..172_800_000 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// YES or NO, as the tables say it.
pub(super) fn yes_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_loses_its_teeth_and_nothing_else() {
        assert_eq!(clean("Zürich 数 🦀"), "Zürich 数 🦀");
        assert_eq!(clean("a\u{1b}[31mb\u{7}c"), "a\u{fffd}[31mb\u{fffd}c");
        assert_eq!(clean("two\nlines\tand a tab"), "two lines and a tab");
        assert_eq!(clean("abc\u{202e}fed"), "abc\u{fffd}fed");
        assert_eq!(clean("\u{9b}2J"), "\u{fffd}2J");
    }

    #[test]
    fn durations_are_short() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (6_249, "6.2 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (7_199_999, "119 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 d"),
            (u64::MAX, "213503982334 d"),
        ];
        for (ms, expected) in cases {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn without_colour_there_is_not_one_escape() {
        let plain = Style::default();
        assert_eq!(plain.bold("x") + &plain.mood("y", Mood::Bad), "xy");
        let colour = Style {
            colour: true,
            width: None,
        };
        assert_eq!(colour.mood("y", Mood::Bad), "\u{1b}[31my\u{1b}[0m");
    }
}
