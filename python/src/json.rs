//! Python's dicts as the JSON objects that a session keeps, and back.

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};
use serde_json::{Number, Value};
use sessile::JsonObject;

/// As deep as the engine reads what it kept.
const MAXIMUM_DEPTH: usize = 127;

/// Why a value is no JSON, and where it stands.
struct Problem {
    is_type: bool,
    text: String,
    /// From the inside out.
    path: Vec<String>,
}

impl Problem {
    fn wrong_type(text: String) -> Self {
        Self { is_type: true, text, path: Vec::new() }
    }

    fn wrong_value(text: &str) -> Self {
        Self { is_type: false, text: text.to_owned(), path: Vec::new() }
    }

    fn inside(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }

    fn into_error(self, name: &str) -> PyErr {
        let path: String = self.path.into_iter().rev().collect();
        let text = format!("{name}{path} {}", self.text);
        if self.is_type { PyTypeError::new_err(text) } else { PyValueError::new_err(text) }
    }
}

fn type_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "an unknown type".to_owned(), |name| name.to_string())
}

/// The JSON object that the dict is. `name` is what the error calls it.
///
/// # Errors
/// A `TypeError` or `ValueError` that says which part of it JSON does not have.
pub(crate) fn object_from_python(name: &str, value: &Bound<'_, PyAny>) -> PyResult<JsonObject> {
    let result = match value.cast::<PyDict>() {
        Ok(dict) => object(dict, MAXIMUM_DEPTH),
        Err(_) => Err(Problem::wrong_type(format!("must be a dict, not {}", type_of(value)))),
    };
    result.map_err(|problem| problem.into_error(name))
}

fn object(dict: &Bound<'_, PyDict>, depth: usize) -> Result<JsonObject, Problem> {
    let depth = one_less(depth)?;
    let mut object = JsonObject::new();
    for (key, value) in dict.iter() {
        let key = match key.cast::<PyString>() {
            Ok(key) => text(key)?,
            Err(_) => {
                let problem = format!("must have keys of type str, not {}", type_of(&key));
                return Err(Problem::wrong_type(problem));
            }
        };
        let value = json(&value, depth).map_err(|problem| problem.inside(format!("[{key:?}]")))?;
        object.insert(key, value);
    }
    Ok(object)
}

fn one_less(depth: usize) -> Result<usize, Problem> {
    depth.checked_sub(1).ok_or_else(|| {
        Problem::wrong_value(&format!("is nested more than {MAXIMUM_DEPTH} levels deep"))
    })
}

fn text(value: &Bound<'_, PyString>) -> Result<String, Problem> {
    match value.to_cow() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Problem::wrong_value("has half of a surrogate pair, which is no text")),
    }
}

fn json(value: &Bound<'_, PyAny>, depth: usize) -> Result<Value, Problem> {
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(value) = value.cast::<PyBool>() {
        Ok(Value::Bool(value.is_true()))
    } else if let Ok(value) = value.cast::<PyString>() {
        text(value).map(Value::String)
    } else if let Ok(value) = value.cast::<PyInt>() {
        let number = value.extract::<i64>().map(Number::from);
        let number = number.or_else(|_| value.extract::<u64>().map(Number::from));
        number.map(Value::Number).map_err(|_| {
            Problem::wrong_value("is an integer of more than 64 bits: keep it as a str")
        })
    } else if let Ok(value) = value.cast::<PyFloat>() {
        Number::from_f64(value.value())
            .map(Value::Number)
            .ok_or_else(|| Problem::wrong_value("is not a finite number, which JSON does not have"))
    } else if let Ok(value) = value.cast::<PyDict>() {
        object(value, depth).map(Value::Object)
    } else if let Ok(value) = value.cast::<PyList>() {
        list(value.iter(), depth)
    } else if let Ok(value) = value.cast::<PyTuple>() {
        list(value.iter(), depth)
    } else {
        Err(Problem::wrong_type(format!("is of type {}, which JSON does not have", type_of(value))))
    }
}

fn list<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
) -> Result<Value, Problem> {
    let depth = one_less(depth)?;
    let items = items.enumerate().map(|(index, item)| {
        json(&item, depth).map_err(|problem| problem.inside(format!("[{index}]")))
    });
    items.collect::<Result<_, _>>().map(Value::Array)
}

/// A new dict with what the object has.
pub(crate) fn object_to_python<'py>(
    py: Python<'py>,
    object: &JsonObject,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in object {
        dict.set_item(key, json_to_python(py, value)?)?;
    }
    Ok(dict)
}

/// A new Python value of the same content.
pub(crate) fn json_to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number)) => number.into_pyobject(py)?.into_any(),
            (None, None) => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(json_to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(object) => object_to_python(py, object)?.into_any(),
    })
}
