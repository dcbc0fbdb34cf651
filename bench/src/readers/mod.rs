//! Each reader of outside bytes with the worst input of 1, 2 and 4 MiB that is known for it.
//!
//! The times say whether a reader is linear: four times the input may take nine times as long, with room
//! for caches and allocation. A reader that refuses what is too long takes the same time for any length.

mod documents;
mod guard;
mod texts;

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
const SIZES: [usize; 3] = [MIB, 2 * MIB, 4 * MIB];
/// Each time is the shortest of nine: the one that other programs disturbed least.
const RUNS: usize = 9;
/// A machine that others use, too, gets three chances.
const CHANCES: usize = 3;
/// A reader that takes less refuses at once, whatever the size.
const AT_ONCE: Duration = Duration::from_millis(1);
/// Four times the input may take nine times as long, since larger allocations are dearer. Pairwise, it
/// takes sixteen times as long.
const MOST: f64 = 9.0;

/// The table, as it grows.
struct Table {
    rows: Vec<String>,
    superlinear: Vec<String>,
}

impl Table {
    /// Measures a reader with inputs of each size.
    async fn row<I>(&mut self, name: &str, build: impl Fn(usize) -> I, read: impl AsyncFn(&I)) {
        let inputs = SIZES.map(build);
        let mut measured = Measured::of(&inputs, &read).await;
        for _ in 1..CHANCES {
            if measured.verdict() == Verdict::Superlinear {
                measured = Measured::of(&inputs, &read).await;
            }
        }
        if measured.verdict() == Verdict::Superlinear {
            self.superlinear.push(name.to_owned());
        }
        self.rows.push(measured.row(name));
    }
}

/// The times for each size.
struct Measured([Duration; 3]);

#[derive(PartialEq, Eq)]
enum Verdict {
    AtOnce,
    Linear,
    Superlinear,
}

impl Measured {
    async fn of<I>(inputs: &[I; 3], read: &impl AsyncFn(&I)) -> Self {
        let mut times = SIZES.map(|_| Duration::MAX);
        for _ in 0..RUNS {
            for (input, times) in inputs.iter().zip(&mut times) {
                let begin = Instant::now();
                read(black_box(input)).await;
                *times = begin.elapsed().min(*times);
            }
        }
        Self(times)
    }

    /// Of 2 to 1, 4 to 2 and 4 to 1 MiB.
    fn ratios(&self) -> [f64; 3] {
        let [one, two, four] = self.0.map(|time| time.as_secs_f64().max(f64::EPSILON));
        [two / one, four / two, four / one]
    }

    fn verdict(&self) -> Verdict {
        let ([.., longest], [.., whole]) = (self.0, self.ratios());
        if longest < AT_ONCE {
            Verdict::AtOnce
        } else if whole <= MOST {
            Verdict::Linear
        } else {
            Verdict::Superlinear
        }
    }

    fn row(&self, name: &str) -> String {
        let [one, two, four] = self
            .0
            .map(|time| format!("{:.3} ms", time.as_secs_f64() * 1000.0));
        let [first, second, _] = self.ratios();
        let verdict = match self.verdict() {
            Verdict::AtOnce => "at once",
            Verdict::Linear => "linear",
            Verdict::Superlinear => "**superlinear**",
        };
        format!("| {name} | {one} | {two} | {four} | {first:.2} | {second:.2} | {verdict} |")
    }
}

/// Measures all readers; gives the rows of a Markdown table.
pub(crate) async fn measure() -> Result<String, Box<dyn Error>> {
    let mut table = Table {
        rows: Vec::new(),
        superlinear: Vec::new(),
    };
    texts::measure(&mut table).await;
    documents::measure(&mut table).await?;
    guard::measure(&mut table).await?;
    let rows = table.rows.join("\n");
    if table.superlinear.is_empty() {
        Ok(rows)
    } else {
        let names = table.superlinear.join(", ");
        Err(format!("{rows}\n\nslower than linear: {names}").into())
    }
}

/// As much of `part` again and again, with a running number in place of `#`, as fits into `size` bytes.
fn repeated(part: &str, size: usize) -> String {
    let mut text = String::with_capacity(size + part.len());
    let numbered = part.contains('#');
    for number in 0_u64.. {
        if text.len() >= size {
            break;
        }
        if numbered {
            text.push_str(&part.replace('#', &number.to_string()));
        } else {
            text.push_str(part);
        }
    }
    text
}
