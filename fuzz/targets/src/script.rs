//! How a fuzzer's bytes become a parser's input.
//!
//! No fuzzer finds a token that was signed in its own process. So its bytes are a script: which
//! sample to begin with, and what to change in it. The same script means the same changes in
//! every process, though each has other keys and so other samples.

use sessile_mutation::FRAGMENTS;

/// A script that begins with this byte has no sample: what follows is the input itself.
pub(crate) const LITERAL: u8 = 0xff;

/// No input is longer than this; parsers limit themselves at 64 KiB.
const MAXIMUM_LENGTH: usize = 128 * 1024;

/// The input that a script stands for: a sample's number, then changes of four bytes each: what to
/// do, where (two bytes), and with which byte, fragment or length.
pub(crate) fn apply(script: &[u8], samples: &[Vec<u8>]) -> Vec<u8> {
    let Some((&first, changes)) = script.split_first() else { return Vec::new() };
    if first == LITERAL || samples.is_empty() {
        return changes.to_vec();
    }
    let mut bytes = samples[usize::from(first) % samples.len()].clone();
    for change in changes.chunks_exact(4) {
        let position = usize::from(u16::from_be_bytes([change[1], change[2]])) % (bytes.len() + 1);
        let value = change[3];
        let end = bytes.len().min(position + usize::from(value));
        match change[0] % 8 {
            0 => {
                if let Some(byte) = bytes.get_mut(position) {
                    *byte = value;
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(position) {
                    *byte ^= 1 << (value % 8);
                }
            }
            2 => bytes.insert(position, value),
            3 => drop(bytes.drain(position..end)),
            4 => bytes.truncate(position),
            5 => {
                let copied = bytes[position..end].to_vec();
                bytes.splice(position..position, copied);
            }
            6 => {
                let fragment = FRAGMENTS[usize::from(value) % FRAGMENTS.len()];
                bytes.splice(position..position, fragment.iter().copied());
            }
            _ => {
                // The same place of another sample, to its end.
                let other = &samples[usize::from(value) % samples.len()];
                bytes.truncate(position);
                bytes.extend(other.iter().skip(position));
            }
        }
    }
    bytes.truncate(MAXIMUM_LENGTH);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_changes_a_sample() {
        let samples = [b"abcdef".to_vec(), b"ABCDEF".to_vec()];
        let cases: [(&[u8], &[u8]); 10] = [
            (&[], b""),
            (&[1], b"ABCDEF"),
            (&[LITERAL, b'x', b'y'], b"xy"),
            (&[0, 0, 0, 2, b'-'], b"ab-def"),
            (&[0, 1, 0, 0, 5], b"Abcdef"),
            (&[0, 2, 0, 6, b'!'], b"abcdef!"),
            (&[0, 3, 0, 1, 2], b"adef"),
            (&[0, 4, 0, 3, 0], b"abc"),
            (&[0, 5, 0, 4, 9, 0, 0, 0, b'-'], b"-bcdefef"),
            (&[0, 7, 0, 2, 1, 9], b"abCDEF"),
        ];
        for (script, expected) in cases {
            assert_eq!(apply(script, &samples), expected, "{script:?}");
        }
    }
}
