//! Synthetic availability zones, for traces that name none. No public trace does.

use crate::error::TraceError;
use cluster::nodes::NodeSpec;
use std::collections::BTreeMap;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// How many zones to make, and how to deal nodes to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zones {
    /// How many.
    pub count: u16,
    /// Which nodes stay together.
    pub by: ZonesBy,
}

/// Which nodes stay together when zones are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZonesBy {
    /// None: nodes in the order of a stable hash of their names are dealt out one by one, so that
    /// zones differ by at most one node.
    Hash,
    /// Nodes with the same value of this label: whole groups, the largest first, go to the zone that
    /// has the fewest nodes so far.
    Label(String),
}

/// `3 by hash`
impl fmt::Display for Zones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            ZonesBy::Hash => write!(f, "{} by hash", self.count),
            ZonesBy::Label(label) => write!(f, "{} by {label}", self.count),
        }
    }
}

impl Zones {
    /// Reads `3`, `3:by=hash` or `3:by=rack`.
    ///
    /// # Errors
    ///
    /// [`TraceError::BadOption`] for anything else.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let bad = || TraceError::BadOption {
            option: "zones".into(),
            found: text.into(),
            wanted: "a number from 1 to 65535, alone or with `:by=hash` or `:by=LABEL`",
        };
        let (count, by) = match text.split_once(':') {
            None => (text, "hash"),
            Some((count, by)) => (count, by.strip_prefix("by=").ok_or_else(bad)?),
        };
        let count = count.parse().ok().filter(|&it| it > 0).ok_or_else(bad)?;
        let by = match by {
            "" => return Err(bad()),
            "hash" => ZonesBy::Hash,
            label => ZonesBy::Label(label.to_owned()),
        };
        Ok(Self { count, by })
    }

    /// Gives every node a zone.
    pub(crate) fn apply(&self, nodes: &mut [&mut NodeSpec]) -> Result<(), TraceError> {
        let zones = usize::from(self.count);
        match &self.by {
            ZonesBy::Hash => {
                nodes.sort_by_cached_key(|it| (xxh3_64(it.name.as_bytes()), it.name.clone()));
                for (row, node) in nodes.iter_mut().enumerate() {
                    node.zone = zone_name(row % zones);
                }
            }
            ZonesBy::Label(label) => {
                let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
                for (row, node) in nodes.iter().enumerate() {
                    let value = node.attributes.iter().find(|(name, _)| name == label);
                    let Some((_, value)) = value else {
                        return Err(TraceError::NoLabel {
                            node: node.name.clone(),
                            label: label.clone(),
                            known: node.attributes.iter().map(|it| it.0.clone()).collect(),
                        });
                    };
                    groups.entry(value.clone()).or_default().push(row);
                }
                let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
                // Stable: groups of one size keep the order of their values.
                groups.sort_by_key(|it| std::cmp::Reverse(it.len()));
                let mut sizes = vec![0; zones];
                for group in groups {
                    let zone = (0..zones).min_by_key(|&it| sizes[it]).expect("at least one zone");
                    sizes[zone] += group.len();
                    for row in group {
                        nodes[row].zone = zone_name(zone);
                    }
                }
            }
        }
        Ok(())
    }
}

/// `zone-a`, `zone-b`, …, `zone-z`, `zone-27`, …
pub(crate) fn zone_name(zone: usize) -> String {
    match u8::try_from(zone) {
        Ok(letter @ 0..26) => format!("zone-{}", char::from(b'a' + letter)),
        _ => format!("zone-{}", zone + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> Vec<NodeSpec> {
        (0..count)
            .map(|it| NodeSpec {
                name: format!("n{it}"),
                attributes: vec![("rack".into(), format!("r{}", it / 7))],
                ..NodeSpec::default()
            })
            .collect()
    }

    fn apply(zones: &str, count: usize) -> Vec<NodeSpec> {
        let mut nodes = nodes(count);
        Zones::parse(zones).unwrap().apply(&mut nodes.iter_mut().collect::<Vec<_>>()).unwrap();
        nodes
    }

    #[test]
    fn dealing_by_hash_is_even_and_does_not_depend_on_order() {
        let dealt = apply("3", 1000);
        for zone in 0..3 {
            let size = dealt.iter().filter(|it| it.zone == zone_name(zone)).count();
            assert!((333..=334).contains(&size), "zone {zone} has {size} nodes");
        }
        let mut reversed = nodes(1000);
        reversed.reverse();
        let zones = Zones::parse("3:by=hash").unwrap();
        zones.apply(&mut reversed.iter_mut().collect::<Vec<_>>()).unwrap();
        reversed.reverse();
        assert_eq!(dealt, reversed);
    }

    #[test]
    fn a_label_stays_in_one_zone() {
        let dealt = apply("4:by=rack", 100);
        for pair in dealt.windows(2).filter(|it| it[0].attributes == it[1].attributes) {
            assert_eq!(pair[0].zone, pair[1].zone);
        }
        assert_eq!(dealt.iter().filter(|it| it.zone == "zone-a").count(), 28);
    }

    #[test]
    fn large_groups_are_dealt_first_so_that_zones_come_out_even() {
        let mut nodes = nodes(6);
        for (node, rack) in nodes.iter_mut().zip(["a", "b", "c", "c", "c", "c"]) {
            node.attributes[0].1 = rack.into();
        }
        let zones = Zones::parse("2:by=rack").unwrap();
        zones.apply(&mut nodes.iter_mut().collect::<Vec<_>>()).unwrap();
        assert_eq!(nodes.iter().filter(|it| it.zone == "zone-a").count(), 4);
    }

    #[test]
    fn what_is_no_number_of_zones_is_refused() {
        for text in ["", "0", "-1", "three", "3:rack", "3:by=", "70000"] {
            assert!(Zones::parse(text).is_err(), "{text}");
        }
        let error = Zones::parse("2:by=row")
            .unwrap()
            .apply(&mut nodes(1).iter_mut().collect::<Vec<_>>())
            .unwrap_err();
        assert!(error.help().contains("rack"), "{}", error.help());
    }

    #[test]
    fn zones_past_z_are_numbered() {
        assert_eq!(
            (zone_name(0), zone_name(25), zone_name(26)),
            ("zone-a".into(), "zone-z".into(), "zone-27".into())
        );
    }
}
