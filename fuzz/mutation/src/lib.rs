//! Small changes to texts, of the kinds that readers get wrong; the same ones for the same seed.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

/// Numbers that look random and are not.
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// What readers of tokens and JSON may stumble over.
pub const FRAGMENTS: [&[u8]; 44] = [
    b"",
    b".",
    b"..",
    b"=",
    b"==",
    b"-",
    b"_",
    b"+",
    b"/",
    b" ",
    b"\t",
    b"\n",
    b"\0",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\u",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[[[[[[[[[",
    b",",
    b":",
    b"null",
    b"true",
    b"0",
    b"-1",
    b"-0",
    b"01",
    b"1e400",
    b"1E-400",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"NaN",
    b"none",
    b"V1",
    b"srt1.",
    b"sealed1:",
    b"\xff",
    b"\xc3\xbc",
    b"\xef\xbb\xbf",
];

impl Dice {
    /// Begins from `SESSILE_FUZZ_SEED`, or always at the same place, and prints where: a failing
    /// test shows what it printed.
    pub fn seeded() -> Self {
        let seed = std::env::var("SESSILE_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
        let seed: u64 = seed.unwrap_or(0x5e55_11e5);
        println!("SESSILE_FUZZ_SEED={seed}");
        Self::from_seed(seed)
    }

    /// Begins at the place of that number.
    pub fn from_seed(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `limit`; zero where there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit.max(1)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = if self.below(4) == 0 { length } else { 8 };
        start..length.min(start + self.below(longest + 1))
    }

    /// `bytes` after a few changes; what is inserted is often a part of `other`.
    pub fn mutate(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let range = self.range(bytes.len());
            match self.below(8) {
                0 => {
                    if let Some(byte) = bytes.get_mut(range.start) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                1 => {
                    if let Some(byte) = bytes.get_mut(range.start) {
                        *byte = self.next() as u8;
                    }
                }
                2 => drop(bytes.drain(range)),
                3 => {
                    let copied = bytes[range.clone()].to_vec();
                    bytes.splice(range.start..range.start, copied);
                }
                4 => {
                    let inserted = other[self.range(other.len())].to_vec();
                    bytes.splice(range, inserted);
                }
                5 => bytes.truncate(range.start),
                6 => {
                    let fragment = *self.pick(&FRAGMENTS);
                    bytes.splice(range, fragment.iter().copied());
                }
                _ => {
                    let fragment = *self.pick(&FRAGMENTS);
                    bytes.splice(range.start..range.start, fragment.iter().copied());
                }
            }
        }
        bytes
    }

    /// As [`mutate`](Self::mutate), for what can only be text.
    pub fn mutate_text(&mut self, text: &str, other: &str) -> String {
        String::from_utf8_lossy(&self.mutate(text.as_bytes(), other.as_bytes())).into_owned()
    }
}
