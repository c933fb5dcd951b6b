//! Preferred node affinity. Source: v1.35, `plugins/nodeaffinity`.

use super::{Choice, Column, Normalise};
use crate::kubernetes::labels::InvalidSelector;

/// The weights of all preferred terms that a node meets, the profile's and the pod's. Skipped if neither has
/// a list of them.
///
/// # Errors
///
/// If a term of the pod cannot be parsed.
pub fn column(choice: Choice<'_>) -> Result<Option<Column>, InvalidSelector> {
    let (added, own) = (&choice.profile.added_affinity, &choice.pod.spec().node_affinity);
    if added.preferred.is_none() && own.preferred.is_none() {
        return Ok(None);
    }
    own.check_preferred()?;
    let values = choice.nodes().map(|it| added.preference(it) + own.preference(it)).collect();
    Ok(Some(Column { values, normalise: Normalise::ShareOfHighest }))
}
