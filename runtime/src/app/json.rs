//! JSON with places: every object has a list of the fields that ECS knows, and what we do with each.

use super::error::{AppError, LeftOut, Warning};
use crate::hosts::Place;
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

/// What is done with a field. One that says nothing (null, false, empty) passes in any case.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// It is honoured.
    Read,
    /// AWS writes it when it describes something; it asks for nothing.
    Skip,
    /// It is left out with a warning.
    Warn(LeftOut),
    /// To leave it out would change what runs. The text says what to do instead.
    Refuse(&'static str),
}

/// The fields of a kind of object.
pub(super) type Fields = &'static [(&'static str, Rule)];

/// Refuses to be lenient: what AWS would not take, we do not take.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// A text, and the warnings about it.
pub(super) struct Source<'t> {
    pub text: &'t str,
    pub path: &'t str,
    pub warnings: RefCell<Vec<Warning>>,
}

impl<'t> Source<'t> {
    pub fn new(text: &'t str, path: &'t str) -> Self {
        Self { text, path, warnings: RefCell::default() }
    }

    pub fn parse(&self) -> Result<Value<'t>, AppError> {
        let parsed = parse_to_ast(self.text, &CollectOptions::default(), &STRICT);
        let parsed = parsed.map_err(|error| AppError::Syntax {
            place: self.place(error.range().start..error.range().end),
            reason: error.kind().to_string(),
        })?;
        parsed.value.ok_or_else(|| AppError::Empty { path: self.path.to_owned() })
    }

    pub fn place(&self, span: Range<usize>) -> Box<Place> {
        Place::of(self.text, self.path, span)
    }

    pub fn root<'v>(&'v self, value: &'v Value<'v>) -> Field<'v> {
        Field { source: self, path: String::new(), key: span(value), value }
    }
}

fn span(value: &Value<'_>) -> Range<usize> {
    let range = value.range();
    range.start..range.end
}

/// AWS writes out what was not asked for: nulls, empty lists, `false`.
fn says_nothing(value: &Value<'_>) -> bool {
    match value {
        Value::NullKeyword(_) => true,
        Value::BooleanLit(it) => !it.value,
        Value::StringLit(it) => it.value.is_empty(),
        Value::Array(it) => it.elements.is_empty(),
        Value::Object(it) => it.properties.iter().all(|it| says_nothing(&it.value)),
        Value::NumberLit(_) => false,
    }
}

/// The name that looks most like `name`, if one does.
pub(super) fn nearest<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    let most = if name.chars().count() < 5 { 1 } else { 3 };
    let near = known.into_iter().map(|it| (strsim::osa_distance(it.as_ref(), name), it));
    near.filter(|it| it.0 <= most).min_by_key(|it| it.0).map(|it| it.1)
}

/// A value and the way to it.
#[derive(Clone)]
pub(super) struct Field<'v> {
    pub source: &'v Source<'v>,
    pub path: String,
    /// Of its name; of the value where it has none.
    key: Range<usize>,
    pub value: &'v Value<'v>,
}

impl<'v> Field<'v> {
    pub fn place(&self) -> Box<Place> {
        self.source.place(span(self.value))
    }

    /// The place of a word of its text, which begins at that character, counted from 1; of the whole text where
    /// it is not written as it is read.
    pub fn place_in_text(&self, column: usize) -> Box<Place> {
        let whole = span(self.value);
        let inner = whole.start + 1..whole.end - 1;
        let written = &self.source.text[inner.clone()];
        if written.contains('\\') {
            return self.place();
        }
        let rest = written.char_indices().nth(column - 1).map_or("", |it| &written[it.0..]);
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let start = inner.end - rest.len();
        self.source.place(start..start + word.max(1))
    }

    pub fn wrong(&self, wanted: impl Into<String>) -> AppError {
        let found = match self.value {
            Value::StringLit(it) => format!("{:?}", it.value),
            Value::NumberLit(it) => it.value.to_owned(),
            Value::BooleanLit(it) => it.value.to_string(),
            Value::Object(_) => "an object".to_owned(),
            Value::Array(it) if it.elements.is_empty() => "an empty list".to_owned(),
            Value::Array(it) => format!("a list of {}", it.elements.len()),
            Value::NullKeyword(_) => "null".to_owned(),
        };
        let field = self.path.clone();
        AppError::Value { place: self.place(), field, found, wanted: wanted.into() }
    }

    pub fn unsupported(&self, remedy: &'static str) -> AppError {
        let place = self.source.place(self.key.clone());
        AppError::Unsupported { place, field: self.path.clone(), remedy }
    }

    pub fn unknown_name(&self, what: &'static str, name: &str, known: Vec<String>) -> AppError {
        AppError::UnknownName {
            place: self.place(),
            field: self.path.clone(),
            what,
            name: name.to_owned(),
            nearest: nearest(name, known),
        }
    }

    pub fn twice(&self, name: &str, first: usize) -> AppError {
        let (field, name) = (self.path.clone(), name.to_owned());
        AppError::Twice { place: self.place(), field, name, first }
    }

    pub fn warn(&self, what: LeftOut) {
        let place = self.source.place(self.key.clone());
        self.source.warnings.borrow_mut().push(Warning { place, field: self.path.clone(), what });
    }

