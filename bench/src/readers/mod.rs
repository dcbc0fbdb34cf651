//! Each reader of outside bytes with the worst input that is known for it: 1, 2 and 4 MiB, or a quarter, a half and
//! the whole of what it takes where that is less.
//!
//! What counts is the processor time of this thread. Twice the input may take twice as long and four times the
//! input four times as long, and a quarter more.

mod documents;
mod guard;
mod texts;

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

const MIB: usize = 1 << 20;
const LARGE: [usize; 3] = [MIB, 2 * MIB, 4 * MIB];
/// Each time is the shortest of nine: the one that other programs disturbed least.
const RUNS: usize = 9;
/// A machine that others use, too, gets three chances.
const CHANCES: usize = 3;
/// A reader that takes less refuses at once, whatever the size.
const AT_ONCE: Duration = Duration::from_micros(50);
/// How much longer than linear is linear: what is measured varies, and more memory is a little dearer.
const SLACK: f64 = 1.25;

/// The table, as it grows.
struct Table {
    /// Only rows whose names begin so.
    only: String,
    rows: Vec<String>,
    superlinear: Vec<String>,
}

impl Table {
    /// Measures a reader with 1, 2 and 4 MiB.
    async fn row<I>(&mut self, name: &str, build: impl Fn(usize) -> I, read: impl AsyncFn(&I)) {
        self.row_of(name, LARGE, build, read).await;
    }

    /// Measures a reader that takes `most` bytes with a quarter, a half and the whole of them.
    async fn row_up_to<I>(
        &mut self,
        (name, most): (&str, usize),
        build: impl Fn(usize) -> I,
        read: impl AsyncFn(&I),
    ) {
        self.row_of(name, [most / 4, most / 2, most], build, read)
            .await;
    }

    async fn row_of<I>(
        &mut self,
        name: &str,
        sizes: [usize; 3],
        build: impl Fn(usize) -> I,
        read: impl AsyncFn(&I),
    ) {
        if !name.starts_with(&self.only) {
            return;
        }
        let inputs = sizes.map(build);
        let mut measured = Measured::of(&inputs, &read).await;
        for _ in 1..CHANCES {
            if measured.verdict() == Verdict::Superlinear {
                measured = measured.or_less(Measured::of(&inputs, &read).await);
            }
        }
        if measured.verdict() == Verdict::Superlinear {
            self.superlinear.push(name.to_owned());
        }
        self.rows.push(measured.row(name));
    }
}

/// The times for each size.
#[derive(Clone, Copy)]
struct Measured([Duration; 3]);

#[derive(PartialEq, Eq)]
enum Verdict {
    AtOnce,
    Linear,
    Superlinear,
}

impl Measured {
    async fn of<I>(inputs: &[I; 3], read: &impl AsyncFn(&I)) -> Self {
        let mut times = [Duration::MAX; 3];
        for _ in 0..RUNS {
            for (input, times) in inputs.iter().zip(&mut times) {
                let begin = processor_time();
                read(black_box(input)).await;
                *times = processor_time().saturating_sub(begin).min(*times);
            }
        }
        Self(times)
    }

    /// The shorter time for each size.
    fn or_less(self, other: Self) -> Self {
        let [one, two, four] = self.0;
        let [other_one, other_two, other_four] = other.0;
        Self([one.min(other_one), two.min(other_two), four.min(other_four)])
    }

    /// The second and third time by the first.
    fn ratios(&self) -> [f64; 2] {
        let [one, two, four] = self.0.map(|time| time.as_secs_f64().max(f64::EPSILON));
        [two / one, four / one]
    }

    fn verdict(&self) -> Verdict {
        let ([.., longest], [double, whole]) = (self.0, self.ratios());
        if longest < AT_ONCE {
            Verdict::AtOnce
        } else if double <= 2.0 * SLACK && whole <= 4.0 * SLACK {
            Verdict::Linear
        } else {
            Verdict::Superlinear
        }
    }

    fn row(&self, name: &str) -> String {
        let [one, two, four] = self
            .0
            .map(|time| format!("{:.3} ms", time.as_secs_f64() * 1000.0));
        let [double, whole] = self.ratios();
        let verdict = match self.verdict() {
            Verdict::AtOnce => "at once",
            Verdict::Linear => "linear",
            Verdict::Superlinear => "**superlinear**",
        };
        format!("| {name} | {one} | {two} | {four} | {double:.2} | {whole:.2} | {verdict} |")
    }
}

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Measures all readers whose names begin with `only`; gives the rows of a Markdown table.
pub(crate) async fn measure(only: &str) -> Result<String, Box<dyn Error>> {
    let mut table = Table {
        only: only.to_owned(),
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

/// As much of `part` again and again, with a running number in place of `#`, as fits into `size` bytes. Numbers have
/// seven digits, so that twice the size has twice as many.
fn repeated(part: &str, size: usize) -> String {
    let mut text = String::with_capacity(size + part.len());
    let numbered = part.contains('#');
    for number in 1_000_000_u64.. {
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
