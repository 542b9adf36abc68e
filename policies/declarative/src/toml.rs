//! The part of TOML that a policy is written in: `key = value`, `[table]` and `[[table]]`, where a value is a text on one line, a
//! number, `true`, `false` or a list of texts. Whatever is read here means the same in TOML. A whole TOML parser would be
//! larger than the policy.

/// A document: a table without a name, and those with a name in their order.
#[derive(Debug, PartialEq)]
pub(crate) struct Document {
    pub(crate) root: Table,
    pub(crate) tables: Vec<Named>,
}

/// A table with its header.
#[derive(Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Whether it was written `[[name]]`.
    pub(crate) is_one_of_many: bool,
    pub(crate) table: Table,
}

/// Entries, and the line of their header.
#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) line: usize,
    pub(crate) entries: Vec<Entry>,
}

/// A key, its value, and the line of both.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// A value.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    /// A number as it was written.
    Number(String),
    Flag(bool),
    List(Vec<String>),
}

/// An error with the line that it is in.
pub(crate) fn error_in(line: usize, what: &str) -> String {
    format!("line {line}: {what}")
}

impl Document {
    /// Reads a document.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut cursor = Cursor { rest: text, line: 1 };
        let root = cursor.entries(1)?;
        let mut document = Self { root, tables: Vec::new() };
        while cursor.skip_blank() {
            let named = cursor.table()?;
            document.must_be_new(&named)?;
            document.tables.push(named);
        }
        Ok(document)
    }

    fn must_be_new(&self, named: &Named) -> Result<(), String> {
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

/// What is left of a text.
struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl Cursor<'_> {
    fn error<T>(&self, what: &str) -> Result<T, String> {
        Err(error_in(self.line, what))
    }

    /// Takes a character if it is the next one.
    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes all characters up to the first that does not belong.
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip_spaces(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// Skips empty lines and comments. Whether anything is left.
    fn skip_blank(&mut self) -> bool {
        loop {
            self.skip_spaces();
            self.skip_comment();
            if !self.take_newline() {
                return !self.rest.is_empty();
            }
        }
    }

    fn skip_comment(&mut self) {
        if self.rest.starts_with('#') {
            self.take_while(|c| c == '\t' || !c.is_control());
        }
    }

    fn take_newline(&mut self) -> bool {
        let rest = self.rest.strip_prefix("\r\n").or(self.rest.strip_prefix('\n'));
        self.line += usize::from(rest.is_some());
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn end_line(&mut self) -> Result<(), String> {
        self.skip_spaces();
        self.skip_comment();
        if self.rest.is_empty() || self.take_newline() {
            return Ok(());
        }
        let what = self.rest.lines().next().unwrap_or_default();
        self.error(&format!("`{what}` does not belong here"))
    }

    fn table(&mut self) -> Result<Named, String> {
        let line = self.line;
        if !self.take('[') {
            return self.error("this is neither `key = value` nor `[table]`");
        }
        let is_one_of_many = self.take('[');
        self.skip_spaces();
        let name = self.key()?;
        self.skip_spaces();
        if !(self.take(']') && (!is_one_of_many || self.take(']'))) {
            return self
                .error("the header of a table ends in `]`, or in `]]` if it began with `[[`");
        }
        self.end_line()?;
        Ok(Named { name, is_one_of_many, table: self.entries(line)? })
    }

    /// Reads entries up to the next header.
    fn entries(&mut self, line: usize) -> Result<Table, String> {
        let mut entries: Vec<Entry> = Vec::new();
        while self.skip_blank() && !self.rest.starts_with('[') {
            let line = self.line;
            let key = self.key()?;
            self.skip_spaces();
            if !self.take('=') {
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

    fn key(&mut self) -> Result<String, String> {
        let key = self.take_while(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_').to_owned();
        if key.is_empty() {
            self.error("a name is missing; names are letters, digits and `-`")
        } else {
            Ok(key)
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.rest.starts_with(['"', '\'']) {
            return Ok(Value::Text(self.text()?));
        }
        if self.take('[') {
            return Ok(Value::List(self.list()?));
        }
        let word = self.take_while(|c| !c.is_whitespace() && c != '#').to_owned();
        match word.as_str() {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            number if is_number(number) => Ok(Value::Number(word)),
            _ => self.error(&format!("`{word}` is no value; texts stand in `\"`")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        let is_literal = self.take('\'');
        let quote = if is_literal { '\'' } else { '"' };
        if !is_literal {
            self.take('"');
        }
        let mut text = String::new();
        loop {
            let plain =
                |c: char| c != quote && (is_literal || c != '\\') && (c == '\t' || !c.is_control());
            text.push_str(self.take_while(plain));
            if self.take(quote) {
                return Ok(text);
            }
            if !self.take('\\') {
                return self.error("the text does not end on its line");
            }
            let Some(escaped) = ['"', '\\'].into_iter().find(|escaped| self.take(*escaped)) else {
                return self.error("only `\\\"` and `\\\\` are known escapes");
            };
            text.push(escaped);
        }
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        loop {
            self.skip_blank();
            if self.take(']') {
                return Ok(texts);
            }
            if !self.rest.starts_with(['"', '\'']) {
                return self.error("a list holds texts, with `,` between them, and ends in `]`");
            }
            texts.push(self.text()?);
            self.skip_blank();
            if !self.take(',') && !self.rest.starts_with(']') {
                return self.error("a list holds texts, with `,` between them, and ends in `]`");
            }
        }
    }
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
    const READ: [&str; 9] = [
        "",
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
    const REFUSED: [(&str, &str); 14] = [
        ("a", "line 1: `=` is missing after `a`"),
        ("\n\n= 1", "line 3: a name is missing; names are letters, digits and `-`"),
        ("a.b = 1", "line 1: `=` is missing after `a`"),
        ("a = 1 2", "line 1: `2` does not belong here"),
        ("a = 1\na = 2", "line 2: `a` is there already"),
        ("a = word", "line 1: `word` is no value; texts stand in `\"`"),
        ("a = 01", "line 1: `01` is no value; texts stand in `\"`"),
        ("a = \"x\nb = 1", "line 1: the text does not end on its line"),
        ("a = \"\\n\"", "line 1: only `\\\"` and `\\\\` are known escapes"),
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

    fn as_the_book_has_it(document: Document) -> toml::Table {
        let table = |table: Table| -> toml::Table {
            let entries = table.entries.into_iter().map(|Entry { key, value, .. }| {
                let value = match value {
                    Value::Text(text) => toml::Value::String(text),
                    Value::Number(number) if number.contains('.') => {
                        toml::Value::Float(number.parse().expect("a number"))
                    }
                    Value::Number(number) => {
                        toml::Value::Integer(number.parse().expect("a number"))
                    }
                    Value::Flag(flag) => toml::Value::Boolean(flag),
                    Value::List(texts) => texts.into(),
                };
                (key, value)
            });
            entries.collect()
        };
        let mut all = table(document.root);
        for named in document.tables {
            let inner = toml::Value::Table(table(named.table));
            if named.is_one_of_many {
                let many = all.entry(named.name).or_insert(toml::Value::Array(Vec::new()));
                many.as_array_mut().expect("an array").push(inner);
            } else {
                all.insert(named.name, inner);
            }
        }
        all
    }

    #[test]
    fn what_is_read_means_the_same_in_toml() {
        for text in READ.into_iter().chain([include_str!("default.toml")]) {
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
        let texts = READ.into_iter().chain([include_str!("default.toml")]);
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
