//! Makes text fit a server's column.
//!
//! `INFORMATION_SCHEMA` columns are `utf8mb3` on both servers: a character of four bytes fails the whole query on
//! MySQL 9 and becomes `?` on MariaDB, and neither may happen to a reader of the cluster's state.

use std::borrow::Cow;

/// Longest text written into a LONGTEXT column, in bytes. Far above what the link carries.
pub const LONG_TEXT_BYTES_MAX: usize = 1024 * 1024;

/// `text` with U+FFFD for every character outside `utf8mb3`, cut after `chars_max` characters.
pub fn utf8mb3(text: &str, chars_max: usize) -> Cow<'_, str> {
    // A byte of 0xF0 or more begins a character of four bytes and occurs nowhere else in UTF-8.
    let wide = text.bytes().any(|byte| byte >= 0xF0);
    let end = if text.len() <= chars_max {
        text.len()
    } else {
        text.char_indices()
            .nth(chars_max)
            .map_or(text.len(), |(at, _)| at)
    };
    let text = &text[..end];
    if wide {
        Cow::Owned(
            text.chars()
                .map(|c| {
                    if c.len_utf8() > 3 {
                        char::REPLACEMENT_CHARACTER
                    } else {
                        c
                    }
                })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_four_bytes_become_the_replacement_character() {
        assert_eq!(utf8mb3("a😀b𝄞", 10), "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn other_text_is_not_copied() {
        assert!(matches!(
            utf8mb3("Grüße, 世界", 64),
            Cow::Borrowed("Grüße, 世界")
        ));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(utf8mb3("äöü", 2), "äö");
        assert_eq!(utf8mb3("äöü", 3), "äöü");
        assert_eq!(utf8mb3("😀😀😀", 2), "\u{FFFD}\u{FFFD}");
        assert_eq!(utf8mb3("", 0), "");
        assert_eq!(utf8mb3("abc", 0), "");
    }
}
