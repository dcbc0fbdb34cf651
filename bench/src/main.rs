//! What the benchmarks need and no part of Jeton has.
//!
//! - `jeton-bench sign ALGORITHM SECONDS` signs as fast as one thread can, and prints the signatures
//!   a second. ALGORITHM is RS256, ES256 or `EdDSA`.
//! - `jeton-bench turns ALGORITHM` does so whenever it is told: for each line of its input, so many
//!   milliseconds; it prints the signatures and the seconds that they took.
//! - `jeton-bench seed DATABASE CLIENTS EVENTS` fills a database that `jeton serve` made.
//! - `jeton-bench week DATABASE` adds a week of agents, of which three are broken, for pictures of the dashboard.
//! - `jeton-bench readers [NAME]` measures the readers of outside bytes with 1, 2 and 4 MiB of their worst input.

mod readers;
mod seed;
mod sign;
mod week;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jeton_core::SigningAlgorithm;

const USAGE: &str = "usage: jeton-bench sign RS256|ES256|EdDSA SECONDS
       jeton-bench turns RS256|ES256|EdDSA
       jeton-bench seed DATABASE CLIENTS EVENTS
       jeton-bench week DATABASE
       jeton-bench readers [NAME]";

/// As in `jeton`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people and scripts"
)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(Some(line)) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Ok(None) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<Option<String>, Box<dyn Error>> {
    match arguments {
        ["sign", algorithm, seconds] => {
            let (Ok(algorithm), Ok(seconds @ 1..=600)) =
                (algorithm.parse::<SigningAlgorithm>(), seconds.parse())
            else {
                return Ok(None);
            };
            let signer = sign::Signer::new(algorithm)?;
            let count = signer.sign_for(Duration::from_secs(seconds))?;
            Ok(Some((count / seconds).to_string()))
        }
        ["turns", algorithm] => {
            let Ok(algorithm) = algorithm.parse::<SigningAlgorithm>() else {
                return Ok(None);
            };
            sign::in_turns(&sign::Signer::new(algorithm)?)?;
            Ok(Some("done".to_owned()))
        }
        ["seed", database, clients, events] => {
            let (Ok(clients), Ok(events)) = (clients.parse(), events.parse()) else {
                return Ok(None);
            };
            seed::seed(Path::new(database), clients, events)
                .await
                .map(Some)
        }
        ["week", database] => week::seed(Path::new(database)).await.map(Some),
        ["readers"] => readers::measure("").await.map(Some),
        ["readers", name] => readers::measure(name).await.map(Some),
        _ => Ok(None),
    }
}
