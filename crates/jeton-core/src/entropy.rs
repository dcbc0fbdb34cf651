//! Randomness, passed in so that its source is one place and tests can seed it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The operating system gave no randomness; nothing secret can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct EntropyError;

/// A source of random bytes fit for secrets.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `bytes` with randomness.
    ///
    /// # Errors
    ///
    /// When the source fails; the bytes are then not to be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// Randomness for identifiers, which have to be unique and are no secrets. A cryptographic generator works as
/// hard for 16 bytes as for hundreds, so it is drawn for many identifiers at once.
///
/// Not for secrets and keys: they are drawn when they are made, so that a machine that is restored twice from one
/// snapshot does not make the same ones.
pub struct IdEntropy {
    source: Arc<dyn Entropy>,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    bytes: [u8; 512],
    used: usize,
}

impl IdEntropy {
    /// Draws from `source`.
    pub fn new(source: Arc<dyn Entropy>) -> Self {
        let bytes = [0; 512];
        let used = bytes.len();
        Self {
            source,
            drawn: Mutex::new(Drawn { bytes, used }),
        }
    }
}

impl Entropy for IdEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let Drawn { bytes: all, used } = &mut *drawn;
        if all.len() - *used < bytes.len() {
            // Should this fail, none of what is there is used.
            *used = all.len();
            self.source.fill(all)?;
            *used = 0;
        }
        let next = *used..*used + bytes.len();
        let Some(next_bytes) = all.get(next.clone()) else {
            return self.source.fill(bytes);
        };
        bytes.copy_from_slice(next_bytes);
        *used = next.end;
        Ok(())
    }
}

impl fmt::Debug for IdEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdEntropy")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A small xorshift generator: repeatable, for tests only.
    #[derive(Debug)]
    pub(crate) struct Seeded(Mutex<u64>);

    impl Seeded {
        pub(crate) fn new(seed: u64) -> Self {
            Self(Mutex::new(seed))
        }
    }

    impl Entropy for Seeded {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            let mut state = self.0.lock().unwrap();
            for byte in bytes {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                *byte = u8::try_from(*state & 0xff).unwrap();
            }
            Ok(())
        }
    }

    #[test]
    fn nothing_is_given_out_twice() {
        let entropy = IdEntropy::new(Arc::new(Seeded::new(5)));
        let mut given = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes).unwrap();
            assert!(given.insert(bytes));
        }
        let mut long = [0; 2_000];
        entropy.fill(&mut long).unwrap();
        let is_new = |part: &[u8]| given.iter().all(|bytes| bytes != part);
        assert!(long.windows(16).all(is_new));
    }

    #[test]
    fn a_source_that_fails_gives_nothing() {
        #[derive(Debug)]
        struct Broken;
        impl Entropy for Broken {
            fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
                Err(EntropyError)
            }
        }
        let entropy = IdEntropy::new(Arc::new(Broken));
        for _ in 0..2 {
            assert!(entropy.fill(&mut [0; 16]).is_err());
        }
    }
}
