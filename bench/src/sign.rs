//! The limit that Jeton is measured against: what one thread can sign.

use std::error::Error;
use std::io::{Write as _, stdin, stdout};
use std::time::{Duration, Instant};

use jeton_core::{Clock as _, KeyId, SigningAlgorithm, SystemClock};
use jeton_jose::{OsEntropy, SigningKey};

/// A key, and a message of a token's size.
pub(crate) struct Signer {
    key: SigningKey,
    message: Vec<u8>,
}

impl Signer {
    pub(crate) fn new(algorithm: SigningAlgorithm) -> Result<Self, Box<dyn Error>> {
        let pkcs8 = SigningKey::generate_pkcs8(algorithm)?;
        let id = KeyId::generate(SystemClock.now(), &OsEntropy)?;
        Ok(Self {
            key: SigningKey::from_pkcs8(id, algorithm, &pkcs8)?,
            message: vec![b'x'; 640],
        })
    }

    /// How many signatures fit into `time`.
    pub(crate) fn sign_for(&self, time: Duration) -> Result<u64, Box<dyn Error>> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            self.key.sign(&self.message)?;
            count += 1;
        }
        Ok(count)
    }
}

/// For each line of milliseconds, prints how many signatures were made and in how many seconds.
pub(crate) fn in_turns(signer: &Signer) -> Result<(), Box<dyn Error>> {
    for line in stdin().lines() {
        let time = Duration::from_millis(line?.trim().parse()?);
        let start = Instant::now();
        let count = signer.sign_for(time)?;
        let mut out = stdout();
        writeln!(out, "{count} {}", start.elapsed().as_secs_f64())?;
        out.flush()?;
    }
    Ok(())
}
