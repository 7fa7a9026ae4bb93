use super::{
    interleave::join_all,
    samples::{
        NOW, after_now, answered, assert_same, assert_stored, fresh_app, fresh_handle, fresh_hash,
        inserted, random, rotation_of, session_of,
    },
};
use crate::{
    clock::Timestamp,
    identifier::AppId,
    rotation::{Advance, Rotation, RotationChange, RotationGuard, TokenHash},
    store::{SessionRecord, Store},
};

/// Each part of a guard is looked at, and what does not hold changes nothing.
pub async fn a_rotation_needs_its_guard<S: Store>(store: &S) {
    let app = fresh_app();
    let previous = fresh_hash();
    let row = SessionRecord { previous_refresh_token_hash: Some(previous), ..session_of("alice") };
    let current = row.refresh_token_hash;
    let usual = RotationGuard { current, or_current: None, previous: None, alive_at: NOW };
    let other = fresh_hash();
    let expiry = row.expires_at;
    let one_more = Timestamp::from_millis(expiry.as_millis() + 1);
    let cases = [
        ("the current token", true, usual.clone()),
        ("another token", false, RotationGuard { current: other, ..usual.clone() }),
        ("the previous token", false, RotationGuard { current: previous, ..usual.clone() }),
        (
            "a parent that is current",
            true,
            RotationGuard { current: other, or_current: Some(current), ..usual.clone() },
        ),
        (
            "a parent that is not current",
            false,
            RotationGuard { current: other, or_current: Some(fresh_hash()), ..usual.clone() },
        ),
        (
            "the current token with another parent",
            true,
            RotationGuard { or_current: Some(other), ..usual.clone() },
        ),
        (
            "the right previous token",
            true,
            RotationGuard { previous: Some(previous), ..usual.clone() },
        ),
        ("a wrong previous token", false, RotationGuard { previous: Some(other), ..usual.clone() }),
        (
            "a wrong current beside the right previous token",
            false,
            RotationGuard { current: other, previous: Some(previous), ..usual.clone() },
        ),
        ("the moment of expiry", true, RotationGuard { alive_at: expiry, ..usual.clone() }),
        ("after expiry", false, RotationGuard { alive_at: one_more, ..usual.clone() }),
        ("the last moment", false, RotationGuard { alive_at: Timestamp::MAX, ..usual }),
    ];
    for (what, holds, guard) in cases {
        let row =
            inserted(store, &app, SessionRecord { handle: fresh_handle(), ..row.clone() }).await;
        assert_eq!(guard.holds(&row), holds, "the rules: {what}");
        check_rotation(store, &app, row, Rotation { guard, ..rotation_of_nothing() }, what).await;
    }

    let first = inserted(store, &app, session_of("alice")).await;
    let guard = RotationGuard {
        current: first.refresh_token_hash,
        or_current: None,
        previous: Some(previous),
        alive_at: NOW,
    };
    let rotation = Rotation { guard, ..rotation_of_nothing() };
    check_rotation(store, &app, first, rotation, "a previous token where there is none").await;
}

fn rotation_of_nothing() -> Rotation {
    rotation_of(&session_of(""))
}

/// Rotates and compares answer and row with what the rules say.
async fn check_rotation(
    store: &impl Store,
    app: &AppId,
    row: SessionRecord,
    rotation: Rotation,
    when: &str,
) {
    let answer = answered(store.rotate_session(app, &row.handle, rotation.clone()).await);
    let mut expected = row;
    if rotation.guard.holds(&expected) {
        rotation.change.apply(&mut expected);
        assert_same(answer.as_ref(), &expected, when);
    } else {
        assert!(answer.is_none(), "{when}: nothing must be rotated");
    }
    assert_stored(store, app, &expected, when).await;
}

/// A change writes its fields and no others; without `advance`, three of them stay as they are.
pub async fn a_rotation_changes_what_it_says<S: Store>(store: &S) {
    let app = fresh_app();
    let mut row = inserted(store, &app, session_of("alice")).await;
    let bystander = inserted(store, &app, session_of("alice")).await;
    for step in 1..=3 {
        let mut rotation = rotation_of(&row);
        if let Some(advance) = &mut rotation.change.advance {
            advance.rotated_at = after_now(step);
            advance.expires_at = after_now(3_600_000 + step);
        }
        check_rotation(store, &app, row.clone(), rotation.clone(), "a usual rotation").await;
        rotation.change.apply(&mut row);

        let mut rotation = rotation_of(&row);
        rotation.change.advance = None;
        check_rotation(store, &app, row.clone(), rotation.clone(), "without advance").await;
        rotation.change.apply(&mut row);

        let mut rotation = rotation_of(&row);
        rotation.change.sealed_child = None;
        check_rotation(store, &app, row.clone(), rotation.clone(), "without a child").await;
        rotation.change.apply(&mut row);

        let mut rotation = rotation_of(&row);
        rotation.change.use_static_key = Some(step % 2 == 1);
        check_rotation(store, &app, row.clone(), rotation.clone(), "another kind of key").await;
        rotation.change.apply(&mut row);
    }
    assert_stored(store, &app, &bystander, "a session that was not rotated").await;
}

