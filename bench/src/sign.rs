//! The limit that Jeton is measured against: what one thread can sign.

use std::time::{Duration, Instant};

use jeton_core::{Clock as _, KeyId, SigningAlgorithm, SystemClock};
use jeton_jose::{OsEntropy, SigningKey};

/// How many signatures over a message of a token's size fit into `time`.
pub(crate) fn signatures(
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
