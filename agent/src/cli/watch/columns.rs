//! A table that fits: columns that matter less go first, and the sentences take what is left.

use ratatui::layout::{Alignment, Constraint};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

use crate::cli::output::{Mood, clean};

/// Blanks between two columns.
const GAP: u16 = 2;
/// Narrower than this a column of sentences says nothing.
const SENTENCE_MIN: u16 = 12;

/// One column with all its cells.
pub(super) struct Column {
    title: &'static str,
    /// The higher, the earlier it is left out; 0 is always there.
    rank: u8,
    kind: Kind,
    cells: Vec<(String, Option<Mood>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Sentence,
}

impl Column {
    pub(super) fn words(
        title: &'static str,
        rank: u8,
        cells: impl IntoIterator<Item = String>,
    ) -> Self {
        Self::new(
            title,
            rank,
            Kind::Word,
            cells.into_iter().map(|cell| (cell, None)),
        )
    }

    pub(super) fn moods(
        title: &'static str,
        rank: u8,
        cells: impl IntoIterator<Item = (String, Mood)>,
    ) -> Self {
        let cells = cells.into_iter().map(|(cell, mood)| (cell, Some(mood)));
        Self::new(title, rank, Kind::Word, cells)
    }

    pub(super) fn maybe_moods(
        title: &'static str,
        rank: u8,
        cells: impl IntoIterator<Item = (String, Option<Mood>)>,
    ) -> Self {
        Self::new(title, rank, Kind::Word, cells.into_iter())
    }

    pub(super) fn numbers(
        title: &'static str,
        rank: u8,
        cells: impl IntoIterator<Item = String>,
    ) -> Self {
        Self::new(
            title,
            rank,
            Kind::Number,
            cells.into_iter().map(|cell| (cell, None)),
        )
    }

    pub(super) fn sentences(
        title: &'static str,
        rank: u8,
        cells: impl IntoIterator<Item = String>,
    ) -> Self {
        Self::new(
            title,
            rank,
            Kind::Sentence,
            cells.into_iter().map(|cell| (cell, None)),
        )
    }

    fn new(
        title: &'static str,
        rank: u8,
        kind: Kind,
        cells: impl Iterator<Item = (String, Option<Mood>)>,
    ) -> Self {
        let cells = cells
            .map(|(text, mood)| (clean(&text).into_owned(), mood))
            .collect();
        Self {
            title,
            rank,
            kind,
            cells,
        }
    }

    /// Columns of the terminal that it needs.
    fn width(&self) -> u16 {
        if self.kind == Kind::Sentence {
            return SENTENCE_MIN;
        }
        let cells = self.cells.iter().map(|(text, _)| Span::raw(text).width());
        let widest = cells.max().unwrap_or(0).max(self.title.len());
        u16::try_from(widest).unwrap_or(u16::MAX)
    }
}

/// Leaves out the columns of the highest rank until the others fit.
pub(super) fn fit(mut columns: Vec<Column>, width: u16) -> Vec<Column> {
    let needed = |columns: &[Column]| {
        let gaps =
            GAP.saturating_mul(u16::try_from(columns.len().saturating_sub(1)).unwrap_or(u16::MAX));
        columns
            .iter()
            .fold(gaps, |sum, column| sum.saturating_add(column.width()))
    };
    while needed(&columns) > width {
        let last = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.rank > 0)
            .max_by_key(|(_, column)| column.rank);
        let Some((index, _)) = last else {
            break;
        };
        columns.remove(index);
    }
    columns
}

/// The colour of a mood, where colours are shown.
pub(super) fn style(mood: Option<Mood>, colour: bool) -> Style {
    match mood {
        Some(mood) if colour => Style::new().fg(match mood {
            Mood::Good => Color::Green,
            Mood::Wary => Color::Yellow,
            Mood::Bad => Color::Red,
        }),
        _ => Style::new(),
    }
}

/// The widget.
pub(super) fn table(columns: Vec<Column>, width: u16, colour: bool) -> Table<'static> {
    let columns = fit(columns, width);
    let rows = columns
        .iter()
        .map(|column| column.cells.len())
        .max()
        .unwrap_or(0);
    let rows: Vec<Row<'static>> = (0..rows)
        .map(|row| {
            Row::new(columns.iter().map(|column| {
                let (text, mood) = column.cells.get(row).cloned().unwrap_or_default();
                let alignment = match column.kind {
                    Kind::Number => Alignment::Right,
                    Kind::Word | Kind::Sentence => Alignment::Left,
                };
                Cell::from(Line::from(text).alignment(alignment)).style(style(mood, colour))
            }))
        })
        .collect();
    let header = Row::new(columns.iter().map(|column| column.title))
        .style(Style::new().add_modifier(Modifier::BOLD));
    let widths = columns.iter().map(|column| match column.kind {
        Kind::Sentence => Constraint::Fill(1),
        Kind::Word | Kind::Number => Constraint::Length(column.width()),
    });
    Table::new(rows, widths.collect::<Vec<_>>())
        .header(header)
        .column_spacing(GAP)
}
