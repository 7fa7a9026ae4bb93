//! How often each thing happened in all lives of a test, so that what is never tried is noticed.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<String, usize>);

impl Coverage {
    pub(crate) fn count(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Fails where something that begins so happened less often.
    pub(crate) fn assert_at_least(&self, minimum: usize, expected: &[&str]) {
        println!("{self:#?}");
        for what in expected {
            let such = self.0.iter().filter(|(name, _)| name.starts_with(what));
            let count: usize = such.map(|(_, count)| count).sum();
            assert!(count >= minimum, "{what:?} happened {count} times: {self:#?}");
        }
    }
}
