//! One primitive value on its way between a store, an expression and a payload.
//!
//! What must hold: a value is never rounded. Whole numbers stay whole, and a type that neither `i64` nor `f64` represents
//! exactly (decimals, dates, ids) travels as its OData lexical form next to its type.

use crate::PrimitiveType;

/// A borrowed primitive value, as a store hands it to a payload writer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// `null`
    Null,
    /// `Edm.Boolean`
    Boolean(bool),
    /// Any of the whole-number types.
    Integer(i64),
    /// `Edm.Double` and `Edm.Single`; may be infinite or not a number.
    Double(f64),
    /// `Edm.String`
    String(&'a str),
    /// `Edm.Binary`
    Binary(&'a [u8]),
    /// A value of the named type in its OData lexical form (ABNF `primitiveValue`), already valid: `Edm.Decimal`,
    /// `Edm.Guid`, `Edm.Date`, `Edm.TimeOfDay`, `Edm.DateTimeOffset` or `Edm.Duration`.
    Lexical(PrimitiveType, &'a str),
}

/// An owned primitive value: a literal of a URL, a property of a request body or part of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `Edm.Boolean`
    Boolean(bool),
    /// Any of the whole-number types.
    Integer(i64),
    /// `Edm.Double` and `Edm.Single`; may be infinite or not a number.
    Double(f64),
    /// `Edm.String`
    String(String),
    /// `Edm.Binary`
    Binary(Vec<u8>),
    /// See [`ValueRef::Lexical`].
    Lexical(PrimitiveType, String),
}

impl Value {
    /// Borrows the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Null => ValueRef::Null,
            Value::Boolean(v) => ValueRef::Boolean(*v),
            Value::Integer(v) => ValueRef::Integer(*v),
            Value::Double(v) => ValueRef::Double(*v),
            Value::String(v) => ValueRef::String(v),
            Value::Binary(v) => ValueRef::Binary(v),
            Value::Lexical(t, v) => ValueRef::Lexical(*t, v),
        }
    }
}

impl ValueRef<'_> {
    /// Copies the value.
    pub fn to_owned(&self) -> Value {
        match *self {
            ValueRef::Null => Value::Null,
            ValueRef::Boolean(v) => Value::Boolean(v),
            ValueRef::Integer(v) => Value::Integer(v),
            ValueRef::Double(v) => Value::Double(v),
            ValueRef::String(v) => Value::String(v.to_owned()),
            ValueRef::Binary(v) => Value::Binary(v.to_vec()),
            ValueRef::Lexical(t, v) => Value::Lexical(t, v.to_owned()),
        }
    }

    /// The type that the value itself has, whatever the property declares; `None` for `null`.
    pub fn natural_type(&self) -> Option<PrimitiveType> {
        Some(match self {
            ValueRef::Null => return None,
            ValueRef::Boolean(_) => PrimitiveType::Boolean,
            ValueRef::Integer(_) => PrimitiveType::Int64,
            ValueRef::Double(_) => PrimitiveType::Double,
            ValueRef::String(_) => PrimitiveType::String,
            ValueRef::Binary(_) => PrimitiveType::Binary,
            ValueRef::Lexical(t, _) => *t,
        })
    }

    /// Whether a payload may carry the value under a property of the declared type without naming the value's own type.
    pub fn fits(&self, declared: PrimitiveType) -> bool {
        use PrimitiveType as T;
        match (self, declared) {
            (ValueRef::Null, _) => true,
            (_, T::Any) => false,
            (ValueRef::Integer(v), T::Byte) => u8::try_from(*v).is_ok(),
            (ValueRef::Integer(v), T::SByte) => i8::try_from(*v).is_ok(),
            (ValueRef::Integer(v), T::Int16) => i16::try_from(*v).is_ok(),
            (ValueRef::Integer(v), T::Int32) => i32::try_from(*v).is_ok(),
            (ValueRef::Integer(_), T::Int64 | T::Decimal) => true,
            (ValueRef::Integer(v), T::Double) => v.unsigned_abs() <= 1 << 53,
            (ValueRef::Double(_), T::Double) => true,
            (ValueRef::Double(v), T::Single) => f64::from(*v as f32) == *v || v.is_nan(),
            (ValueRef::Double(v), T::Decimal) => v.is_finite(),
            (value, declared) => value.natural_type() == Some(declared),
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        value.as_ref()
    }
}
