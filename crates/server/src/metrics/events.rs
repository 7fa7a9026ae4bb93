use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use sessile_core::{
    TheftKind,
    event::{Event, EventKind, RevocationReason},
};

/// What is told of sessions.
#[derive(Clone, Debug)]
pub(crate) struct EventMetrics {
    created: Counter,
    refreshed: Counter,
    reissued: Counter,
    thefts: Family<KindLabels, Counter>,
    revoked: Family<ReasonLabels, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabels {
    reason: &'static str,
}

impl EventMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (created, refreshed, reissued) =
            (Counter::default(), Counter::default(), Counter::default());
        let (thefts, revoked) = (Family::default(), Family::default());
        // A counter that is there from the start shows its first event as an increase.
        for kind in TheftKind::ALL {
            drop(Family::<_, Counter>::get_or_create(&thefts, &KindLabels { kind: kind.code() }));
        }
        for reason in RevocationReason::ALL {
            let labels = ReasonLabels { reason: reason.code() };
            drop(Family::<_, Counter>::get_or_create(&revoked, &labels));
        }
        registry.register("sessions_created", "Sessions that were created", created.clone());
        registry.register(
            "sessions_refreshed",
            "Refresh tokens that were exchanged for the next",
            refreshed.clone(),
        );
        registry.register(
            "refreshes_reissued",
            "Refreshes that were repeated and given the same next token",
            reissued.clone(),
        );
        registry.register("thefts_detected", "Thefts by how they showed", thefts.clone());
        registry.register("sessions_revoked", "Sessions that were ended, by why", revoked.clone());
        Self { created, refreshed, reissued, thefts, revoked }
    }

    pub(crate) fn count(&self, event: &Event) {
        match event.kind {
            EventKind::Created => drop(self.created.inc()),
            EventKind::Refreshed => drop(self.refreshed.inc()),
            EventKind::Reissued => drop(self.reissued.inc()),
            EventKind::TheftDetected { kind } => {
                self.thefts.get_or_create(&KindLabels { kind: kind.code() }).inc();
            }
            EventKind::Revoked { reason } => {
                self.revoked.get_or_create(&ReasonLabels { reason: reason.code() }).inc();
            }
            _ => {}
        }
    }
}
