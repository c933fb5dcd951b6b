//! Policies as people write them: one string, parsed once.
//!
//! ```text
//! policy   := name [ ":" argument { "," argument } ]
//! argument := key "=" value | value
//! value    := word [ "(" anything with balanced parentheses ")" ]
//! ```
//!
//! A value without a key belongs to the strategy's [main parameter](Card::main_parameter):
//! `best-fit:cpu` is `best-fit:norm=cpu`. Blanks around arguments do not count. Unknown names and keys are refused, with
//! the nearest known ones.
//!
//! ```
//! use schedulers::policy::Policy;
//!
//! let policy: Policy = "best-fit:tie=random, norm=cpu".parse()?;
//! assert_eq!(policy.to_string(), "best-fit:cpu,tie=random");
//! let scheduler = policy.build(42);
//! # drop(scheduler);
//!
//! let error = "best-fit:norn=cpu".parse::<Policy>().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "column 10: \"norn\" is no parameter of best-fit, which has norm, tie, open; did you mean norm?"
//! );
//! # Ok::<(), schedulers::policy::PolicyError>(())
//! ```

use crate::card::{Card, Parameter};
use crate::per_task::{Open, PerTask};
use crate::rank::Rank;
use crate::{ALL, Entry};
use cluster::scheduler::Scheduler;
use cluster::units::Span;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::sync::Arc;

/// A strategy with its parameters, ready to be built as often as wanted.
///
/// Prints in its canonical form: parameters in the order of the card, those at their default left out.
/// Two policies are equal if that is.
#[derive(Clone)]
pub struct Policy {
    card: &'static Card,
    text: String,
    plan: Plan,
}

impl Policy {
    /// The page of its strategy.
    pub fn card(&self) -> &'static Card {
        self.card
    }

    /// A scheduler that decides by this policy and draws from this seed's stream.
    pub fn build(&self, seed: u64) -> Box<dyn Scheduler> {
        (self.plan.0)(seed)
    }

    /// Every strategy with its defaults, in the order of [`ALL`].
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|it| {
            it.card.name.parse().unwrap_or_else(|error| {
                panic!("{} cannot be built with its own defaults: {error}", it.card.name)
            })
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policy").field(&self.text).finish()
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Policy {}

/// How to build a scheduler from a seed; what a strategy's `plan` returns.
#[derive(Clone)]
pub struct Plan(Arc<dyn Fn(u64) -> Box<dyn Scheduler> + Send + Sync>);

impl Plan {
    /// Builds by `build`, whose argument is the seed. Strategies that are a
    /// [`Rank`] use [`Arguments::per_task`].
    pub fn new(build: impl Fn(u64) -> Box<dyn Scheduler> + Send + Sync + 'static) -> Self {
        Self(Arc::new(build))
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plan")
    }
}

/// Why a text is no policy. Positions are byte offsets into the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is no strategy of that name.
    #[error("column {}: {found:?} is no policy{}", at.start + 1, suggestion(nearest))]
    UnknownPolicy {
        /// Where the name stands.
        at: Range<usize>,
        /// The name.
        found: String,
        /// Names that look like it, the nearest first.
        nearest: Vec<&'static str>,
    },
    /// The strategy has no such parameter.
    #[error(
        "column {}: {found:?} is no parameter of {policy}, which has {}{}",
        at.start + 1,
        listed(known),
        suggestion(nearest)
    )]
    UnknownParameter {
        /// Where the key stands.
        at: Range<usize>,
        /// The strategy.
        policy: &'static str,
        /// The key, or a value without key for a strategy that has no parameters.
        found: String,
        /// The parameters that it has.
        known: Vec<&'static str>,
        /// Those that look like it, the nearest first.
        nearest: Vec<&'static str>,
    },
    /// The parameter does not take this value.
    #[error(
        "column {}: {parameter} of {policy} is {found:?}, which is not {wanted}{}",
        at.start + 1,
        suggestion(nearest)
    )]
    BadValue {
        /// Where the value stands.
        at: Range<usize>,
        /// The strategy.
        policy: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The value.
        found: String,
        /// What it takes.
        wanted: String,
        /// Words that look like it, the nearest first.
        nearest: Vec<&'static str>,
    },
    /// The parameter was given before, or more often than it may be.
    #[error("column {}: {parameter} is given more than {limit}", at.start + 1, limit = times(*limit))]
    TooMany {
        /// Where the first value too many stands.
        at: Range<usize>,
        /// The parameter.
        parameter: &'static str,
        /// How often it may be given.
        limit: usize,
    },
    /// Parentheses do not match.
    #[error("column {}: this parenthesis has no partner", at.start + 1)]
    Unbalanced {
        /// Where the parenthesis stands.
        at: Range<usize>,
    },
    /// A name, key or value is missing.
    #[error("column {}: here {wanted} is missing", at.start + 1)]
    Missing {
        /// Where it should stand.
        at: Range<usize>,
        /// What should stand there.
        wanted: &'static str,
    },
}

