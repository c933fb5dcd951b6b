//! The engine is healthy.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/health.go`.

use super::Rejection;
use crate::swarm::model::Node;

pub(super) fn check(node: &Node) -> Result<(), Rejection<'static>> {
    if node.health > 0 { Ok(()) } else { Err(Rejection::Unhealthy) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_health_will_do() {
        for (health, want) in [(0, false), (1, true), (34, true), (100, true)] {
            assert_eq!(check(&Node { health, ..Node::default() }).is_ok(), want, "{health}");
        }
    }
}
