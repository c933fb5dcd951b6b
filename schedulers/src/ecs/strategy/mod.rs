//! Placement strategies: in a chain, each decides between what the ones before it left equal.
//!
//! Source: Amazon ECS Developer Guide, "Task placement strategies" and "Service scheduler concepts"; API model,
//! `PlacementStrategy`. Scores are plain amounts, compared in order: nothing is normalised or weighted.

mod binpack;
mod spread;

use super::group;
use super::instance::{Instance, ZONE, is_attribute_name};
use super::place::Request;
use std::fmt;
use thiserror::Error;

/// The most strategies in a chain (API model; the guide of 2023 said 4).
pub const COUNT_MAX: usize = 5;

/// One strategy of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// A uniform draw. It leaves nothing to those after it.
    Random,
    /// Fewest tasks of the group where this has the same value.
    Spread(Field),
    /// Least left of this.
    Binpack(Packed),
}

/// What tasks are spread over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Instances themselves (`instanceId`, `host`).
    Instance,
    /// Values of an attribute. Instances without it are one more value, which is ours: the guide is silent.
    Attribute(String),
}

/// What is packed tightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// Units of cpu.
    Cpu,
    /// MiB of memory.
    Memory,
}

/// Why a strategy is refused; an invalid parameter to ECS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// None of `random`, `spread`, `binpack`.
    #[error("{found:?} is no strategy: random, spread and binpack are")]
    Kind {
        /// As written.
        found: String,
    },
    /// A field that the strategy does not have, or none.
    #[error("{found:?} is no field of {kind}: {wanted}")]
    Field {
        /// The strategy.
        kind: &'static str,
        /// As written; empty if missing.
        found: String,
        /// The fields it has.
        wanted: &'static str,
    },
    /// More than [`COUNT_MAX`].
    #[error("{count} strategies, but at most {COUNT_MAX} are allowed")]
    TooMany {
        /// How many.
        count: usize,
    },
}

impl Strategy {
    /// Reads a strategy by its type's name and its field.
    ///
    /// # Errors
    ///
    /// If there is no such strategy, or it has no such field. `random` does not look at its field.
    pub fn read(kind: &str, field: Option<&str>) -> Result<Self, StrategyError> {
        let written = field.unwrap_or_default();
        let wrong =
            |kind, wanted| Err(StrategyError::Field { kind, found: written.to_owned(), wanted });
        match kind {
            "random" => Ok(Self::Random),
            "spread" if ["instanceId", "host"].contains(&written) => {
                Ok(Self::Spread(Field::Instance))
            }
            "spread" => match written.strip_prefix("attribute:") {
                Some(name) if is_attribute_name(name) => {
                    Ok(Self::Spread(Field::Attribute(name.to_owned())))
                }
                _ => wrong("spread", "instanceId, host or attribute:NAME"),
            },
            "binpack" if written.eq_ignore_ascii_case("cpu") => Ok(Self::Binpack(Packed::Cpu)),
            "binpack" if written.eq_ignore_ascii_case("memory") => {
                Ok(Self::Binpack(Packed::Memory))
            }
            "binpack" => wrong("binpack", "cpu or memory"),
            _ => Err(StrategyError::Kind { found: kind.to_owned() }),
        }
    }

    /// The score of every candidate, which are rows of `instances`: lowest is best. `None` if the strategy
    /// has none, being a draw.
    pub(super) fn scores(
        &self,
        request: &Request,
        instances: &[Instance],
        candidates: &[usize],
    ) -> Option<Vec<u64>> {
        match self {
            Self::Random => None,
            Self::Spread(field) => {
                Some(spread::scores(field, &request.group, instances, candidates))
            }
            Self::Binpack(packed) => Some(binpack::scores(*packed, instances, candidates)),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Spread(Field::Instance) => f.write_str("spread(instanceId)"),
            Self::Spread(Field::Attribute(name)) => write!(f, "spread(attribute:{name})"),
            Self::Binpack(Packed::Cpu) => f.write_str("binpack(cpu)"),
            Self::Binpack(Packed::Memory) => f.write_str("binpack(memory)"),
        }
    }
}

/// The chain that a request without one stands for. A service's tasks are spread over zones, then instances.
/// For standalone tasks nothing is documented; ours draws.
pub fn default_chain(of_group: &str) -> Vec<Strategy> {
    if group::is_service(of_group) {
        let zones = Field::Attribute(ZONE.to_owned());
        vec![Strategy::Spread(zones), Strategy::Spread(Field::Instance)]
    } else {
        vec![Strategy::Random]
    }
}

/// A chain as written; the default if it is empty.
///
/// # Errors
///
/// If it has more than [`COUNT_MAX`] strategies.
pub fn chain(written: Vec<Strategy>, of_group: &str) -> Result<Vec<Strategy>, StrategyError> {
    match written.len() {
        0 => Ok(default_chain(of_group)),
        count if count > COUNT_MAX => Err(StrategyError::TooMany { count }),
        _ => Ok(written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, field: Option<&str>, want: &str) {
        let got = Strategy::read(kind, field);
        assert_eq!(got.map_or_else(|it| it.to_string(), |it| it.to_string()), want);
    }

    #[test]
    fn fields_belong_to_types() {
        check("spread", Some("instanceId"), "spread(instanceId)");
        check("spread", Some("host"), "spread(instanceId)");
        check("spread", Some("attribute:rack"), "spread(attribute:rack)");
        check("binpack", Some("cpu"), "binpack(cpu)");
        check("binpack", Some("MEMORY"), "binpack(memory)");
        check("random", None, "random");
        let fields = "instanceId, host or attribute:NAME";
        check("spread", None, &format!("\"\" is no field of spread: {fields}"));
        check("spread", Some("rack"), &format!("\"rack\" is no field of spread: {fields}"));
        check(
            "spread",
            Some("attribute:a b"),
            &format!("\"attribute:a b\" is no field of spread: {fields}"),
        );
        check("binpack", Some("disk"), "\"disk\" is no field of binpack: cpu or memory");
        check("pack", None, "\"pack\" is no strategy: random, spread and binpack are");
    }

    #[test]
    fn chains_have_a_length_and_a_default() {
        let written = |count| vec![Strategy::Random; count];
        assert_eq!(chain(written(5), "a").map(|it| it.len()), Ok(5));
        assert_eq!(chain(written(6), "a"), Err(StrategyError::TooMany { count: 6 }));
        let text = |group| {
            let chain = chain(Vec::new(), group).unwrap();
            chain.iter().map(Strategy::to_string).collect::<Vec<_>>().join(" ")
        };
        let zones = "spread(attribute:ecs.availability-zone) spread(instanceId)";
        assert_eq!(text("service:web"), zones);
        assert_eq!(text("family:job"), "random");
    }
}
