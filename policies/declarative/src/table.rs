//! Tables of a TOML document, with the lines that errors name.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table, and the text that it is in.
pub(crate) struct Table<'a> {
    text: &'a str,
    at: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(text: &'a str, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { text, at: table.span().start, entries: table.get_ref() }
    }

    /// An error in this table.
    pub(crate) fn error(&self, what: &str) -> String {
        error_at(self.text, self.at, what)
    }

    /// Refuses keys that are not known.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), String> {
        let unknown = self.entries.keys().find(|key| !known.contains(&key.get_ref().as_ref()));
        unknown.map_or(Ok(()), |key| {
            let what = format!(
                "`{}` is not known here; known are `{}`",
                key.get_ref(),
                known.join("`, `")
            );
            Err(error_at(self.text, key.span().start, &what))
        })
    }

    /// Keys and texts of all entries.
    pub(crate) fn texts(&self) -> impl Iterator<Item = Result<(&'a str, &'a str), String>> {
        self.entries.iter().map(|(key, value)| {
            let text = value.get_ref().as_str().ok_or_else(|| self.wrong(value, "text"))?;
            Ok((key.get_ref().as_ref(), text))
        })
    }

    /// What `read` makes of a text or a plain number.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let text = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return Err(self.wrong(value, "text or a number")),
        };
        let read = read(text).map_err(|what| error_at(self.text, value.span().start, &what));
        read.map(Some)
    }

    /// The same, which must be there.
    pub(crate) fn must<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        self.read(key, read)?.ok_or_else(|| self.error(&format!("`{key}` is missing")))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool, String> {
        let Some(value) = self.entries.get(key) else { return Ok(false) };
        value.get_ref().as_bool().ok_or_else(|| self.wrong(value, "`true` or `false`"))
    }

    /// A list of texts; empty if it is not there.
    pub(crate) fn list(&self, key: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.entries.get(key) else { return Ok(Vec::new()) };
        let texts = value.get_ref().as_array().map(|list| {
            list.iter().map(|one| one.get_ref().as_str().map(str::to_owned)).collect::<Option<_>>()
        });
        texts.flatten().ok_or_else(|| self.wrong(value, "a list of texts"))
    }

    /// The table under a key.
    pub(crate) fn table(&self, key: &str) -> Result<Option<Self>, String> {
        self.entries.get(key).map(|value| self.inner(value)).transpose()
    }

    /// The tables that are written `[[key]]`.
    pub(crate) fn tables(&self, key: &str) -> Result<Vec<Self>, String> {
        let Some(value) = self.entries.get(key) else { return Ok(Vec::new()) };
        let DeValue::Array(tables) = value.get_ref() else {
            return Err(self.wrong(value, &format!("written `[[{key}]]`")));
        };
        tables.iter().map(|table| self.inner(table)).collect()
    }

    fn inner(&self, value: &'a Spanned<DeValue<'a>>) -> Result<Self, String> {
        let DeValue::Table(entries) = value.get_ref() else {
            return Err(self.wrong(value, "a table"));
        };
        Ok(Self { text: self.text, at: value.span().start, entries })
    }

    fn wrong(&self, value: &Spanned<DeValue<'_>>, wanted: &str) -> String {
        let what = format!("this is {}; it must be {wanted}", value.get_ref().type_str());
        error_at(self.text, value.span().start, &what)
    }
}

/// An error with the line that it is in.
pub(crate) fn error_at(text: &str, at: usize, what: &str) -> String {
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    format!("line {line}: {what}")
}
