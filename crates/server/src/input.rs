//! What is read from bodies and queries, with the texts for what is wrong there.

use serde_json::Value;
use sessile_core::JsonObject;

use crate::answer::Failure;

/// The JSON object of a body.
#[derive(Debug, Default)]
pub(crate) struct Body(JsonObject);

impl Body {
    /// Reads a body, which must be a JSON object.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            _ => Err(Failure::bad_input("Invalid Json Input")),
        }
    }

    /// Whether the field is there, whatever it is.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether the field is there, and null.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(Value::is_null)
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.optional_text(name)?.ok_or_else(|| invalid(name))
    }

    /// A text that may be left out, but not be null.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, Failure> {
        self.field(name, Value::as_str)
    }

    /// A boolean that must be there.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Failure> {
        self.optional_boolean(name)?.ok_or_else(|| invalid(name))
    }

    /// A boolean that may be left out. SuperTokens' core reads every number as false.
    pub(crate) fn optional_boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.field(name, |value| match value {
            Value::Bool(value) => Some(*value),
            Value::Number(_) => Some(false),
            _ => None,
        })
    }

    /// A whole number that must be there.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, Failure> {
        self.optional_integer(name)?.ok_or_else(|| invalid(name))
    }

    /// A whole number that may be left out.
    pub(crate) fn optional_integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.field(name, integer)
    }

    /// An object that must be there.
    pub(crate) fn object(&self, name: &str) -> Result<JsonObject, Failure> {
        self.optional_object(name)?.ok_or_else(|| invalid(name))
    }

    /// An object that may be left out.
    pub(crate) fn optional_object(&self, name: &str) -> Result<Option<JsonObject>, Failure> {
        Ok(self.field(name, Value::as_object)?.cloned())
    }

    /// A list of texts that may be left out.
    pub(crate) fn optional_texts(&self, name: &str) -> Result<Option<Vec<&str>>, Failure> {
        self.field(name, |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    fn field<'a, T>(
        &'a self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| invalid(name)),
        }
    }
}

/// A whole number, also where it is written with a fraction of zero.
#[expect(clippy::cast_possible_truncation, reason = "a whole number in the range of i64")]
pub(crate) fn integer(value: &Value) -> Option<i64> {
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() < 9e18;
    value.as_i64().or_else(|| value.as_f64().filter(whole).map(|number| number as i64))
}

fn invalid(name: &str) -> Failure {
    Failure::BadInput(format!("Field name '{name}' is invalid in JSON input"))
}

/// The parameters of a query; of one that is there twice, the first counts.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query, without its question mark.
    pub(crate) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter that may be left out.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.optional(name).ok_or_else(|| {
            Failure::BadInput(format!("Field name '{name}' is missing in GET request"))
        })
    }

    /// A parameter that is true where nothing is said, and else only where it says so.
    pub(crate) fn true_by_default(&self, name: &str) -> bool {
        self.optional(name).is_none_or(|value| value.eq_ignore_ascii_case("true"))
    }
}