impl PolicyError {
    /// The part of the text that is wrong, in bytes; empty if something is missing there.
    pub fn span(&self) -> Range<usize> {
        match self {
            Self::UnknownPolicy { at, .. }
            | Self::UnknownParameter { at, .. }
            | Self::BadValue { at, .. }
            | Self::TooMany { at, .. }
            | Self::Unbalanced { at }
            | Self::Missing { at, .. } => at.clone(),
        }
    }
}

fn suggestion(nearest: &[&str]) -> String {
    match nearest {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        several => format!("; did you mean one of {}?", several.join(", ")),
    }
}

fn listed(known: &[&str]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

fn times(limit: usize) -> String {
    if limit == 1 { "once".to_owned() } else { format!("{limit} times") }
}

/// The words most like `found`, the nearest first; at most three. A slip of one letter is nearer than a part
/// of a word, which is nearer than a word that takes more letters.
pub(crate) fn nearest(found: &str, words: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let found = found.to_lowercase();
    let mut near: Vec<((u8, usize), &'static str)> = words
        .filter_map(|it| match strsim::damerau_levenshtein(&found, &it.to_lowercase()) {
            slip @ 0..=1 => Some(((0, slip), it)),
            part if is_part(&found, &it.to_lowercase()) => Some(((1, part), it)),
            more if more <= 1 + it.len() / 3 => Some(((2, more), it)),
            _ => None,
        })
        .collect();
    near.sort_unstable();
    let closest = near.first().map(|it| it.0);
    near.retain(|it| Some(it.0) == closest);
    near.truncate(3);
    near.into_iter().map(|it| it.1).collect()
}

fn is_part(found: &str, word: &str) -> bool {
    found.len() >= 3 && (word.contains(found) || found.contains(word))
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let (name, rest) = match text.split_once(':') {
            Some((name, _)) => (name, Some(name.len() + 1)),
            None => (text, None),
        };
        let name_at = trimmed(text, 0..name.len());
        let name = &text[name_at.clone()];
        if name.is_empty() {
            return Err(PolicyError::Missing { at: name_at, wanted: "the name of a policy" });
        }
        let Some(Entry { card, plan }) = ALL.iter().find(|it| it.card.name == name) else {
            return Err(PolicyError::UnknownPolicy {
                at: name_at,
                found: name.to_owned(),
                nearest: nearest(name, ALL.iter().map(|it| it.card.name)),
            });
        };
        let mut arguments = Arguments::read(card, text, rest)?;
        let plan = plan(&mut arguments)?;
        Ok(Self { card, text: arguments.canonical(), plan })
    }
}

/// The arguments of a policy, each asked for once by the strategy's `plan`.
#[derive(Debug)]
pub struct Arguments<'t> {
    card: &'static Card,
    text: &'t str,
    given: Vec<Given>,
    /// Canonical text of each parameter asked for so far, `None` where it has its default.
    read: Vec<(&'static str, Option<String>)>,
}

/// One argument: the row of its parameter on the card, and where its value stands.
#[derive(Debug)]
struct Given {
    parameter: usize,
    value: Range<usize>,
}

impl<'t> Arguments<'t> {
    fn read(card: &'static Card, text: &'t str, from: Option<usize>) -> Result<Self, PolicyError> {
        let mut this = Self { card, text, given: Vec::new(), read: Vec::new() };
        let Some(from) = from else { return Ok(this) };
        for part in split(text, from..text.len())? {
            let part = trimmed(text, part);
            if part.is_empty() {
                return Err(PolicyError::Missing { at: part, wanted: "an argument" });
            }
            let given = this.one(part)?;
            this.given.push(given);
        }
        Ok(this)
    }

    fn one(&self, part: Range<usize>) -> Result<Given, PolicyError> {
        let argument = &self.text[part.clone()];
        // An equals sign inside parentheses belongs to the value.
        let keyed = argument
            .find('=')
            .filter(|&equals| argument.find('(').is_none_or(|opening| equals < opening));
        let (parameter, key, value) = match keyed {
            Some(equals) => {
                let key = trimmed(self.text, part.start..part.start + equals);
                let value = trimmed(self.text, part.start + equals + 1..part.end);
                let name = &self.text[key.clone()];
                (self.card.parameters.iter().position(|it| it.name == name), key, value)
            }
            None => (self.card.main_parameter().map(|_| 0), part.clone(), part),
        };
        let Some(parameter) = parameter else {
            let found = &self.text[key.clone()];
            return Err(PolicyError::UnknownParameter {
                at: key,
                policy: self.card.name,
                found: found.to_owned(),
                known: self.card.parameters.iter().map(|it| it.name).collect(),
                nearest: nearest(found, self.card.parameters.iter().map(|it| it.name)),
            });
        };
        if value.is_empty() {
            return Err(PolicyError::Missing { at: value, wanted: "a value" });
        }
        Ok(Given { parameter, value })
    }

    /// One of some words.
    ///
    /// # Errors
    ///
    /// If it is none of them, or given twice.
    ///
    /// # Panics
    ///
    /// If the card does not list the parameter with one of the words as its default.
    pub fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<T, PolicyError> {
        let known = |text: &str| words.iter().find(|it| it.0 == text).map(|it| it.1);
        self.value(name, known, |_, text| text.to_owned()).map_err(|error| match error {
            PolicyError::BadValue { at, policy, parameter, found, wanted, .. } => {
                let nearest = nearest(&found, words.iter().map(|it| it.0));
                PolicyError::BadValue { at, policy, parameter, found, wanted, nearest }
            }
            other => other,
        })
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// If it is not one, not within the range, or given twice.
    ///
    /// # Panics
    ///
    /// If the card does not list the parameter with a default within the range.
    pub fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<u64, PolicyError> {
        let known = |text: &str| text.parse::<u64>().ok().filter(|it| range.contains(it));
        self.value(name, known, |number, _| number.to_string())
    }

    /// A length of time: a number with `us`, `ms`, `s`, `m` or `h`, as `1.5s`.
    ///
    /// # Errors
    ///
    /// If it is not one, not within the range, or given twice.
    ///
    /// # Panics
    ///
    /// If the card does not list the parameter with a default within the range.
    pub fn span(
        &mut self,
        name: &'static str,
        range: RangeInclusive<Span>,
    ) -> Result<Span, PolicyError> {
        let known = |text: &str| read_span(text).filter(|it| range.contains(it));
        self.value(name, known, |span, _| span.to_string())
    }

    /// The error that a value is of no use beside the others; where it stands, if it was given.
    pub(crate) fn refusal(&self, name: &'static str, wanted: &str) -> PolicyError {
        let (row, _) = self.parameter(name);
        let given = self.given.iter().find(|it| it.parameter == row);
        let end = self.text.len();
        let at = given.map_or(end..end, |it| it.value.clone());
        PolicyError::BadValue {
            found: self.text[at.clone()].to_owned(),
            at,
            policy: self.card.name,
            parameter: name,
            wanted: wanted.to_owned(),
            nearest: Vec::new(),
        }
    }

    /// A single value of whatever kind. `canonical` makes equal values of different spelling alike.
    pub(crate) fn value<T>(
        &mut self,
        name: &'static str,
        known: impl Fn(&str) -> Option<T>,
        canonical: impl Fn(&T, &str) -> String,
    ) -> Result<T, PolicyError> {
        let (row, parameter) = self.parameter(name);
        let mut given = self.given.iter().filter(|it| it.parameter == row).map(|it| &it.value);
        let (first, second) = (given.next(), given.next());
        if let Some(at) = second {
            return Err(PolicyError::TooMany { at: at.clone(), parameter: name, limit: 1 });
        }
        let Some(at) = first else {
            let value = known(parameter.default)
                .unwrap_or_else(|| panic!("{}: bad default of {name}", self.card.name));
            self.read.push((name, None));
            return Ok(value);
        };
        let found = &self.text[at.clone()];
        let value = known(found).ok_or_else(|| PolicyError::BadValue {
            at: at.clone(),
            policy: self.card.name,
            parameter: name,
            found: found.to_owned(),
            wanted: parameter.values.replace('|', " or "),
            nearest: Vec::new(),
        })?;
        let text = canonical(&value, found);
        self.read.push((name, (text != parameter.default).then_some(text)));
        Ok(value)
    }

    /// A list of values, in the order in which they are written; at most `limit`. If none is given, the
    /// list on the card, whose default is written the same way.
    ///
    /// # Errors
    ///
    /// If one of them is not known, or there are too many.
    ///
    /// # Panics
    ///
    /// If the card does not list the parameter with a good default.
    pub fn list<T: fmt::Display>(
        &mut self,
        name: &'static str,
        limit: usize,
        known: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, PolicyError> {
        let (row, parameter) = self.parameter(name);
        let default: Vec<T> = split(parameter.default, 0..parameter.default.len())
            .unwrap_or_default()
            .into_iter()
            .map(|it| {
                known(&parameter.default[it])
                    .unwrap_or_else(|| panic!("{}: bad default of {name}", self.card.name))
            })
            .collect();
        let mut values = Vec::new();
        for Given { value: at, .. } in self.given.iter().filter(|it| it.parameter == row) {
            if values.len() == limit {
                return Err(PolicyError::TooMany { at: at.clone(), parameter: name, limit });
            }
            let found = &self.text[at.clone()];
            values.push(known(found).ok_or_else(|| PolicyError::BadValue {
                at: at.clone(),
                policy: self.card.name,
                parameter: name,
                found: found.to_owned(),
                wanted: parameter.values.replace('|', " or "),
                nearest: Vec::new(),
            })?);
        }
        let text = |values: &[T]| values.iter().map(T::to_string).collect::<Vec<_>>().join(",");
        let written = text(&values);
        if values.is_empty() || written == text(&default) {
            self.read.push((name, None));
            return Ok(default);
        }
        self.read.push((name, Some(written)));
        Ok(values)
    }

    /// The plan of a strategy that ranks nodes task by task. Reads `open` if the card lists it.
    ///
    /// # Errors
    ///
    /// If `open` is bad.
    pub fn per_task<R: Rank + Clone + Sync + 'static>(
        &mut self,
        rank: R,
    ) -> Result<Plan, PolicyError> {
        let open = if self.card.parameters.iter().any(|it| it.name == Parameter::OPEN.name) {
            self.word(Parameter::OPEN.name, Open::WORDS)?
        } else {
            Open::Any
        };
        Ok(Plan::new(move |seed| Box::new(PerTask::new(rank.clone(), open, seed))))
    }

    fn parameter(&self, name: &str) -> (usize, &'static Parameter) {
        let parameters = self.card.parameters.iter();
        parameters.enumerate().find(|it| it.1.name == name).unwrap_or_else(|| {
            panic!("{}: parameter {name} does not stand on its card", self.card.name)
        })
    }

    /// The policy as we write it.
    ///
    /// # Panics
    ///
    /// If the card lists a parameter that the strategy did not ask for: it would be ignored.
    fn canonical(&self) -> String {
        let mut text = self.card.name.to_owned();
        let mut separator = ':';
        for (row, parameter) in self.card.parameters.iter().enumerate() {
            let read = self.read.iter().find(|it| it.0 == parameter.name);
            let (_, value) = read.unwrap_or_else(|| {
                panic!("{}: parameter {} is never asked for", self.card.name, parameter.name)
            });
            let Some(value) = value else { continue };
            text.push(separator);
            separator = ',';
            // A bare number says too little.
            if row > 0
                || self.card.main_parameter().is_none()
                || value.starts_with(|it: char| it.is_ascii_digit())
            {
                text.push_str(parameter.name);
                text.push('=');
            }
            text.push_str(value);
        }
        text
    }
}

fn read_span(text: &str) -> Option<Span> {
    // `ms` and `us` before `s`.
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, secs) = units.iter().find_map(|(unit, secs)| {
        let number = text.strip_suffix(unit)?;
        number.ends_with(|it: char| it.is_ascii_digit()).then_some((number, secs))
    })?;
    let number: f64 = number.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0)?;
    Some(Span::from_secs_f64(number * secs))
}