/// The new expiry is `ends_at` where that is earlier.
pub async fn a_rotation_ends_with_the_session<S: Store>(store: &S) {
    let app = fresh_app();
    for (ends_at, asked, expected) in [
        (after_now(5000), after_now(5001), after_now(5000)),
        (after_now(5000), after_now(5000), after_now(5000)),
        (after_now(5000), after_now(4999), after_now(4999)),
        (after_now(5000), Timestamp::MAX, after_now(5000)),
        (Timestamp::MAX, after_now(5000), after_now(5000)),
        (Timestamp::MAX, Timestamp::MAX, Timestamp::MAX),
    ] {
        let row = SessionRecord { expires_at: NOW, ends_at, ..session_of("alice") };
        let row = inserted(store, &app, row).await;
        let mut rotation = rotation_of(&row);
        if let Some(advance) = &mut rotation.change.advance {
            advance.expires_at = asked;
        }
        let rotated = answered(store.rotate_session(&app, &row.handle, rotation).await);
        assert_eq!(
            rotated.map(|row| row.expires_at),
            Some(expected),
            "the expiry {asked:?} of a session that ends at {ends_at:?}"
        );
    }
}

/// Several hundred random rotations of random rows end as the rules say.
pub async fn rotations_agree_with_the_rules<S: Store>(store: &S) {
    let app = &fresh_app();
    let mut dice = Dice { seed: u64::from_le_bytes(random()), rolls: 0 };
    let seed = dice.seed;
    for round in 0..8 {
        let cases: Vec<_> = (0..64)
            .map(|number| {
                let row = dice.row();
                (format!("case {round}/{number} of seed {seed}"), row, dice.rotation())
            })
            .collect();
        join_all(cases.into_iter().map(|(when, row, rotation)| async move {
            let row = inserted(store, app, row).await;
            check_rotation(store, app, row, rotation, &when).await;
        }))
        .await;
    }
}

/// A small generator, so that one number tells all cases.
struct Dice {
    seed: u64,
    rolls: u64,
}

impl Dice {
    /// SplitMix64.
    fn roll(&mut self) -> u64 {
        self.rolls += 1;
        let mut mixed = self.seed.wrapping_add(self.rolls.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[usize::try_from(self.roll() % N as u64).unwrap_or_default()]
    }

    /// One of three, so that hashes meet often.
    fn hash(&mut self) -> TokenHash {
        TokenHash::from_bytes(self.pick([[0; 32], [1; 32], [255; 32]]))
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.pick([true, true, false]).then(|| make(self))
    }

    /// One of a few, so that they meet often, with the extremes among them.
    fn time(&mut self) -> Timestamp {
        const LAST: i64 = i64::MAX;
        let now = NOW.as_millis();
        Timestamp::from_millis(self.pick([now - 1, now, now, now + 1, i64::MIN, 0, LAST, LAST - 1]))
    }

    fn sealed(&mut self) -> Vec<u8> {
        self.roll().to_le_bytes()[..self.pick([0, 1, 8])].to_vec()
    }

    fn row(&mut self) -> SessionRecord {
        let ends_at = self.time();
        SessionRecord {
            refresh_token_hash: self.hash(),
            previous_refresh_token_hash: self.maybe(Self::hash),
            rotated_at: self.maybe(Self::time),
            sealed_child: self.maybe(Self::sealed),
            expires_at: self.time().min(ends_at),
            ends_at,
            ..session_of("alice")
        }
    }

    fn rotation(&mut self) -> Rotation {
        Rotation {
            guard: RotationGuard {
                current: self.hash(),
                or_current: self.maybe(Self::hash),
                previous: self.maybe(Self::hash),
                alive_at: self.time(),
            },
            change: RotationChange {
                current: self.hash(),
                sealed_child: self.maybe(Self::sealed),
                advance: self.maybe(|dice| Advance {
                    previous: dice.hash(),
                    rotated_at: dice.time(),
                    expires_at: dice.time(),
                }),
                use_static_key: self.maybe(|dice| dice.pick([true, false])),
            },
        }
    }
}

/// Of 64 rotations of one row from the same token at once, exactly one happens.
pub async fn one_of_many_rotations_happens<S: Store>(store: &S) {
    let app = &fresh_app();
    for _ in 0..4 {
        let row = &inserted(store, app, session_of("alice")).await;
        let answers = join_all((0..64).map(|_| async move {
            let rotation = rotation_of(row);
            let answer = store.rotate_session(app, &row.handle, rotation.clone()).await;
            answered(answer).map(|rotated| (rotation, rotated))
        }))
        .await;
        let winners: Vec<_> = answers.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "rotations that happened, of 64 with the same guard");
        for (rotation, rotated) in winners {
            let mut expected = row.clone();
            rotation.change.apply(&mut expected);
            assert_same(Some(&rotated), &expected, "the answer to the one that happened");
            assert_stored(store, app, &expected, "after 64 rotations at once").await;
        }
    }
}
