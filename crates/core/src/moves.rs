/// What a store keeps of its sessions having been moved: to it, or away. The notes are texts of whoever
/// moves them, and mean nothing to a store.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Moves {
    /// Whether they were moved away, so that nobody can write to the store.
    pub is_retired: bool,
    /// The note that was made last when sessions came here.
    pub arrival: Option<String>,
    /// The note that was made when they were moved away.
    pub departure: Option<String>,
}
