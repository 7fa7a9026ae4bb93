use fastrand::Rng;

/// How much of what was not synced a loss of power leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Survival {
    /// Nothing: the disk was idle.
    Nothing,
    /// Everything: the disk was quick.
    Everything,
    /// The first changes wholly, the next one in parts: the disk keeps the order.
    InOrder { share: f64 },
    /// Some of the changes, each wholly.
    WholeChanges { share: f64 },
    /// Each sector is as it was at a moment of its own.
    Sectors,
}

impl Survival {
    pub(crate) fn choose(rng: &mut Rng) -> Self {
        match rng.u8(..8) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 | 3 => Self::InOrder { share: rng.f64() },
            4 | 5 => Self::WholeChanges { share: rng.f64() },
            _ => Self::Sectors,
        }
    }

    /// Which of `changes` survive, where each does so wholly or not at all.
    pub(super) fn of_whole_changes(self, changes: usize, rng: &mut Rng) -> Option<Vec<bool>> {
        match self {
            Self::WholeChanges { share } => Some((0..changes).map(|_| rng.f64() < share).collect()),
            _ => None,
        }
    }

    /// How many of `changes` one sector has seen.
    pub(super) fn of_sector(self, changes: usize, rng: &mut Rng) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Everything => changes,
            Self::InOrder { share } => {
                (portion(changes, share) + usize::from(rng.bool())).min(changes)
            }
            Self::WholeChanges { .. } | Self::Sectors => rng.usize(..=changes),
        }
    }

    /// How many of `changes` a size or a name has seen.
    pub(super) fn of_metadata(self, changes: usize, rng: &mut Rng) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Everything => changes,
            // File systems keep sizes and names in a journal, ahead of the content or behind it.
            _ if rng.bool() => changes,
            _ => rng.usize(..=changes),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "any number up to the whole will do"
)]
fn portion(whole: usize, share: f64) -> usize {
    (whole as f64 * share) as usize
}
