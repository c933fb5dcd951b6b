//! Where the user's programs keep what must survive a restart.

use std::path::PathBuf;

/// A folder of that name in $XDG_STATE_HOME or ~/.local/state; `None` where neither is known. An empty or
/// relative path in XDG_STATE_HOME counts as none, as its specification has it.
pub fn usual(name: &str) -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|it| it.join(".local/state")))
        .map(|it| it.join(name))
}
