//! What a server counts and times, told in the text format of OpenMetrics, which Prometheus reads.
//! `docs/operations.md` lists every name; a test compares.
//!
//! No label has a value that clients choose.

mod commits;
mod events;
mod store;
mod upkeep;

use std::{fmt, sync::Mutex, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

pub use commits::CommitStatistics;
pub(crate) use events::EventMetrics;
pub use store::MeasuredStore;
pub(crate) use store::StoreMetrics;
pub(crate) use upkeep::{Upkeep, UpkeepMetrics};

/// What [`Metrics::exposition`] is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper bounds of the buckets of every histogram of times, in seconds.
const SECONDS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0,
];

/// Everything that a server counts.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    pub(crate) requests: RequestMetrics,
    pub(crate) connections: ConnectionMetrics,
    pub(crate) events: EventMetrics,
    pub(crate) store: StoreMetrics,
    pub(crate) upkeep: UpkeepMetrics,
}

/// What is told of requests.
#[derive(Clone, Debug)]
pub(crate) struct RequestMetrics {
    answered: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram>,
    pub(crate) in_flight: Gauge,
    refused: Family<RefusalLabels, Counter>,
}

/// What is told of connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionMetrics {
    pub(crate) open: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    cdi: &'static str,
    status: u32,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct DurationLabels {
    route: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RefusalLabels {
    what: &'static str,
}

/// Of what there was too much.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// Requests under way.
    Request,
    /// Large bodies.
    LargeBody,
    /// Requests under way to the other core.
    Forward,
}

impl Refused {
    const ALL: [Self; 3] = [Self::Request, Self::LargeBody, Self::Forward];

    /// What a client is told.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Request => "There are too many requests under way",
            Self::LargeBody => "There are too many requests with large bodies under way",
            Self::Forward => "There are too many requests under way to the core behind this server",
        }
    }

    fn label(self) -> RefusalLabels {
        RefusalLabels {
            what: match self {
                Self::Request => "request",
                Self::LargeBody => "large_body",
                Self::Forward => "forward",
            },
        }
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl RequestMetrics {
    fn register(registry: &mut Registry) -> Self {
        let answered = Family::default();
        let durations = Family::new_with_constructor(seconds as fn() -> Histogram);
        let (in_flight, refused) = (Gauge::default(), Family::default());
        for what in Refused::ALL {
            drop(refused.get_or_create(&what.label()));
        }
        registry.register("requests", "Requests that were answered", answered.clone());
        registry.register(
            "request_duration_seconds",
            "Time from the head of a request to its answer",
            durations.clone(),
        );
        registry.register("requests_in_flight", "Requests under way", in_flight.clone());
        registry.register(
            "requests_refused",
            "Requests that were answered 503 because there were too many",
            refused.clone(),
        );
        Self { answered, durations, in_flight, refused }
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        route: &'static str,
        method: &'static str,
        cdi: &'static str,
        status: u16,
        duration: Duration,
    ) {
        let labels = RequestLabels { route, method, cdi, status: status.into() };
        self.answered.get_or_create(&labels).inc();
        let labels = DurationLabels { route, method };
        self.durations.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// A request was refused.
    pub(crate) fn refused(&self, what: Refused) {
        self.refused.get_or_create(&what.label()).inc();
    }
}

impl ConnectionMetrics {
    fn register(registry: &mut Registry) -> Self {
        let Self { open, accepted, refused } = Self::default();
        registry.register("connections", "Connections that are open", open.clone());
        registry.register("connections_accepted", "Connections accepted", accepted.clone());
        registry.register(
            "connections_refused",
            "Connections that were refused because there were too many",
            refused.clone(),
        );
        Self { open, accepted, refused }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("sessile");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of the server", version);
        Self {
            requests: RequestMetrics::register(&mut registry),
            connections: ConnectionMetrics::register(&mut registry),
            events: EventMetrics::register(&mut registry),
            store: StoreMetrics::register(&mut registry),
            upkeep: UpkeepMetrics::register(&mut registry),
            registry: Mutex::new(registry),
        }
    }

    /// Adds what a store says of its commits each time that it is asked.
    pub(crate) fn add_commits(
        &self,
        statistics: impl Fn() -> CommitStatistics + Send + Sync + 'static,
    ) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register_collector(Box::new(commits::Commits::new(statistics)));
    }

    /// All of it as text.
    pub(crate) fn exposition(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut exposition = String::new();
        // Writing to a text fails only where a metric's own encoding does.
        if let Err(error) = text::encode(&mut exposition, &registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        exposition
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}
