//! Cases of `marathon`.

use schedulers::marathon::attribute::Attribute;
use schedulers::marathon::constraint::Constraint;
use schedulers::marathon::site::Site;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    policy: Policy,
    task: Task,
    offer: Place,
    #[serde(default)]
    placed: Vec<Place>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    stage: String,
    constraint: Parts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    field: String,
    operator: String,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    instances: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    hostname: String,
    #[serde(default)]
    attributes: BTreeMap<String, Typed>,
    region: Option<String>,
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "type", content = "value", rename_all = "lowercase")]
enum Typed {
    Text(String),
    Scalar(f64),
    Ranges(Vec<(u64, u64)>),
    Set(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "lowercase")]
enum Expect {
    Match {
        #[serde(rename = "match")]
        is_match: bool,
    },
}

impl Place {
    fn site(self) -> Site {
        let attribute = |it| match it {
            Typed::Text(it) => Attribute::text(it),
            Typed::Scalar(it) => Attribute::scalar(it),
            Typed::Ranges(it) => Attribute::ranges(it),
            Typed::Set(it) => Attribute::set(it),
        };
        Site {
            hostname: self.hostname,
            attributes: self
                .attributes
                .into_iter()
                .map(|(name, it)| (name, attribute(it)))
                .collect(),
            region: self.region,
            zone: self.zone,
        }
    }
}

pub(super) fn run(case: &Value) -> Result<(), String> {
    let case = Case::deserialize(case).map_err(|it| it.to_string())?;
    if case.policy.stage != "constraint" {
        return Err(format!("unknown stage {:?}", case.policy.stage));
    }
    let Parts { field, operator, value } = case.policy.constraint;
    let constraint = Constraint::read(&field, &operator, value.as_deref().unwrap_or_default())
        .map_err(|it| it.to_string())?;
    let placed: Vec<Site> = case.placed.into_iter().map(Place::site).collect();
    let offered = case.offer.site();
    let got = constraint.check(&offered, placed.iter(), case.task.instances);
    let Expect::Match { is_match } = case.expect;
    if got.is_ok() == is_match {
        Ok(())
    } else {
        Err(format!("match {is_match} is wanted, got {got:?}"))
    }
}
