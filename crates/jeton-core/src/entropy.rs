//! Randomness, passed in so that its source is one place and tests can seed it.

use std::fmt;

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
}
