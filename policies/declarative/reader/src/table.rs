//! Reading the values of a table, with errors that name the line.

use std::borrow::Cow;

use crate::toml::{Document, Entry, Table, Value, error_in};

impl<'a> Document<'a> {
    /// The table that is written `[name]`.
    pub(crate) fn table(&self, name: &str) -> Result<Option<&Table<'a>>, String> {
        let mut named = self.tables.iter().filter(|table| table.name == name);
        match named.next() {
            Some(table) if table.is_one_of_many => {
                Err(table.table.error(&format!("this must be written `[{name}]`")))
            }
            table => Ok(table.map(|table| &table.table)),
        }
    }

    /// The tables that are written `[[name]]`.
    pub(crate) fn many(&self, name: &str) -> Result<Vec<&Table<'a>>, String> {
        let named = self.tables.iter().filter(|table| table.name == name);
        let checked = named.map(|table| {
            let wrong = || table.table.error(&format!("this must be written `[[{name}]]`"));
            table.is_one_of_many.then_some(&table.table).ok_or_else(wrong)
        });
        checked.collect()
    }

    /// Refuses tables and keys of the root that are not known.
    pub(crate) fn only(&self, keys: &[&str], tables: &[&str]) -> Result<(), String> {
        self.root.only(keys)?;
        let unknown = self.tables.iter().find(|table| !tables.contains(&table.name));
        unknown.map_or(Ok(()), |table| Err(unknown_name(table.table.line, table.name, tables)))
    }
}

impl<'a> Table<'a> {
    /// An error in this table.
    pub(crate) fn error(&self, what: &str) -> String {
        error_in(self.line, what)
    }

    /// Refuses keys that are not known.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), String> {
        let unknown = self.entries.iter().find(|entry| !known.contains(&entry.key));
        unknown.map_or(Ok(()), |entry| Err(unknown_name(entry.line, entry.key, known)))
    }

    /// What `read` makes of a text or a number.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.read(read)).transpose()
    }

    /// The same, which must be there.
    pub(crate) fn must<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        self.read(key, read)?.ok_or_else(|| self.error(&format!("`{key}` is missing")))
    }

    /// On or off; off if it is not there.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, String> {
        match self.entries.iter().find(|entry| entry.key == key) {
            None => Ok(false),
            Some(Entry { value: Value::Flag(flag), .. }) => Ok(*flag),
            Some(entry) => Err(entry.error("this must be `true` or `false`")),
        }
    }

    /// A list of texts; empty if it is not there.
    pub(crate) fn list(&self, key: &str) -> Result<Vec<Cow<'a, str>>, String> {
        match self.entries.iter().find(|entry| entry.key == key) {
            None => Ok(Vec::new()),
            Some(Entry { value: Value::List(texts), .. }) => Ok(texts.clone()),
            Some(entry) => Err(entry.error("this must be a list of texts")),
        }
    }
}

impl Entry<'_> {
    /// An error in this entry.
    pub(crate) fn error(&self, what: &str) -> String {
        error_in(self.line, what)
    }

    /// What `read` makes of its value, which must be a text or a number.
    pub(crate) fn read<T>(&self, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
        match &self.value {
            Value::Text(text) => read(text).map_err(|what| self.error(&what)),
            Value::Number(text) => read(text).map_err(|what| self.error(&what)),
            Value::Flag(_) | Value::List(_) => Err(self.error("this must be a text or a number")),
        }
    }
}

fn unknown_name(line: usize, name: &str, known: &[&str]) -> String {
    error_in(line, &format!("`{name}` is not known here; known are `{}`", known.join("`, `")))
}
