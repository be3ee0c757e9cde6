//! Cutting texts to the limits of the link without ever splitting a character.

use crate::limits::{GTID_BYTES_MAX, TEXT_CHARS_MAX};

/// Put at the end of a text that was cut.
pub const CUT_MARK: char = '…';

/// `text` with at most [`TEXT_CHARS_MAX`] characters; a longer one is cut and ends with [`CUT_MARK`].
pub fn clip_text(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(TEXT_CHARS_MAX - 1)
            .chain([CUT_MARK])
            .collect(),
    }
}

/// A GTID set with at most [`GTID_BYTES_MAX`] bytes; a longer one is cut and ends with [`CUT_MARK`].
pub fn clip_gtid(gtid: String) -> String {
    clip_bytes(gtid, GTID_BYTES_MAX)
}

fn clip_bytes(mut text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max.saturating_sub(CUT_MARK.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push(CUT_MARK);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn clipped_bytes_fit_and_keep_a_prefix(text in "\\PC{0,60}", max in 3usize..50) {
            let cut = clip_bytes(text.clone(), max);
            prop_assert!(cut.len() <= max);
            match cut.strip_suffix(CUT_MARK) {
                Some(prefix) if cut != text => prop_assert!(text.starts_with(prefix)),
                _ => prop_assert_eq!(cut, text),
            }
        }
    }

    #[test]
    fn a_text_is_cut_by_characters() {
        assert_eq!(clip_text("short"), "short");
        let exact = "é".repeat(TEXT_CHARS_MAX);
        assert_eq!(clip_text(&exact), exact);
        let cut = clip_text(&"🦀".repeat(TEXT_CHARS_MAX + 1));
        assert_eq!(cut.chars().count(), TEXT_CHARS_MAX);
        assert!(cut.ends_with(CUT_MARK));
    }
}
