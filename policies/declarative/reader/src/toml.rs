//! The part of TOML that a policy is written in: `key = value`, `[table]` and `[[table]]`, where a value is a text on one line, a
//! number, `true`, `false` or a list of texts. Whatever is read here means the same in TOML. A whole TOML parser would be
//! larger than the policy. It is read at every look, so what is read borrows from the text.

use std::borrow::Cow;

/// A document: a table without a name, and those with a name in their order.
#[derive(Debug, PartialEq)]
pub(crate) struct Document<'a> {
    pub(crate) root: Table<'a>,
    pub(crate) tables: Vec<Named<'a>>,
}

/// A table with its header.
#[derive(Debug, PartialEq)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    /// Whether it was written `[[name]]`.
    pub(crate) is_one_of_many: bool,
    pub(crate) table: Table<'a>,
}

/// Entries, and the line of their header.
#[derive(Debug, PartialEq)]
pub(crate) struct Table<'a> {
    pub(crate) line: usize,
    pub(crate) entries: Vec<Entry<'a>>,
}

/// A key, its value, and the line of both.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a str,
    pub(crate) line: usize,
    pub(crate) value: Value<'a>,
}

/// A value.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    /// A number as it was written.
    Number(&'a str),
    Flag(bool),
    List(Vec<Cow<'a, str>>),
}

/// An error with the line that it is in.
pub(crate) fn error_in(line: usize, what: &str) -> String {
    format!("line {line}: {what}")
}

impl<'a> Document<'a> {
    /// Reads a document.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let mut cursor = Cursor { text, at: 0, line: 1 };
        let root = cursor.entries(1)?;
        let mut document = Self { root, tables: Vec::new() };
        while cursor.skip_blank() {
            let named = cursor.table()?;
            document.must_be_new(&named)?;
            document.tables.push(named);
        }
        Ok(document)
    }

    fn must_be_new(&self, named: &Named<'_>) -> Result<(), String> {
        let follows_its_like = self.tables.last().is_some_and(|last| {
            last.name == named.name && last.is_one_of_many && named.is_one_of_many
        });
        if follows_its_like {
            return Ok(());
        }
        let is_key = self.root.entries.iter().any(|entry| entry.key == named.name);
        let is_table = self.tables.iter().any(|other| {
            other.name == named.name && !(other.is_one_of_many && named.is_one_of_many)
        });
        if is_key || is_table {
            return Err(error_in(named.table.line, &format!("`{}` is there already", named.name)));
        }
        Ok(())
    }
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a str,
    /// Where the next character begins, in bytes.
    at: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn error<T>(&self, what: &str) -> Result<T, String> {
        Err(error_in(self.line, what))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte: the next character, if that is ASCII.
    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Whether one of these ASCII characters is the next one.
    #[inline(always)]
    fn is_at(&self, wanted: &[u8]) -> bool {
        self.peek().is_some_and(|next| wanted.contains(&next))
    }

    /// Takes an ASCII character if it is the next one.
    #[inline(always)]
    fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes all characters up to the first that does not belong. Nearly all are ASCII, which needs no decoding.
    fn take_while(&mut self, ascii: impl Fn(u8) -> bool, other: fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let mut end = 0;
        loop {
            let bytes = rest.as_bytes().iter().skip(end);
            end += bytes.take_while(|byte| byte.is_ascii() && ascii(**byte)).count();
            match rest.get(end..).and_then(|rest| rest.chars().next()) {
                Some(next) if !next.is_ascii() && other(next) => end += next.len_utf8(),
                _ => break,
            }
        }
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|next| next == b' ' || next == b'\t') {
            self.at += 1;
        }
    }

    /// Skips empty lines and comments. Whether anything is left.
    fn skip_blank(&mut self) -> bool {
        loop {
            self.skip_spaces();
            self.skip_comment();
            if !self.take_newline() {
                return self.peek().is_some();
            }
        }
    }

    fn skip_comment(&mut self) {
        if self.peek() == Some(b'#') {
            self.take_while(is_printed, |c| !c.is_control());
        }
    }

    fn take_newline(&mut self) -> bool {
        let bytes = match self.text.as_bytes().get(self.at..) {
            Some([b'\n', ..]) => 1,
            Some([b'\r', b'\n', ..]) => 2,
            _ => return false,
        };
        self.at += bytes;
        self.line += 1;
        true
    }

    fn end_line(&mut self) -> Result<(), String> {
        self.skip_spaces();
        self.skip_comment();
        if self.peek().is_none() || self.take_newline() {
            return Ok(());
        }
        let what = self.rest().lines().next().unwrap_or_default();
        self.error(&format!("`{what}` does not belong here"))
    }

    fn table(&mut self) -> Result<Named<'a>, String> {
        let line = self.line;
        if !self.take(b'[') {
            return self.error("this is neither `key = value` nor `[table]`");
        }
        let is_one_of_many = self.take(b'[');
        self.skip_spaces();
        let name = self.key()?;
        self.skip_spaces();
        if !(self.take(b']') && (!is_one_of_many || self.take(b']'))) {
            return self
                .error("the header of a table ends in `]`, or in `]]` if it began with `[[`");
        }
        self.end_line()?;
        Ok(Named { name, is_one_of_many, table: self.entries(line)? })
    }

    /// Reads entries up to the next header.
    fn entries(&mut self, line: usize) -> Result<Table<'a>, String> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        while self.skip_blank() && !self.is_at(b"[") {
            let line = self.line;
            let key = self.key()?;
            self.skip_spaces();
            if !self.take(b'=') {
                return self.error(&format!("`=` is missing after `{key}`"));
            }
            self.skip_spaces();
            let value = self.value()?;
            self.end_line()?;
            if entries.iter().any(|entry| entry.key == key) {
                return Err(error_in(line, &format!("`{key}` is there already")));
            }
            entries.push(Entry { key, line, value });
        }
        Ok(Table { line, entries })
    }

    fn key(&mut self) -> Result<&'a str, String> {
        let key =
            self.take_while(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_', |_| false);
        if key.is_empty() {
            self.error("a name is missing; names are letters, digits and `-`")
        } else {
            Ok(key)
        }
    }

    fn value(&mut self) -> Result<Value<'a>, String> {
        if self.is_at(b"\"'") {
            return Ok(Value::Text(self.text()?));
        }
        if self.take(b'[') {
            return Ok(Value::List(self.list()?));
        }
        let word = self.take_while(|c| c > b' ' && c != b'#', |c| !c.is_whitespace());
        match word {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            number if is_number(number) => Ok(Value::Number(word)),
            _ => self.error(&format!("`{word}` is no value; texts stand in `\"`")),
        }
    }

    fn text(&mut self) -> Result<Cow<'a, str>, String> {
        let is_literal = self.take(b'\'');
        let quote = if is_literal { b'\'' } else { b'"' };
        if !is_literal {
            self.take(b'"');
        }
        let plain = |c: u8| c != quote && (is_literal || c != b'\\') && is_printed(c);
        let mut text = Cow::Borrowed(self.take_while(plain, |c| !c.is_control()));
        while !self.take(quote) {
            if !self.take(b'\\') {
                return self.error("the text does not end on its line");
            }
            let Some(escaped) = [b'"', b'\\'].into_iter().find(|escaped| self.take(*escaped))
            else {
                return self.error("only `\\\"` and `\\\\` are known escapes");
            };
            text.to_mut().push(char::from(escaped));
            text.to_mut().push_str(self.take_while(plain, |c| !c.is_control()));
        }
        Ok(text)
    }

    fn list(&mut self) -> Result<Vec<Cow<'a, str>>, String> {
        let mut texts = Vec::new();
        loop {
            self.skip_blank();
            if self.take(b']') {
                return Ok(texts);
            }
            if !self.is_at(b"\"'") {
                return self.error("a list holds texts, with `,` between them, and ends in `]`");
            }
            texts.push(self.text()?);
            self.skip_blank();
            if !self.take(b',') && !self.is_at(b"]") {
                return self.error("a list holds texts, with `,` between them, and ends in `]`");
            }
        }
    }
}

