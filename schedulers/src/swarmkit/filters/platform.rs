//! The node runs one of the platforms.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go` (`PlatformFilter`). What a task leaves empty
//! may be anything, what a node leaves empty is nothing else; a node of which no platform is known runs
//! none.

use crate::swarmkit::model::{Node, Platform, Spec};

pub(super) fn passes(spec: &Spec, node: &Node) -> bool {
    let Some(there) = &node.platform else { return false };
    spec.platforms.iter().any(|it| is_one(it, there))
}

fn is_one(wanted: &Platform, there: &Platform) -> bool {
    let is_arch = wanted.arch.is_empty() || usual(&wanted.arch) == usual(&there.arch);
    is_arch && (wanted.os.is_empty() || wanted.os == there.os)
}

fn usual(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_them_with_either_name_of_the_architecture() {
        let read = |it: &str| {
            let (os, arch) = it.split_once('/')?;
            Some(Platform { os: os.to_owned(), arch: arch.to_owned() })
        };
        for (wanted, there, want) in [
            ("linux/amd64", "linux/x86_64", true),
            ("linux/aarch64", "linux/arm64", true),
            ("linux/arm", "linux/arm64", false),
            ("linux/", "linux/riscv64", true),
            ("/amd64", "windows/x86_64", true),
            ("/", "/", true),
            ("/", "", false),
            ("Linux/", "linux/", false),
            ("linux/amd64", "linux/", false),
            ("windows/amd64 linux/amd64", "linux/amd64", true),
        ] {
            let spec =
                Spec { platforms: wanted.split(' ').filter_map(read).collect(), ..Spec::default() };
            let node = Node { platform: read(there), ..Node::default() };
            assert_eq!(passes(&spec, &node), want, "{wanted} on {there}");
        }
    }
}
