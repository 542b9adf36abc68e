//! How evenly bytes are spread.

/// Entropy of the bytes by how often each value comes, in bits per byte: 8 for noise, from short samples too. 0 for none.
///
/// The entropy of a sample comes out too low; that is made up for (Miller, "Note on the bias of information estimates", 1955).
#[must_use]
pub fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    if bytes.is_empty() {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "images are small")]
    let len = bytes.len() as f64;
    let of = |count: &u32| f64::from(*count) / len;
    let seen = counts.iter().filter(|count| **count > 0);
    let measured: f64 = seen.map(|count| -of(count) * of(count).log2()).sum();
    measured + 255.0 / (2.0 * len * core::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn noise_has_eight_bits_and_text_fewer() {
        let noise: Vec<u8> =
            (0..1024u32).flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_le_bytes()).collect();
        assert!((entropy(&noise) - 8.0).abs() < 0.1, "{}", entropy(&noise));
        let text = b"the quick brown fox jumps over the lazy dog ".repeat(100);
        assert!((4.0..4.6).contains(&entropy(&text)), "{}", entropy(&text));
        assert!(entropy(&[7; 4096]) < 0.05);
        assert_eq!(entropy(&[]).to_bits(), 0.0f64.to_bits());
    }
}
