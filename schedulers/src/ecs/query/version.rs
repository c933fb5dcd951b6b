//! Versions of the container agent.
//!
//! Source: Amazon ECS Developer Guide, "Cluster query language", subject `agentVersion`. The guide asks for a
//! comparison of versions, not of texts: 1.14.10 is newer than 1.14.5. Differs in saying what it leaves open:
//! parts that are missing are 0, and a suffix after `-` is older than the version without it.

/// Numbers separated by dots, and perhaps a suffix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Without zeros at the end.
    parts: Vec<u64>,
    /// A version without a suffix is newer than one with it.
    is_release: bool,
    suffix: String,
}

impl Version {
    /// Reads `1.14.5`, `v1.14`, `1.15.0-rc2`; `None` if it is no version.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, suffix) = text.split_once('-').map_or((text, None), |it| (it.0, Some(it.1)));
        let mut parts = Vec::new();
        for part in numbers.split('.') {
            let is_number = !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
            parts.push(part.parse().ok().filter(|_| is_number)?);
        }
        while parts.last() == Some(&0) {
            parts.pop();
        }
        if suffix.is_some_and(str::is_empty) {
            return None;
        }
        Some(Self {
            parts,
            is_release: suffix.is_none(),
            suffix: suffix.unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn later_ones_are_greater() {
        let ascending =
            ["1", "1.9.0", "1.14.4", "1.14.5-rc1", "1.14.5", "1.14.10", "1.15", "1.105.1", "2.0"];
        for pair in ascending.windows(2) {
            assert!(Version::read(pair[0]) < Version::read(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::read("1.14.0"), Version::read("v1.14"));
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "1.", ".1", "1..2", "one", "1.x", "+1.2", "1.2-", "-1"] {
            assert_eq!(Version::read(text), None, "{text}");
        }
    }
}
