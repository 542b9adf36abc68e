//! The file of peers' sizes: what `measure peers --json` writes and `measure sizes` looks for in a corpus.
//!
//! One object, with one member for each pair; other members than `best` are for people.
//!
//! ```json
//! { "series/base.bin > series/target.bin": { "best": 5084, "bsdiff": 7177 } }
//! ```

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use super::corpus::Pair;

/// Its name in a corpus.
pub(super) const NAME: &str = "peers.json";

/// Sizes of what other programs make of pairs, in bytes.
#[derive(Debug, Default)]
pub(super) struct PeerSizes(Map<String, Value>);

impl PeerSizes {
    /// The sizes that a corpus brings along, if it does.
    ///
    /// # Errors
    /// If the file cannot be read or does not have the form above.
    pub(super) fn of_corpus(corpus: &Path) -> Result<Option<Self>> {
        let path = corpus.join(NAME);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
        Self::parse(&text).with_context(|| format!("cannot use `{}`", path.display())).map(Some)
    }

    fn parse(text: &str) -> Result<Self> {
        let sizes = Self(serde_json::from_str(text)?);
        for (pair, peers) in &sizes.0 {
            let best = peers["best"].as_u64();
            ensure!(best.is_some_and(|best| best > 0), "`{pair}` has no positive number `best`");
        }
        Ok(sizes)
    }

    /// The smallest size that any peer reaches for a pair.
    pub(super) fn best(&self, pair: &Pair<'_>) -> Option<u64> {
        self.0.get(&pair.key())?["best"].as_u64()
    }

    /// Adds a pair; a peer that could not run has no size.
    pub(super) fn add<'a>(
        &mut self,
        pair: &Pair<'_>,
        best: u64,
        peers: impl Iterator<Item = (&'a str, Option<u64>)>,
    ) {
        let mut sizes: Map<String, Value> =
            peers.map(|(name, bytes)| (name.to_owned(), bytes.into())).collect();
        sizes.insert("best".to_owned(), best.into());
        self.0.insert(pair.key(), sizes.into());
    }

    /// The file's text.
    pub(super) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.0)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_a_pair_is_found_by_its_files() {
        let text = r#"{ "s/a.bin > s/b.bin": { "best": 7, "isa": "thumb", "tuz": null } }"#;
        let sizes = PeerSizes::parse(text).unwrap();
        let pair = |base| Pair { series: "s", base: Path::new(base), target: Path::new("b.bin") };
        assert_eq!(sizes.best(&pair("/corpus/s/a.bin")), Some(7));
        assert_eq!(sizes.best(&pair("/corpus/s/c.bin")), None);
    }

    #[test]
    fn a_pair_without_a_best_is_refused() {
        for wrong in
            [r#"{"p":{}}"#, r#"{"p":{"best":0}}"#, r#"{"p":{"best":"7"}}"#, r#"{"p":7}"#, "[]"]
        {
            assert!(PeerSizes::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let pair = Pair { series: "s", base: Path::new("a.bin"), target: Path::new("b.bin") };
        let mut sizes = PeerSizes::default();
        sizes.add(&pair, 5, [("bsdiff", Some(9)), ("zstd", None)].into_iter());
        let sizes = PeerSizes::parse(&sizes.to_json().unwrap()).unwrap();
        assert_eq!(sizes.best(&pair), Some(5));
    }
}
