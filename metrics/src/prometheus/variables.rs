//! Variables in queries.

/// The names that mean something.
pub(super) const VARIABLES: [&str; 2] = ["window", "version"];

/// What variables stand for.
pub(super) struct Variables<'a> {
    /// `$window`, in seconds.
    pub(super) window_s: u64,
    /// `$version`.
    pub(super) version: &'a str,
}

/// Names of all variables of a query: what begins with a letter after a `$`, which nothing in PromQL does but text in regular expressions
/// that could not match.
pub(super) fn names(query: &str) -> impl Iterator<Item = &str> {
    query.split('$').skip(1).map(name).filter(|name| !name.is_empty())
}

/// A query with its variables filled in.
pub(super) fn fill(query: &str, variables: &Variables<'_>) -> String {
    let mut parts = query.split('$');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = name(part);
        match name {
            "window" => filled.push_str(&format!("{}s", variables.window_s)),
            "version" => filled.push_str(&escaped(variables.version)),
            _ => {
                filled.push('$');
                filled.push_str(name);
            }
        }
        filled.push_str(&part[name.len()..]);
    }
    filled
}

/// The name at the beginning of a text; empty if there is none.
fn name(text: &str) -> &str {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let end = text.find(|char| !is_part(char)).unwrap_or(text.len());
    let name = text.get(..end).unwrap_or_default();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { "" }
}

/// A text as it stands between quotes in PromQL.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '\\' | '"' | '\'' => escaped.extend(['\\', char]),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_anchors_stay() {
        let variables = Variables { window_s: 900, version: "2.4\"1" };
        let query = r#"increase(x{fw="$version",hw=~"^B$"}[$window])"#;
        let filled = r#"increase(x{fw="2.4\"1",hw=~"^B$"}[900s])"#;
        assert_eq!(fill(query, &variables), filled);
        assert_eq!(fill("$", &variables), "$");
        assert_eq!(names(query).collect::<Vec<_>>(), ["version", "window"]);
        assert_eq!(names("x[$windows]").collect::<Vec<_>>(), ["windows"]);
    }
}