    /// A text with something in it.
    pub fn text(&self) -> Result<&'v str, AppError> {
        match self.value {
            Value::StringLit(it) if !it.value.is_empty() => Ok(&it.value),
            _ => Err(self.wrong("a text in quotes")),
        }
    }

    /// A text, perhaps an empty one.
    pub fn any_text(&self) -> Result<&'v str, AppError> {
        match self.value {
            Value::StringLit(it) => Ok(&it.value),
            _ => Err(self.wrong("a text in quotes")),
        }
    }

    /// A text or a number, as it is written.
    pub fn written(&self) -> Option<&'v str> {
        match self.value {
            Value::StringLit(it) => Some(&it.value),
            Value::NumberLit(it) => Some(it.value),
            _ => None,
        }
    }

    /// One of the words; a position in the list.
    pub fn word(&self, words: &[&str]) -> Result<usize, AppError> {
        let found = self.value.as_string_lit();
        found
            .and_then(|found| words.iter().position(|it| *it == found.value))
            .ok_or_else(|| self.wrong(format!("one of {}", words.join(", "))))
    }

    pub fn flag(&self) -> Result<bool, AppError> {
        let flag = self.value.as_boolean_lit().map(|it| it.value);
        flag.ok_or_else(|| self.wrong("true or false"))
    }

    pub fn whole(&self, range: RangeInclusive<u32>) -> Result<u32, AppError> {
        let number = self.value.as_number_lit().and_then(|it| it.value.parse().ok());
        number.filter(|it| range.contains(it)).ok_or_else(|| {
            self.wrong(format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    pub fn list(&self) -> Result<Vec<Field<'v>>, AppError> {
        let Value::Array(list) = self.value else {
            return Err(self.wrong("a list in square brackets"));
        };
        let fields = list.elements.iter().enumerate().map(|(index, value)| Field {
            source: self.source,
            path: format!("{}[{index}]", self.path),
            key: span(value),
            value,
        });
        Ok(fields.collect())
    }

    pub fn texts(&self) -> Result<Vec<String>, AppError> {
        self.list()?.iter().map(|it| it.any_text().map(str::to_owned)).collect()
    }

    /// Its members, whatever their names are.
    pub fn members(&self) -> Result<Vec<(&'v str, Field<'v>)>, AppError> {
        let object = self.raw_object()?;
        let mut members: Vec<(&str, Field)> = Vec::new();
        for prop in &object.properties {
            let name = prop.name.as_str();
            let key = prop.name.range();
            let path = match &*self.path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            let field =
                Field { source: self.source, path, key: key.start..key.end, value: &prop.value };
            if let Some(first) = members.iter().find(|it| it.0 == name) {
                let place = self.source.place(field.key.clone());
                let first = self.source.place(first.1.key.clone()).line;
                let name = name.to_owned();
                return Err(AppError::Twice { place, field: field.path, name, first });
            }
            members.push((name, field));
        }
        Ok(members)
    }

    fn raw_object(&self) -> Result<&'v Object<'v>, AppError> {
        self.value.as_object().ok_or_else(|| self.wrong("an object in curly braces"))
    }

    /// Its members, judged by the rules for them.
    pub fn object(&self, fields: Fields) -> Result<Members<'v>, AppError> {
        let mut read = Vec::new();
        for (name, field) in self.members()? {
            let Some(known) = fields.iter().find(|it| it.0 == name) else {
                let known: Vec<&'static str> = fields.iter().map(|it| it.0).collect();
                return Err(AppError::UnknownField {
                    place: self.source.place(field.key.clone()),
                    field: field.path,
                    nearest: nearest(name, known.iter().copied()),
                    known,
                });
            };
            match known.1 {
                Rule::Read if !matches!(field.value, Value::NullKeyword(_)) => {
                    read.push((name, field));
                }
                Rule::Read | Rule::Skip => {}
                _ if says_nothing(field.value) => {}
                Rule::Warn(what) => field.warn(what),
                Rule::Refuse(remedy) => return Err(field.unsupported(remedy)),
            }
        }
        Ok(Members { whole: self.clone(), read })
    }
}

/// The members of an object that are honoured.
pub(super) struct Members<'v> {
    pub whole: Field<'v>,
    read: Vec<(&'v str, Field<'v>)>,
}

impl<'v> Members<'v> {
    pub fn get(&self, name: &str) -> Option<&Field<'v>> {
        self.read.iter().find(|it| it.0 == name).map(|it| &it.1)
    }

    pub fn need(&self, name: &str) -> Result<&Field<'v>, AppError> {
        self.get(name).ok_or_else(|| AppError::Missing {
            place: self.whole.place(),
            field: match &*self.whole.path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            },
        })
    }

    pub fn list(&self, name: &str) -> Result<Vec<Field<'v>>, AppError> {
        self.get(name).map_or_else(|| Ok(Vec::new()), Field::list)
    }

    /// An empty list counts as none: AWS writes it where nothing was said.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, AppError> {
        let texts = self.get(name).map(Field::texts).transpose()?;
        Ok(texts.filter(|it| !it.is_empty()))
    }

    /// An empty text counts as none.
    pub fn text(&self, name: &str) -> Result<Option<String>, AppError> {
        let text = self.get(name).map(Field::any_text).transpose()?;
        Ok(text.filter(|it| !it.is_empty()).map(str::to_owned))
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool, AppError> {
        self.get(name).map_or(Ok(default), Field::flag)
    }

    pub fn whole(&self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, AppError> {
        self.get(name).map(|it| it.whole(range)).transpose()
    }
}
