//! Tables for people: no lines, so that a copied row stays a row, and no wrapping where the output is no terminal.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets,
};

use super::output::{Mood, Style, clean};

/// A table that is being filled.
pub(super) struct Rows {
    table: Table,
    style: Style,
}

impl Rows {
    pub(super) fn new(style: Style, columns: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if style.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(columns.iter().map(|column| {
            let cell = Cell::new(column);
            if style.colour {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        Self { table, style }
    }

    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.table.add_row(cells);
    }

    /// Foreign text.
    pub(super) fn text(&self, text: &str) -> Cell {
        Cell::new(clean(text))
    }

    /// A number, to the right.
    pub(super) fn number(&self, text: impl ToString) -> Cell {
        Cell::new(text).set_alignment(CellAlignment::Right)
    }

    /// A word in the colour of its mood.
    pub(super) fn mood(&self, text: &str, mood: Mood) -> Cell {
        let cell = self.text(text);
        if !self.style.colour {
            return cell;
        }
        cell.fg(match mood {
            Mood::Good => Color::Green,
            Mood::Wary => Color::Yellow,
            Mood::Bad => Color::Red,
        })
    }

    /// All rows, without blanks at the ends of lines.
    pub(super) fn finish(mut self) -> String {
        self.fit();
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Lets the last column, which holds the sentences, wrap where the terminal leaves it room; the others keep a line
    /// each. Where there is no room at all the terminal may break the lines itself: words in pieces help nobody.
    fn fit(&mut self) {
        const SENTENCE_COLUMNS_MIN: u16 = 16;
        const GAP: u16 = 2;
        let widths = self.table.column_max_content_widths();
        let (Some(width), Some((_, others))) = (self.style.width, widths.split_last()) else {
            return;
        };
        let others_width = others
            .iter()
            .fold(0u16, |sum, column| sum.saturating_add(column + GAP));
        if width.saturating_sub(others_width) < SENTENCE_COLUMNS_MIN + GAP {
            return;
        }
        self.table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
        for index in 0..others.len() {
            if let Some(column) = self.table.column_mut(index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
}
