//! The file in which people keep passwords of PostgreSQL: lines of `host:port:database:user:password`.
//!
//! <https://www.postgresql.org/docs/current/libpq-pgpass.html>

use std::path::Path;

use crate::error::OpenError;

/// Reads the file, unless others may, too.
pub(super) fn read(path: &Path) -> Result<String, OpenError> {
    let refused = |why: String| OpenError::Passfile { path: path.display().to_string(), why };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let about = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(refused("others may read it; `chmod 600` keeps them from it".to_owned()));
        }
    }
    std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))
}

/// Finds the password: of the first line whose fields are these (host, port, database, user), or `*`.
pub(super) fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let password = if fields.len() == 5 { fields.pop()? } else { return None };
        let fits = |(field, wanted): (&String, &str)| field == "*" || field == wanted;
        fields.iter().zip(wanted).all(fits).then_some(password)
    })
}

/// Splits a line at `:`, at most in five; `\` keeps the character behind it as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == ':' && fields.len() < 5 {
            fields.push(String::new());
            continue;
        }
        let letter = if letter == '\\' { letters.next().unwrap_or(letter) } else { letter };
        if let Some(field) = fields.last_mut() {
            field.push(letter);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# all of them:*:*:*:no\n\
                        half:a:line\n\
                        db.example:5432:rollouts:alice:of alice\n\
                        \\:\\:1:*:*:bob:with\\:colon:and\\\\slash\n\
                        *:*:*:carol:of carol\n\
                        *:*:*:carol:never\n";

    #[test]
    fn the_first_line_that_fits_counts() {
        let of = |host, user| find(TEXT, [host, "5432", "rollouts", user]);
        assert_eq!(of("db.example", "alice"), Some("of alice".to_owned()));
        assert_eq!(of("other.example", "alice"), None);
        assert_eq!(of("::1", "bob"), Some("with:colon:and\\slash".to_owned()));
        assert_eq!(of("anywhere", "carol"), Some("of carol".to_owned()));
        assert_eq!(of("half", "line"), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_read_is_not_used() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().expect("there is room");
        std::fs::write(file.path(), TEXT).expect("written");
        let set = |mode| std::fs::set_permissions(file.path(), Permissions::from_mode(mode));
        set(0o600).expect("it can");
        assert_eq!(read(file.path()).expect("private"), TEXT);
        set(0o640).expect("it can");
        let refused = read(file.path()).expect_err("the group reads it");
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
        let refused = read(Path::new("/no/such/file")).expect_err("nowhere");
        assert!(matches!(refused, OpenError::Passfile { .. }), "{refused}");
    }
}
