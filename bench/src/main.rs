//! Signs as fast as one thread can for some seconds, and prints the signatures a second.
//!
//! `jeton-bench ALGORITHM SECONDS`, with ALGORITHM one of RS256, ES256, `EdDSA`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use jeton_core::{Clock as _, KeyId, SigningAlgorithm, SystemClock};
use jeton_jose::{OsEntropy, SigningKey};

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people and scripts"
)]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let algorithm = arguments
        .next()
        .and_then(|text| text.parse::<SigningAlgorithm>().ok());
    let seconds = arguments.next().and_then(|text| text.parse::<u64>().ok());
    let (Some(algorithm), Some(seconds @ 1..=600)) = (algorithm, seconds) else {
        eprintln!("usage: jeton-bench RS256|ES256|EdDSA SECONDS");
        return ExitCode::from(2);
    };
    match signatures(algorithm, Duration::from_secs(seconds)) {
        Ok(count) => {
            println!("{}", count / seconds);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// How many signatures over a message of a token's size fit into `time`.
fn signatures(
    algorithm: SigningAlgorithm,
    time: Duration,
) -> Result<u64, Box<dyn std::error::Error>> {
    let pkcs8 = SigningKey::generate_pkcs8(algorithm)?;
    let id = KeyId::generate(SystemClock.now(), &OsEntropy)?;
    let key = SigningKey::from_pkcs8(id, algorithm, &pkcs8)?;
    let message = vec![b'x'; 640];
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < time {
        key.sign(&message)?;
        count += 1;
    }
    Ok(count)
}