/// The range without blanks at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

/// Splits at commas outside parentheses.
fn split(text: &str, range: Range<usize>) -> Result<Vec<Range<usize>>, PolicyError> {
    let mut parts = Vec::new();
    let mut start = range.start;
    let mut open = Vec::new();
    for (at, letter) in text[range.clone()].char_indices() {
        let at = range.start + at;
        match letter {
            '(' => open.push(at),
            ')' if open.pop().is_none() => {
                return Err(PolicyError::Unbalanced { at: at..at + 1 });
            }
            ',' if open.is_empty() => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    if let Some(&at) = open.first() {
        return Err(PolicyError::Unbalanced { at: at..at + 1 });
    }
    parts.push(start..range.end);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn canonical(text: &str, want: &str) {
        let got = match text.parse::<Policy>() {
            Ok(policy) => policy.to_string(),
            Err(error) => {
                let span = error.span();
                assert!(text.get(span.clone()).is_some(), "{span:?} is not within {text:?}");
                format!("{error} [{}]", &text[span])
            }
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn policies_print_as_we_write_them() {
        for (text, want) in [
            ("best-fit", "best-fit"),
            ("best-fit:cpu", "best-fit:cpu"),
            ("best-fit:norm=l1", "best-fit"),
            ("best-fit:norm=l2,tie=random", "best-fit:l2,tie=random"),
            (" best-fit : tie = random , cpu ", "best-fit:cpu,tie=random"),
            ("power-of-d:d=2", "power-of-d"),
            ("power-of-d:d=02", "power-of-d"),
            ("power-of-d:3", "power-of-d:d=3"),
            ("power-of-d:tie=index,d=3", "power-of-d:d=3,tie=index"),
            ("first-fit:tie=rank", "first-fit:tie=rank"),
            ("worst-fit:open=first", "worst-fit:open=first"),
            ("ecs", "ecs"),
            ("ecs:spread(attribute:ecs.availability-zone),spread(host)", "ecs"),
            (
                "ecs:spread(attribute:zone),binpack(memory)",
                "ecs:spread(attribute:ecs.availability-zone),binpack(memory)",
            ),
            ("ecs:tie=rank, strategy=random", "ecs:random,tie=rank"),
            ("ecs:spread( attribute:a/b.c-d_e )", "ecs:spread(attribute:a/b.c-d_e)"),
        ] {
            canonical(text, want);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, want) in [
            ("", "column 1: here the name of a policy is missing []"),
            (":cpu", "column 1: here the name of a policy is missing []"),
            ("bestfit", "column 1: \"bestfit\" is no policy; did you mean best-fit? [bestfit]"),
            ("BEST-FIT", "column 1: \"BEST-FIT\" is no policy; did you mean best-fit? [BEST-FIT]"),
            (
                "fit",
                "column 1: \"fit\" is no policy; did you mean one of best-fit, next-fit? \
                 [fit]",
            ),
            ("quux", "column 1: \"quux\" is no policy [quux]"),
            ("best-fit:", "column 10: here an argument is missing []"),
            ("best-fit:cpu,", "column 14: here an argument is missing []"),
            ("best-fit:norm=", "column 15: here a value is missing []"),
            (
                "best-fit:cpus",
                "column 10: norm of best-fit is \"cpus\", which is not l1 or l2 or linf or cpu or memory \
                 or disk or gpu; did you mean cpu? [cpus]",
            ),
            (
                "best-fit: tei=rank",
                "column 11: \"tei\" is no parameter of best-fit, which has norm, tie, open; did you \
                 mean tie? [tei]",
            ),
            ("best-fit:cpu,norm=l2", "column 19: norm is given more than once [l2]"),
            ("random:cpu", "column 8: \"cpu\" is no parameter of random, which has open [cpu]"),
            ("power-of-d:d=0", "column 14: d of power-of-d is \"0\", which is not 1 to 1000 [0]"),
            (
                "power-of-d:d=-1",
                "column 14: d of power-of-d is \"-1\", which is not 1 to 1000 [-1]",
            ),
            ("ecs:spread(host", "column 11: this parenthesis has no partner [(]"),
            ("ecs:spread(host))", "column 17: this parenthesis has no partner [)]"),
            (
                "ecs:random,random,random,random,random,random",
                "column 40: strategy is given more than 5 times [random]",
            ),
            (
                "ecs:binpack(disk)",
                "column 5: strategy of ecs is \"binpack(disk)\", which is not up to 5 of \
                 spread(attribute:NAME), spread(instanceId), spread(host), binpack(cpu), \
                 binpack(memory), random [binpack(disk)]",
            ),
        ] {
            canonical(text, want);
        }
    }

    /// Texts that are made of the words of policies, so that many of them are nearly right.
    fn nearly() -> impl Strategy<Value = String> {
        let mut words: Vec<String> =
            [":", ",", "=", "(", ")", " ", "é", "d=7", "attribute:a"].map(str::to_owned).into();
        for entry in ALL {
            words.push(entry.card.name.to_owned());
            words.push(format!("{}:", entry.card.name));
            for parameter in entry.card.parameters {
                words.push(format!("{}=", parameter.name));
                words.extend(parameter.values.split(['|', ',']).map(|it| it.trim().to_owned()));
            }
        }
        prop::collection::vec(prop::sample::select(words), 0..7).prop_map(|it| it.concat())
    }

    /// Well-formed policies of all strategies.
    fn right() -> impl Strategy<Value = String> {
        let entry = prop::sample::select(ALL.to_vec());
        entry.prop_flat_map(|entry| {
            let mut all: Vec<BoxedStrategy<Option<String>>> = Vec::new();
            for parameter in entry.card.parameters {
                let name = parameter.name;
                let values: Vec<String> = match parameter.values {
                    words if words.contains('|') => words.split('|').map(str::to_owned).collect(),
                    _ => vec![parameter.default.to_owned()],
                };
                let value = prop::sample::select(values).prop_map(move |it| match it {
                    list if list.contains('(') => list,
                    it => format!("{name}={it}"),
                });
                all.push(prop::option::of(value).boxed());
            }
            (all, Just(entry.card.name)).prop_map(|(arguments, name)| {
                let arguments: Vec<String> = arguments.into_iter().flatten().collect();
                match arguments.is_empty() {
                    true => name.to_owned(),
                    false => format!("{name}:{}", arguments.join(",")),
                }
            })
        })
    }

    proptest! {
        #[test]
        fn any_text_is_a_policy_or_a_placed_error(text in prop_oneof![nearly(), ".{0,40}"]) {
            match text.parse::<Policy>() {
                Ok(policy) => {
                    let again: Policy = policy.to_string().parse().unwrap();
                    prop_assert_eq!(again.to_string(), policy.to_string());
                }
                Err(error) => prop_assert!(text.get(error.span()).is_some(), "{:?}", error),
            }
        }

        #[test]
        fn what_is_printed_reads_as_the_same(text in right()) {
            let policy: Policy = text.parse().unwrap();
            let again: Policy = policy.to_string().parse().unwrap();
            prop_assert_eq!(&again, &policy);
            prop_assert_eq!(again.to_string(), policy.to_string());
            prop_assert_eq!(again.card().name, policy.card().name);
        }
    }
}
