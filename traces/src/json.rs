//! JSON with places: a text is parsed into a tree that knows where everything stands, and typed values are read from
//! that tree, so that what is wrong with one of them has a line, a column and a path.

use crate::error::{self, Place, TraceError};
use cluster::names::Names;
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Unexpected, Visitor};
use std::fmt::{self, Display};
use std::ops::Range;

/// What JSON itself does not allow, we do not take.
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

/// A text and what it says.
pub(crate) struct Document<'t> {
    path: &'t str,
    text: &'t str,
    root: Value<'t>,
}

impl<'t> Document<'t> {
    /// Parses a text of the file at `path`. A name that stands twice in an object is refused.
    pub(crate) fn parse(path: &'t str, text: &'t str) -> Result<Self, TraceError> {
        let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT);
        let parsed = parsed.map_err(|error| TraceError::Json {
            place: place(path, text, error.range().start..error.range().end),
            reason: error.kind().to_string().to_lowercase(),
        })?;
        let empty = || TraceError::Empty { path: path.to_owned(), wanted: "a JSON object" };
        let document = Self { path, text, root: parsed.value.ok_or_else(empty)? };
        document.check_repeats(&document.root)?;
        Ok(document)
    }

    fn check_repeats(&self, value: &Value<'_>) -> Result<(), TraceError> {
        match value {
            Value::Object(object) => {
                let mut names: Vec<(&str, Range<usize>)> = Vec::new();
                for property in &object.properties {
                    names.push((property.name.as_str(), span(&property.name)));
                    self.check_repeats(&property.value)?;
                }
                names.sort_by(|a, b| a.0.cmp(b.0).then(a.1.start.cmp(&b.1.start)));
                match names.windows(2).find(|it| it[0].0 == it[1].0) {
                    Some(pair) => Err(TraceError::Repeated {
                        place: place(self.path, self.text, pair[1].1.clone()),
                        what: "field",
                        name: pair[1].0.to_owned(),
                    }),
                    None => Ok(()),
                }
            }
            Value::Array(list) => list.elements.iter().try_for_each(|it| self.check_repeats(it)),
            _ => Ok(()),
        }
    }

    /// The document as a typed value.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, TraceError> {
        T::deserialize(Reader(&self.root)).map_err(|it| it.place(self))
    }

    /// The document as a whole, for what is found out later.
    pub(crate) fn root(&self) -> At<'_> {
        let key = span(&self.root);
        At { document: self, field: String::new(), key, value: Some(&self.root) }
    }
}

fn span(it: &impl Ranged) -> Range<usize> {
    let range = it.range();
    range.start..range.end
}

/// The place of a part of a text.
fn place(path: &str, text: &str, part: Range<usize>) -> Box<Place> {
    let start = text.floor_char_boundary(part.start);
    let line_start = text[..start].rfind('\n').map_or(0, |it| it + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |it| start + it);
    let line = text[line_start..line_end].trim_end_matches('\r');
    Box::new(Place {
        path: path.to_owned(),
        line: text[..start].matches('\n').count() as u64 + 1,
        column: start - line_start + 1,
        length: part.end.min(line_start + line.len()).saturating_sub(start),
        text: line.to_owned(),
    })
}

/// A value and the way to it.
#[derive(Clone)]
pub(crate) struct At<'d> {
    document: &'d Document<'d>,
    field: String,
    /// Of its name; of the value where it has none.
    key: Range<usize>,
    /// None where the text says nothing.
    value: Option<&'d Value<'d>>,
}

impl<'d> At<'d> {
    /// A field of an object. One that is not there stands where the object stands.
    pub(crate) fn key(&self, name: &str) -> Self {
        let field = join(&self.field, name);
        let properties = self.value.and_then(Value::as_object).map(|it| &it.properties);
        match properties.and_then(|all| all.iter().find(|it| it.name.as_str() == name)) {
            Some(it) => Self { field, key: span(&it.name), value: Some(&it.value), ..self.clone() },
            None => Self { field, value: None, ..self.clone() },
        }
    }

