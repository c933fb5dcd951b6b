//! Where an instance is, or could be: what constraints look at.

use super::attribute::Attribute;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An agent as constraints see it: that of an offer, or that of a placed instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// Its host name.
    pub hostname: String,
    /// Its attributes, by name.
    pub attributes: BTreeMap<String, Attribute>,
    /// Name of its region, if it has a fault domain.
    pub region: Option<String>,
    /// Name of its zone, if it has a fault domain.
    pub zone: Option<String>,
}

/// What a constraint is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `hostname`, `@hostname`
    Hostname,
    /// `@region`
    Region,
    /// `@zone`
    Zone,
    /// Any other name: an attribute.
    Attribute(String),
}

impl Field {
    /// Reads the first part of a constraint.
    pub fn read(name: &str) -> Self {
        match name {
            "hostname" | "@hostname" => Self::Hostname,
            "@region" => Self::Region,
            "@zone" => Self::Zone,
            other => Self::Attribute(other.to_owned()),
        }
    }

    /// The value there; none if the site lacks it.
    pub fn of<'a>(&self, site: &'a Site) -> Option<&'a str> {
        match self {
            Self::Hostname => Some(&site.hostname),
            Self::Region => site.region.as_deref(),
            Self::Zone => site.zone.as_deref(),
            Self::Attribute(name) => site.attributes.get(name).map(Attribute::as_str),
        }
    }

    /// Whether the value there is a number.
    pub fn is_scalar(&self, site: &Site) -> bool {
        match self {
            Self::Attribute(name) => site.attributes.get(name).is_some_and(Attribute::is_scalar),
            Self::Hostname | Self::Region | Self::Zone => false,
        }
    }

    /// Its name, as Marathon writes it.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Hostname => "@hostname".into(),
            Self::Region => "@region".into(),
            Self::Zone => "@zone".into(),
            Self::Attribute(name) => name.into(),
        }
    }
}

#[cfg(test)]
pub(crate) mod check {
    use super::*;

    /// `host`, `host rack=a`, `host jdk=7 @region=r @zone=z`; a value of digits is a number.
    pub fn site(text: &str) -> Site {
        let mut words = text.split(' ');
        let hostname = words.next().unwrap_or_default().to_owned();
        let mut site = Site { hostname, ..Site::default() };
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            match name {
                "@region" => site.region = Some(value.to_owned()),
                "@zone" => site.zone = Some(value.to_owned()),
                _ => {
                    let attribute =
                        value.parse().map_or_else(|_| Attribute::text(value), Attribute::scalar);
                    site.attributes.insert(name.to_owned(), attribute);
                }
            }
        }
        site
    }
}

#[cfg(test)]
mod tests {
    use super::check::site;
    use super::*;

    #[test]
    fn fields_find_their_values() {
        let it = site("h1 rack=a jdk=7 region=mine @zone=z1");
        for (name, want) in [
            ("hostname", Some("h1")),
            ("@hostname", Some("h1")),
            ("@region", None),
            ("region", Some("mine")),
            ("@zone", Some("z1")),
            ("zone", None),
            ("rack", Some("a")),
            ("jdk", Some("7")),
        ] {
            assert_eq!(Field::read(name).of(&it), want, "{name}");
        }
    }
}
