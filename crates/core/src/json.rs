use serde::Serialize;
use serde_json::Value;

use crate::error::GeneralError;

/// A JSON object: what a payload and session data are. Nulls and 64-bit integers are kept as they
/// are.
pub type JsonObject = serde_json::Map<String, Value>;

/// Turns any serialisable value into the JSON object that a session keeps.
///
/// # Errors
/// [`GeneralError::NotAnObject`] when it serialises to something else, a list or a number for
/// instance; [`GeneralError::Serialise`] when it cannot be serialised at all.
///
/// ```
/// #[derive(serde::Serialize)]
/// struct Cart { items: Vec<u32> }
///
/// let object = sessile_core::to_json_object(&Cart { items: vec![1, 2] })?;
/// assert_eq!(object["items"], serde_json::json!([1, 2]));
/// assert!(sessile_core::to_json_object(&[1, 2]).is_err());
/// # Ok::<_, sessile_core::GeneralError>(())
/// ```
pub fn to_json_object<T: Serialize + ?Sized>(value: &T) -> Result<JsonObject, GeneralError> {
    match serde_json::to_value(value).map_err(GeneralError::Serialise)? {
        Value::Object(object) => Ok(object),
        other => Err(GeneralError::NotAnObject { found: kind_of(&other) }),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// How deep a reader of JSON follows objects and lists in each other, the outermost included.
const MAXIMUM_DEPTH: usize = 127;

/// The text that a store keeps for session data.
pub(crate) fn data_to_text(data: &JsonObject) -> Result<String, GeneralError> {
    object_to_text(data, MAXIMUM_DEPTH)
}

/// The text that a store keeps for a payload.
pub(crate) fn payload_to_text(payload: &JsonObject) -> Result<String, GeneralError> {
    // V2 tokens and front tokens put it into one object more.
    object_to_text(payload, MAXIMUM_DEPTH - 1)
}

fn object_to_text(object: &JsonObject, depth: usize) -> Result<String, GeneralError> {
    // Deeper text could be written, and then never be read again.
    if object.values().all(|value| is_at_most(depth - 1, value)) {
        serde_json::to_string(object).map_err(GeneralError::Serialise)
    } else {
        let problem = format!("it is nested more than {depth} levels deep");
        Err(GeneralError::Serialise(serde::ser::Error::custom(problem)))
    }
}

/// Whether `value` has no more than `depth` objects and lists in each other.
fn is_at_most(depth: usize, value: &Value) -> bool {
    match value {
        Value::Object(object) => {
            depth > 0 && object.values().all(|value| is_at_most(depth - 1, value))
        }
        Value::Array(list) => depth > 0 && list.iter().all(|value| is_at_most(depth - 1, value)),
        _ => true,
    }
}

/// Reads back what was written for a store, or another program wrote.
pub(crate) fn object_from_text(text: &str) -> Result<JsonObject, GeneralError> {
    serde_json::from_str(text).map_err(|source| GeneralError::CorruptRow {
        what: "its payload or data is not a JSON object",
        source: Some(Box::new(source)),
    })
}
