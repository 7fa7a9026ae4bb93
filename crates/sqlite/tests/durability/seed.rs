use fastrand::Rng;

/// Names the seed of all random choices, for a run that repeats another. What threads do at the
/// same time is not chosen, and differs all the same.
const VARIABLE: &str = "SESSILE_DURABILITY_SEED";

/// A source of random choices, and how to have the same again.
pub(crate) fn seeded() -> (Rng, String) {
    let seed =
        std::env::var(VARIABLE).map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    (Rng::with_seed(seed), format!("{VARIABLE}={seed}"))
}
