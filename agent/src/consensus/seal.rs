//! Values on disk carry a checksum of their own: a flipped bit must be noticed, not applied.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the checksum in front of each value.
const CHECKSUM_BYTES: usize = 8;

/// Why stored bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// Cut short, or not what was written.
    #[error("its checksum does not match")]
    Checksum,
    /// The bytes are what was written, but this program cannot read them.
    #[error("it cannot be read by this version of muster: {0}")]
    Content(#[from] serde_json::Error),
}

/// FNV-1a, 64 bits: enough against accidents, which is all that is asked of it. Whoever can write to the store folder
/// on purpose owns the agent anyway.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The value as JSON behind its checksum.
pub(super) fn seal<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut sealed = vec![0; CHECKSUM_BYTES];
    serde_json::to_writer(&mut sealed, value)?;
    let sum = checksum(&sealed[CHECKSUM_BYTES..]).to_le_bytes();
    sealed[..CHECKSUM_BYTES].copy_from_slice(&sum);
    Ok(sealed)
}

/// The value back from what [`seal`] made.
pub(super) fn open<T: DeserializeOwned>(sealed: &[u8]) -> Result<T, SealError> {
    let (sum, content) = sealed
        .split_first_chunk::<CHECKSUM_BYTES>()
        .ok_or(SealError::Checksum)?;
    if checksum(content) != u64::from_le_bytes(*sum) {
        return Err(SealError::Checksum);
    }
    Ok(serde_json::from_slice(content)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealed = seal(&("view", 7_u64)).unwrap();
        assert_eq!(open::<(String, u64)>(&sealed).unwrap(), ("view".into(), 7));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open::<(String, u64)>(&damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(
                open::<(String, u64)>(&sealed[..length]).is_err(),
                "cut to {length}"
            );
        }
    }
}
