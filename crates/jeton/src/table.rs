//! Rows in columns: fitted to a terminal, whole and separated by tabs elsewhere.

use std::io::{self, IsTerminal as _};

use jeton_core::shown;

use crate::output;

/// Between two columns.
const GAP: usize = 2;
/// What a column keeps of its width where the terminal is narrow.
const NARROWEST: usize = 8;
/// A terminal that does not say how wide it is.
const USUAL: usize = 80;

/// Prints rows under their titles. On a terminal, columns are shortened to its width, the first one
/// excepted; elsewhere each cell is whole, with a tab between two, as `cut -f` takes it.
pub(crate) fn table(titles: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let lines = std::iter::once(titles.iter().map(|title| (*title).to_owned()).collect());
    let rows = rows
        .iter()
        .map(|row| row.iter().map(|cell| shown(cell).into_owned()).collect());
    let lines: Vec<Vec<String>> = lines.chain(rows).collect();
    if !io::stdout().is_terminal() {
        for line in &lines {
            output::data(&line.join("\t"))?;
        }
        return Ok(());
    }
    let width = terminal_size::terminal_size_of(io::stdout())
        .map_or(USUAL, |(width, _)| usize::from(width.0));
    let (lines, is_shortened) = fitted(&lines, width);
    for line in lines {
        output::data(&line)?;
    }
    if is_shortened {
        output::say("shortened to fit the terminal; --json prints everything");
    }
    Ok(())
}

/// The lines, and whether any cell was shortened.
fn fitted(lines: &[Vec<String>], width: usize) -> (Vec<String>, bool) {
    let natural = natural_widths(lines);
    let widths = fitted_widths(&natural, width);
    let line = |cells: &Vec<String>| {
        let cells = cells.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| {
            let width = *width;
            format!("{:width$}", shortened(cell, width))
        });
        cells
            .collect::<Vec<_>>()
            .join(&" ".repeat(GAP))
            .trim_end()
            .to_owned()
    };
    (lines.iter().map(line).collect(), widths != natural)
}

fn natural_widths(lines: &[Vec<String>]) -> Vec<usize> {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    (0..columns).map(width).collect()
}

/// The widest columns give first, as far as it takes, and no further than [`NARROWEST`].
fn fitted_widths(natural: &[usize], width: usize) -> Vec<usize> {
    let gaps = GAP * natural.len().saturating_sub(1);
    let capped = |cap: usize| {
        let columns = natural.iter().enumerate();
        let columns = columns.map(|(column, natural)| match column {
            0 => *natural,
            _ => (*natural).min(cap),
        });
        columns.collect::<Vec<_>>()
    };
    let widest = natural.iter().skip(1).copied().max().unwrap_or(0);
    let caps = (NARROWEST..=widest.min(width)).rev();
    let mut fitting = caps
        .map(&capped)
        .filter(|widths| widths.iter().sum::<usize>() + gaps <= width);
    if natural.iter().sum::<usize>() + gaps <= width {
        return natural.to_vec();
    }
    fitting.next().unwrap_or_else(|| capped(NARROWEST))
}

/// The beginning of a cell; of an ID, whose beginning is its time, the end.
fn shortened(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    let is_id = length == 30 && cell.as_bytes().get(3) == Some(&b'_') && !cell.contains(' ');
    if is_id && width > 6 {
        let end: String = cell.chars().skip(length - (width - 5)).collect();
        let prefix: String = cell.chars().take(4).collect();
        return format!("{prefix}…{end}");
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let line = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        rows.iter().map(line).collect()
    }

    #[test]
    fn a_table_fits_its_terminal_and_keeps_the_first_column_whole() {
        let scopes = "todo:read ".repeat(800);
        let id = "res_01m870104qf5z8rq9r3rtttj8p";
        let table = lines(&[
            &["ID", "NAME", "SCOPES"],
            &[id, "Todo", &scopes],
            &[id, "Équipe", "-"],
        ]);
        for width in [60, 80, 120, 9000] {
            let (fitted, is_shortened) = fitted(&table, width);
            assert!(
                fitted.iter().all(|line| line.chars().count() <= width),
                "{width}"
            );
            assert_eq!(is_shortened, width < 8000, "{width}");
            assert!(fitted.iter().skip(1).all(|line| line.starts_with(id)));
        }
        let (narrow, _) = fitted(&table, 60);
        assert_eq!(narrow[1], format!("{id}  Todo    todo:read todo:read…"));
        assert_eq!(narrow[2], format!("{id}  Équipe  -"));
    }

    #[test]
    fn of_an_id_the_end_tells_it_from_others() {
        assert_eq!(
            shortened("m2m_01m870104qf5z8rq9r3rtttj8p", 12),
            "m2m_…rtttj8p"
        );
        assert_eq!(shortened("a long sentence", 8), "a long…");
        assert_eq!(shortened("short", 8), "short");
        let natural = [24, 14, 7, 30, 30, 20, 40];
        assert_eq!(fitted_widths(&natural, 20)[1..], [8, 7, 8, 8, 8, 8][..]);
    }
}