/// Whether a byte is an ASCII character that is seen, or moves what is seen after it within its line.
fn is_printed(byte: u8) -> bool {
    byte == b'\t' || (byte.is_ascii() && !byte.is_ascii_control())
}

/// Whether it is digits, maybe with a point among them, and without a zero that TOML forbids.
fn is_number(word: &str) -> bool {
    let (whole, part) = word.split_once('.').unwrap_or((word, "0"));
    let are_digits =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    are_digits(whole) && are_digits(part) && (whole == "0" || !whole.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that are read, and what their difficulty is.
    const READ: [&str; 10] = [
        "",
        "# ü\t–\u{a0}\na = \"–\u{a0}\" # ü",
        "# only a comment",
        "a = 1\r\nb = 0.5 # half\n\n[t]\nx = \"y\" # z\n",
        "a = \"with \\\"quotes\\\" and \\\\ and # and ü\"",
        "a = 'literal \\ text'",
        "a = [ \"x\", 'y' , # why\n \"z\",\n ]\nb = []",
        "[[s]]\nn = true\n[[s]]\nn = false\n[ t ]\n[[ u ]]",
        "a-b_C9 = \"\"\n1 = 10",
        "\ta\t=\t\"tab\there\"\t",
    ];

    /// Texts that are refused, and why.
    const REFUSED: [(&str, &str); 17] = [
        ("a", "line 1: `=` is missing after `a`"),
        ("\n\n= 1", "line 3: a name is missing; names are letters, digits and `-`"),
        ("a.b = 1", "line 1: `=` is missing after `a`"),
        ("a = 1 2", "line 1: `2` does not belong here"),
        ("a = 1\na = 2", "line 2: `a` is there already"),
        ("a = word", "line 1: `word` is no value; texts stand in `\"`"),
        ("a = 01", "line 1: `01` is no value; texts stand in `\"`"),
        ("a = \"x\nb = 1", "line 1: the text does not end on its line"),
        ("a = \"\\n\"", "line 1: only `\\\"` and `\\\\` are known escapes"),
        ("a = \"\u{85}\"", "line 1: the text does not end on its line"),
        ("a = 1 # \u{85}", "line 1: `\u{85}` does not belong here"),
        ("a = 1\u{a0}", "line 1: `\u{a0}` does not belong here"),
        ("a = [\"x\" \"y\"]", "line 1: a list holds texts, with `,` between them, and ends in `]`"),
        ("a = [1]", "line 1: a list holds texts, with `,` between them, and ends in `]`"),
        (
            "[t\na = 1",
            "line 1: the header of a table ends in `]`, or in `]]` if it began with `[[`",
        ),
        ("[t]\n[t]", "line 2: `t` is there already"),
        ("t = 1\n[[t]]", "line 2: `t` is there already"),
    ];

    /// What the same text means to a whole TOML parser.
    fn by_the_book(text: &str) -> toml::Table {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn as_the_book_has_it(document: Document<'_>) -> toml::Table {
        let table = |table: Table<'_>| -> toml::Table {
            let entries = table.entries.into_iter().map(|Entry { key, value, .. }| {
                let value = match value {
                    Value::Text(text) => toml::Value::String(text.into_owned()),
                    Value::Number(number) if number.contains('.') => {
                        toml::Value::Float(number.parse().expect("a number"))
                    }
                    Value::Number(number) => {
                        toml::Value::Integer(number.parse().expect("a number"))
                    }
                    Value::Flag(flag) => toml::Value::Boolean(flag),
                    Value::List(texts) => {
                        texts.into_iter().map(Cow::into_owned).collect::<Vec<_>>().into()
                    }
                };
                (key.to_owned(), value)
            });
            entries.collect()
        };
        let mut all = table(document.root);
        for named in document.tables {
            let inner = toml::Value::Table(table(named.table));
            if named.is_one_of_many {
                let many =
                    all.entry(named.name.to_owned()).or_insert(toml::Value::Array(Vec::new()));
                many.as_array_mut().expect("an array").push(inner);
            } else {
                all.insert(named.name.to_owned(), inner);
            }
        }
        all
    }

    #[test]
    fn what_is_read_means_the_same_in_toml() {
        for text in READ.into_iter().chain([include_str!("../../src/default.toml")]) {
            let read = Document::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(as_the_book_has_it(read), by_the_book(text), "{text}");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        for (text, error) in REFUSED {
            assert_eq!(Document::parse(text).unwrap_err(), error, "{text}");
        }
    }

    /// Whatever is left of a text, or put into it, it is read as TOML has it or refused.
    #[test]
    fn mangled_texts_are_read_as_toml_has_them_or_refused() {
        let texts = READ.into_iter().chain([include_str!("../../src/default.toml")]);
        let mut read_anyway = 0;
        for text in texts {
            for (at, _) in text.char_indices() {
                let (head, tail) = text.split_at(at);
                let inserts = ["", "\"", "'", "[", "]", "=", "\n", "#", ",", "\\", "0", "\u{0}"];
                for mangled in
                    inserts.map(|insert| format!("{head}{insert}{}", tail.get(1..).unwrap_or(tail)))
                {
                    if let Ok(read) = Document::parse(&mangled) {
                        assert_eq!(as_the_book_has_it(read), by_the_book(&mangled), "{mangled}");
                        read_anyway += 1;
                    }
                }
            }
        }
        assert!(read_anyway > 100, "{read_anyway}");
    }
}
