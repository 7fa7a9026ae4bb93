//! Signatures that are cut, stretched, taken from elsewhere or written otherwise.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sessile_mutation::Dice;

use crate::{Base, encoding::decode};

/// The order of the group of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The good token under another signature.
pub(crate) fn changed(base: &Base<'_>, dice: &mut Dice) -> String {
    let [header, claims, signature] = base.parts();
    let mut bytes = decode(signature);
    match dice.below(9) {
        0 => bytes.truncate(dice.below(bytes.len())),
        1 => bytes.push(0),
        2 => bytes.insert(0, 0),
        3 => bytes.fill(0),
        4 => bytes.fill(0xff),
        5 => bytes = decode(base.other.rsplit('.').next().unwrap()),
        6 if base.forge.algorithm() == "ES256" => bytes = as_der(&bytes),
        // Whoever has one signature of ECDSA can write another: the same r, and minus s.
        7 if base.forge.algorithm() == "ES256" => negate(&mut bytes[32..]),
        _ => {
            let index = dice.below(bytes.len());
            bytes[index] ^= 1 << dice.below(8);
        }
    }
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn negate(scalar: &mut [u8]) {
    let mut borrow = 0;
    for (digit, order) in scalar.iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = difference as u8;
    }
}

/// The signature as X.509 writes it: a sequence of two integers.
fn as_der(fixed: &[u8]) -> Vec<u8> {
    let integer = |digits: &[u8]| {
        let start = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len() - 1);
        let mut content = digits[start..].to_vec();
        if content[0] & 0x80 != 0 {
            content.insert(0, 0);
        }
        [&[2, content.len() as u8], content.as_slice()].concat()
    };
    let (r, s) = fixed.split_at(32);
    let content = [integer(r), integer(s)].concat();
    [&[0x30, content.len() as u8], content.as_slice()].concat()
}
