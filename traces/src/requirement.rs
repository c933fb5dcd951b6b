//! Tests of attributes in one short text, as they stand in cells and options.
//!
//! | text | test |
//! |---|---|
//! | `ssd` | there is one |
//! | `!ssd` | there is none |
//! | `rack=a\|b` | it is one of these |
//! | `rack!=a\|b` | it is none of these, or is not there |
//! | `cores>4`, `cores<4` | it is a whole number above, below |
//! | `type~t2\..*` | all of it matches the pattern |
//! | `type!~t2\..*` | it is there, and does not match the pattern |
//! | `slots>=9.5`, `slots<=9.5` | it is at least, at most that: as numbers if both are, else as texts |
//! | `slots>>9.5`, `slots<<9.5` | the same without being equal |

use cluster::constraint::{Order, Pattern, Requirement, Test};

/// Reads a test; `None` if it is none.
pub fn read(text: &str) -> Option<Requirement> {
    let text = text.trim();
    let made = |attribute: &str, test| {
        let is_name = !attribute.is_empty() && !attribute.starts_with('!');
        is_name.then(|| Requirement { attribute: attribute.to_owned(), test })
    };
    if let Some(name) = text.strip_prefix('!').filter(|it| !it.contains(['=', '<', '>', '~'])) {
        return made(name, Test::Absent);
    }
    let Some(at) = text.find(['=', '<', '>', '~']) else { return made(text, Test::Exists) };
    let (name, operator, value) = (&text[..at], &text[at..=at], &text[at + 1..]);
    let list = || -> Option<Vec<String>> {
        let mut values: Vec<String> = value.split('|').map(str::to_owned).collect();
        values.sort_unstable();
        values.dedup();
        values.iter().all(|it| !it.is_empty()).then_some(values)
    };
    match operator {
        "=" => match name.strip_suffix('!') {
            Some(name) => made(name, Test::NotIn(list()?)),
            None => made(name, Test::In(list()?)),
        },
        ">" | "<" if value.starts_with(['=', '<', '>']) => {
            let order = match (operator, &value[..1]) {
                (">", "=") => Order::GreaterEqual,
                (">", ">") => Order::Greater,
                ("<", "=") => Order::LessEqual,
                ("<", "<") => Order::Less,
                _ => return None,
            };
            let bound = value[1..].to_owned();
            (!bound.is_empty()).then(|| made(name, Test::Ordered(order, bound)))?
        }
        ">" => made(name, Test::Above(value.parse().ok()?)),
        "<" => made(name, Test::Below(value.parse().ok()?)),
        _ => match name.strip_suffix('!') {
            Some(name) => made(name, Test::Misses(Pattern::read(value).ok()?)),
            None => made(name, Test::Matches(Pattern::read(value).ok()?)),
        },
    }
}

/// Writes a test so that [`read`] reads it.
pub fn print(it: &Requirement) -> String {
    let name = &it.attribute;
    match &it.test {
        Test::Exists => name.clone(),
        Test::Absent => format!("!{name}"),
        Test::In(values) => format!("{name}={}", values.join("|")),
        Test::NotIn(values) => format!("{name}!={}", values.join("|")),
        Test::Above(bound) => format!("{name}>{bound}"),
        Test::Below(bound) => format!("{name}<{bound}"),
        Test::Matches(pattern) => format!("{name}~{}", pattern.as_str()),
        Test::Misses(pattern) => format!("{name}!~{}", pattern.as_str()),
        Test::Ordered(order, bound) => {
            let sign = match order {
                Order::Greater => ">>",
                Order::Less => "<<",
                order => order.sign(),
            };
            format!("{name}{sign}{bound}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_read_and_written() {
        let list = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        for (text, attribute, test) in [
            ("ssd", "ssd", Test::Exists),
            ("!ssd", "ssd", Test::Absent),
            ("rack=a|b", "rack", Test::In(list(&["a", "b"]))),
            ("rack!=a", "rack", Test::NotIn(list(&["a"]))),
            ("cores>4", "cores", Test::Above(4)),
            ("cores<-4", "cores", Test::Below(-4)),
            ("type~t2\\.(a|b)", "type", Test::Matches(Pattern::read("t2\\.(a|b)").unwrap())),
            ("type!~t2.*", "type", Test::Misses(Pattern::read("t2.*").unwrap())),
            ("slots>=9.5", "slots", Test::Ordered(Order::GreaterEqual, "9.5".into())),
            ("slots<=b", "slots", Test::Ordered(Order::LessEqual, "b".into())),
            ("slots>>9", "slots", Test::Ordered(Order::Greater, "9".into())),
            ("slots<<=9", "slots", Test::Ordered(Order::Less, "=9".into())),
            ("type~a=b", "type", Test::Matches(Pattern::read("a=b").unwrap())),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read, Requirement { attribute: attribute.into(), test }, "{text}");
            assert_eq!(print(&read), text);
        }
        for text in ["", "!", "=a", "rack=", "rack=a||b", "cores>", "cores>x", "type~(", "!a=b"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
