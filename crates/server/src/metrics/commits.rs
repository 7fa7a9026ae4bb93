use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

/// What a store that commits many writes together says of its commits since it was opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CommitStatistics {
    /// Number of commits.
    pub commits: u64,
    /// Number of writes that were in them.
    pub writes: u64,
    /// Number of commits with at most as many writes as the first number of each pair says, and
    /// more than that of the pair before it.
    pub by_size: Vec<(u32, u64)>,
}

/// Asks a store for its statistics at each exposition, so that a commit costs nothing more.
pub(super) struct Commits<F>(F);

impl<F> Commits<F> {
    pub(super) fn new(statistics: F) -> Self {
        Self(statistics)
    }
}

impl<F: Fn() -> CommitStatistics + Send + Sync + 'static> Collector for Commits<F> {
    #[expect(clippy::cast_precision_loss, reason = "nobody counts more writes than a float can")]
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let statistics = (self.0)();
        let mut buckets: Vec<(f64, u64)> =
            statistics.by_size.iter().map(|(size, commits)| (f64::from(*size), *commits)).collect();
        buckets.push((f64::INFINITY, 0));
        encoder
            .encode_descriptor(
                "commit_writes",
                "Writes that were committed together",
                None,
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(
                statistics.writes as f64,
                statistics.commits,
                &buckets,
                None,
            )
    }
}

impl<F> fmt::Debug for Commits<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Commits")
    }
}
