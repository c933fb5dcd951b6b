//! Task groups: the sets that spreading, `distinctInstance` and `task:group` count.
//!
//! Source: Amazon ECS Developer Guide, "Task groups". A task has exactly one group, for its whole life.

/// The longest name of a group, in characters.
pub const LENGTH_MAX: usize = 255;

const SERVICE: &str = "service:";

/// The group of a service's tasks. It cannot be changed.
pub fn of_service(name: &str) -> String {
    format!("{SERVICE}{name}")
}

/// The group of a standalone task: the one it names, else that of its family, which all revisions share.
///
/// Returns `None` if the name is empty or longer than [`LENGTH_MAX`].
pub fn of_task(named: Option<&str>, family: &str) -> Option<String> {
    let group = named.map_or_else(|| format!("family:{family}"), str::to_owned);
    (1..=LENGTH_MAX).contains(&group.chars().count()).then_some(group)
}

/// Whether these are the tasks of a service.
pub fn is_service(group: &str) -> bool {
    group.starts_with(SERVICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_one_group() {
        assert_eq!(of_service("web"), "service:web");
        assert_eq!(of_task(Some("databases"), "db").as_deref(), Some("databases"));
        assert_eq!(of_task(None, "db").as_deref(), Some("family:db"));
        assert_eq!(of_task(Some(""), "db"), None);
        assert_eq!(of_task(Some(&"é".repeat(255)), "db").map(|it| it.len()), Some(510));
        assert_eq!(of_task(Some(&"é".repeat(256)), "db"), None);
        assert!(is_service(&of_service("web")) && !is_service("family:service:web"));
    }
}
