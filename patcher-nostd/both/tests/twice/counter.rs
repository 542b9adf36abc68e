//! Counts, and may be waited for; `r#await` and "async" in strings are nobody's business.

use super::both;

pub(crate) struct Counter(pub(crate) u32);

#[both]
impl Counter {
    /// Adds all of them: `async` where it is, `.await`ed there.
    pub(crate) async fn add_all(&mut self, numbers: &[u32]) -> Option<u32> {
        for number in numbers {
            (self.add(*number).await)?;
        }
        let text = "async .await";
        assert_eq!(text.len(), 12);
        Some(self.0)
    }

    async fn add(&mut self, number: u32) -> Option<()> {
        self.0 = self.0.checked_add(number)?;
        Some(())
    }
}
