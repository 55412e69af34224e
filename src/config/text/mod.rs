//! Values that the file holds as text: what each may look like, and what to write instead.
//!
//! A grammar is one type with one [`Format`]. Its name goes into the JSON schema, so that the shape
//! check, the parser and an editor agree on it. Every misfit carries its remedy.

mod address;
mod instant;
mod name;
mod path;
mod unit;
mod zone;

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use address::{Host, HostPort};
pub(crate) use instant::Instant;
pub(crate) use name::{CookieName, Language, Name};
pub(crate) use path::UrlPath;
pub(crate) use unit::{Rate, Size, write_interval};
pub(crate) use zone::Zone;

/// Why a text does not fit its format, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// What is wrong, to stand under the text.
    pub(crate) wrong: String,
    /// What to write instead, in words.
    pub(crate) remedy: String,
    /// The text that was probably meant, where there is one.
    pub(crate) meant: Option<String>,
}

impl Misfit {
    pub(crate) fn new(wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), remedy: remedy.into(), meant: None }
    }

    /// Says which text was probably meant.
    pub(crate) fn meant(self, text: impl Into<String>) -> Self {
        Self { meant: Some(text.into()), ..self }
    }
}

/// A grammar of texts.
pub(crate) trait Format: Sized {
    /// Its name, `format` in the JSON schema.
    const NAME: &'static str;
    /// A text that fits.
    const EXAMPLE: &'static str;

    /// Reads a text.
    fn read(text: &str) -> Result<Self, Misfit>;
    /// Writes the shortest text that reads as the same value.
    fn write(&self) -> String;
    /// Where values are ordered: the place in that order, to compare with a bound.
    fn magnitude(&self) -> Option<u128> {
        None
    }
}

/// A kind of text that is kept as it is written.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $format:literal, $example:literal, $judge:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) String);

        impl Format for $name {
            const NAME: &'static str = $format;
            const EXAMPLE: &'static str = $example;

            fn read(text: &str) -> Result<Self, Misfit> {
                let judge: fn(&str) -> Result<(), Misfit> = $judge;
                judge(text).map(|()| Self(text.to_owned()))
            }

            fn write(&self) -> String {
                self.0.clone()
            }
        }
    };
}

use text_type;

/// A value written as text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Format> Text<T> {
    /// A default, spelt as an operator would.
    pub(crate) fn of(text: &'static str) -> Self {
        Self(T::read(text).expect("defaults are literals, and a test reads every one"))
    }
}

impl<T: Format> fmt::Debug for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.write())
    }
}

impl<'de, T: Format> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::read(&text).map(Self).map_err(|misfit| serde::de::Error::custom(misfit.wrong))
    }
}

impl<T: Format> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.write())
    }
}

impl<T: Format> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": T::NAME })
    }
}

/// A format as the shape check sees it: without its type.
#[derive(Clone, Copy)]
pub(crate) struct AnyFormat {
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
    /// Judges a text; where values are ordered, also says where this one stands.
    pub(crate) judge: fn(&str) -> Result<Option<u128>, Misfit>,
}

const fn any<T: Format>() -> AnyFormat {
    AnyFormat {
        name: T::NAME,
        example: T::EXAMPLE,
        judge: |text| T::read(text).map(|value| value.magnitude()),
    }
}

const FORMATS: [AnyFormat; 16] = [
    any::<std::time::Duration>(),
    any::<Size>(),
    any::<Rate>(),
    any::<std::net::SocketAddr>(),
    any::<HostPort>(),
    any::<ipnet::IpNet>(),
    any::<http::HeaderName>(),
    any::<CookieName>(),
    any::<Host>(),
    any::<UrlPath>(),
    any::<std::path::PathBuf>(),
    any::<Name>(),
    any::<Language>(),
    any::<Instant>(),
    any::<Zone>(),
    any::<crate::config::quiet::QuietHours>(),
];

/// The format of this name.
pub(crate) fn format(name: &str) -> Option<AnyFormat> {
    FORMATS.into_iter().find(|format| format.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_fits_its_format() {
        for format in FORMATS {
            assert!((format.judge)(format.example).is_ok(), "{}: {}", format.name, format.example);
        }
    }
}