    /// An element of a list; a single value that may stand for a list is its own first element.
    pub(crate) fn element(&self, index: usize) -> Self {
        match self.value {
            Some(Value::Array(list)) => {
                let value = list.elements.get(index);
                let key = value.map_or_else(|| self.key.clone(), span);
                Self { field: format!("{}[{index}]", self.field), key, value, ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    /// The way to it, such as `nodes[2].taints`.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// Where its value stands.
    pub(crate) fn place(&self) -> Box<Place> {
        // An object is shown by its first brace, not by all that is left of its line.
        let part = match self.value {
            Some(Value::Object(it)) => it.range.start..it.range.start + 1,
            Some(value) => span(value),
            None => self.key.start..self.key.start + 1,
        };
        place(self.document.path, self.document.text, part)
    }

    /// The error for a value that is not what it should be.
    pub(crate) fn wrong(&self, wanted: &'static str) -> TraceError {
        let found = self.value.map_or_else(|| "not there".to_owned(), written);
        TraceError::Value {
            place: self.place(),
            field: self.field.clone(),
            reason: format!("is {found}"),
            wanted: wanted.to_owned(),
        }
    }

    /// The error for a value that does not go with others.
    pub(crate) fn conflict(&self, reason: impl Into<String>, wanted: &str) -> TraceError {
        let (field, reason) = (self.field.clone(), reason.into());
        TraceError::Value { place: self.place(), field, reason, wanted: wanted.to_owned() }
    }

    /// The error for a name that is there already.
    pub(crate) fn repeated(&self, what: &'static str, name: &str) -> TraceError {
        TraceError::Repeated { place: self.place(), what, name: name.to_owned() }
    }

    /// The error for a name that nothing has.
    pub(crate) fn unknown(&self, what: &'static str, name: &str, known: &Names) -> TraceError {
        TraceError::UnknownName {
            place: self.place(),
            field: self.field.as_str().into(),
            what,
            found: name.to_owned(),
            nearest: error::nearest(name, known.iter()),
            known: known.iter().take(20).map(str::to_owned).collect(),
        }
    }
}

fn join(field: &str, name: &str) -> String {
    let is_plain = |it: char| it.is_alphanumeric() || "_-$/".contains(it);
    match (field, !name.is_empty() && name.chars().all(is_plain)) {
        ("", _) => name.to_owned(),
        (_, true) => format!("{field}.{name}"),
        (_, false) => format!("{field}[{name:?}]"),
    }
}

/// A value in words.
fn written(value: &Value<'_>) -> String {
    match value {
        Value::StringLit(it) => format!("{:?}", it.value),
        Value::NumberLit(it) => it.value.to_owned(),
        Value::BooleanLit(it) => it.value.to_string(),
        Value::NullKeyword(_) => "null".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Array(it) if it.elements.is_empty() => "an empty list".to_owned(),
        Value::Array(it) => format!("a list of {}", it.elements.len()),
    }
}

/// What is wrong with a value, and where once it is known.
#[derive(Debug)]
pub(crate) struct ReadError {
    kind: Kind,
    field: String,
    at: Option<Range<usize>>,
}

#[derive(Debug)]
enum Kind {
    Field { reason: String, wanted: String },
    Unknown { what: &'static str, found: String, known: &'static [&'static str] },
    Missing(&'static str),
}

impl ReadError {
    fn new(kind: Kind) -> Self {
        Self { kind, field: String::new(), at: None }
    }

    fn wanting(mut self, visitor: &dyn de::Expected) -> Self {
        if let Kind::Field { wanted, .. } = &mut self.kind {
            *wanted = visitor.to_string();
        }
        self
    }

    /// Says where, if that is not known better.
    fn at(mut self, value: &Value<'_>) -> Self {
        self.at.get_or_insert_with(|| match value {
            Value::Object(it) => it.range.start..it.range.start + 1,
            value => span(value),
        });
        self
    }

    fn under(mut self, step: &str) -> Self {
        let rest = std::mem::take(&mut self.field);
        let glue = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
        self.field = format!("{step}{glue}{rest}");
        self
    }

    fn place(self, document: &Document<'_>) -> TraceError {
        let place = place(document.path, document.text, self.at.unwrap_or(0..0));
        let field = self.field;
        match self.kind {
            Kind::Field { reason, wanted } => TraceError::Value { place, field, reason, wanted },
            Kind::Missing(wanted) => TraceError::MissingField { place, field, wanted },
            Kind::Unknown { what, found, known } => TraceError::UnknownName {
                place,
                field: field.into(),
                what,
                nearest: error::nearest(&found, known.iter().copied()),
                found,
                known: known.iter().map(|it| (*it).to_owned()).collect(),
            },
        }
    }
}

impl Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: Display>(text: T) -> Self {
        let text = text.to_string();
        let (reason, wanted) = text.split_once("; ").unwrap_or((&text, ""));
        Self::new(Kind::Field { reason: reason.to_owned(), wanted: wanted.to_owned() })
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Bool(it) => it.to_string(),
            Unexpected::Unsigned(it) => it.to_string(),
            Unexpected::Signed(it) => it.to_string(),
            Unexpected::Float(it) => it.to_string(),
            Unexpected::Str(it) => format!("{it:?}"),
            Unexpected::Unit | Unexpected::Option => "null".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            other => other.to_string(),
        };
        let wanted = match wanted.to_string() {
            it if it == "a string" => "a text in quotes".to_owned(),
            it if it == "a sequence" => "a list in square brackets".to_owned(),
            it if it == "a map" || it.starts_with("struct ") => "an object in braces".to_owned(),
            it if it == "a boolean" => "true or false".to_owned(),
            it if it == "i64" => "a whole number".to_owned(),
            it if it == "i32" => "a whole number from -2147483648 to 2147483647".to_owned(),
            it if it == "u16" => "a whole number from 0 to 65535".to_owned(),
            it if it == "u32" => "a whole number from 0 to 4294967295".to_owned(),
            it if it == "u64" => "a whole number of at least 0".to_owned(),
            it => it,
        };
        Self::new(Kind::Field { reason: format!("is {found}"), wanted })
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::Unknown { what: "field", found: found.to_owned(), known })
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::Unknown { what: "word", found: found.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::Missing(field))
    }
}

/// Reads typed values from a tree.
#[derive(Clone, Copy)]
struct Reader<'v>(&'v Value<'v>);

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let read = match self.0 {
            Value::StringLit(it) => visitor.visit_str(&it.value),
            Value::BooleanLit(it) => visitor.visit_bool(it.value),
            Value::NullKeyword(_) => visitor.visit_unit(),
            Value::NumberLit(it) => match (it.value.parse(), it.value.parse(), it.value.parse()) {
                (Ok(number), _, _) => visitor.visit_u64(number),
                (_, Ok(number), _) => visitor.visit_i64(number),
                (_, _, Ok(number)) => visitor.visit_f64(number),
                _ => Err(de::Error::custom("is no number; a number")),
            },
            Value::Array(it) => visitor.visit_seq(Elements { list: &it.elements, next: 0 }),
            Value::Object(it) => visitor.visit_map(Members { object: it, next: 0 }),
        };
        read.map_err(|it| it.at(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::NullKeyword(_) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.0 {
            // A number as it is written, for those who want it exactly.
            Value::NumberLit(it) => {
                visitor.visit_str(it.value).map_err(|error: ReadError| error.at(self.0))
            }
            other => {
                let found = format!("is {}", written(other));
                let error: ReadError = de::Error::custom(found);
                Err(error.wanting(&visitor).at(self.0))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        // Serde would take a list for an object, field by field.
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            other => {
                let text = format!("is {}; an object in braces", written(other));
                Err(<ReadError as de::Error>::custom(text).at(self.0))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let read = match self.0 {
            Value::StringLit(it) => {
                visitor.visit_enum(de::value::StrDeserializer::<ReadError>::new(&it.value))
            }
            _ => Err(de::Error::custom(format!("is {}; a word in quotes", written(self.0)))),
        };
        read.map_err(|it| it.at(self.0))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'v> {
    list: &'v [Value<'v>],
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(value) = self.list.get(self.next) else { return Ok(None) };
        self.next += 1;
        let read = seed.deserialize(Reader(value));
        read.map(Some).map_err(|it| it.under(&format!("[{}]", self.next - 1)))
    }
}

struct Members<'v> {
    object: &'v Object<'v>,
    next: usize,
}

impl<'de> de::MapAccess<'de> for Members<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some(property) = self.object.properties.get(self.next) else { return Ok(None) };
        let name = de::value::StrDeserializer::<ReadError>::new(property.name.as_str());
        seed.deserialize(name).map(Some).map_err(|mut it| {
            it.at.get_or_insert_with(|| span(&property.name));
            it
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let property = &self.object.properties[self.next];
        self.next += 1;
        seed.deserialize(Reader(&property.value)).map_err(|it| it.under(property.name.as_str()))
    }
}
