//! A text that neighbouring rows share: most of what an audit event says, the one before said too.

use std::ops::Deref;
use std::sync::Arc;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Any, Database, Encode, Sqlite, Type};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedText(Arc<str>);

impl SharedText {
    /// `before`, if that is the same.
    pub(crate) fn new(text: &str, before: Option<&Self>) -> Self {
        match before {
            Some(before) if **before == *text => before.clone(),
            _ => Self(text.into()),
        }
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Type<Sqlite> for SharedText {
    fn type_info() -> <Sqlite as Database>::TypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl<'q> Encode<'q, Sqlite> for SharedText {
    fn encode(
        self,
        buffer: &mut <Sqlite as Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        <Arc<str> as Encode<'q, Sqlite>>::encode(self.0, buffer)
    }

    fn encode_by_ref(
        &self,
        buffer: &mut <Sqlite as Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        <Arc<str> as Encode<'q, Sqlite>>::encode(Arc::clone(&self.0), buffer)
    }
}

impl Type<Any> for SharedText {
    fn type_info() -> <Any as Database>::TypeInfo {
        <str as Type<Any>>::type_info()
    }
}

impl<'q> Encode<'q, Any> for SharedText {
    fn encode_by_ref(
        &self,
        buffer: &mut <Any as Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        <String as Encode<'q, Any>>::encode(self.to_string(), buffer)
    }
}
