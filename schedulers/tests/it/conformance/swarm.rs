//! Cases of `swarm`.

use serde_json::Value;

pub(super) fn run(_case: &Value) -> Result<(), String> {
    Err("not written yet".to_owned())
}
