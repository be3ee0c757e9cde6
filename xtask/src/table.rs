//! Rows as people read them in a terminal.

use muster_lab::sql::Strings;

/// Aligned columns under their names; NULL as a dash.
pub fn render(names: &[&str], rows: &[Strings]) -> String {
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, value) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell(value).chars().count());
        }
    }
    let line = |cells: Vec<String>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("    {}\n", padded.join("  ").trim_end())
    };
    let mut text = line(names.iter().map(|name| (*name).to_owned()).collect());
    for row in rows {
        text.push_str(&line(row.iter().map(cell).collect()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec![Some("n1".into()), None],
            vec![Some("n2".into()), Some("long value".into())],
        ];
        assert_eq!(
            render(&["NAME", "X"], &rows),
            "    NAME  X\n    n1    -\n    n2    long value\n"
        );
    }
}
