use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// What is told of what is done by the clock.
#[derive(Clone, Debug)]
pub(crate) struct UpkeepMetrics {
    failures: Family<TaskLabels, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TaskLabels {
    task: &'static str,
}

/// What is done for every app by the clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upkeep {
    /// Sessions that expired and keys that retired are removed.
    Sweep,
    /// Keys that are due are made.
    Keys,
    /// Keys are read again.
    Synchronisation,
}

impl Upkeep {
    const ALL: [Self; 3] = [Self::Sweep, Self::Keys, Self::Synchronisation];

    fn label(self) -> TaskLabels {
        TaskLabels {
            task: match self {
                Self::Sweep => "sweep",
                Self::Keys => "keys",
                Self::Synchronisation => "synchronisation",
            },
        }
    }
}

impl UpkeepMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let failures = Family::default();
        for task in Upkeep::ALL {
            drop(Family::<_, Counter>::get_or_create(&failures, &task.label()));
        }
        let help = "Apps for which what is done by the clock has failed";
        registry.register("upkeep_failures", help, failures.clone());
        Self { failures }
    }

    /// It has failed for an app.
    pub(crate) fn failed(&self, task: Upkeep) {
        self.failures.get_or_create(&task.label()).inc();
    }
}
