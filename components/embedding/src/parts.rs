//! A long list of texts in parts. A model inside the platform computes, and a host that can has parts beside each other on all
//! its cores; a service gets the whole list, which costs one call there.

/// Of one part: few, so that other requests get their turn between two of them.
const TEXTS: usize = 4;
/// A part ends with the text that passes this: some long ones.
const BYTES: usize = 4096;
/// Parts asked for at once. Where nobody works on them at once this costs nothing.
pub(crate) const AT_ONCE: usize = 8;

/// The parts in order.
pub(crate) fn parts(texts: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let within = rest.iter().take(TEXTS).take_while(|text| {
            let fits = bytes < BYTES;
            bytes += text.len();
            fits
        });
        let (part, after) = rest.split_at(within.count());
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_few_texts_and_are_all_of_them() {
        let text = |length: usize| "a".repeat(length);
        let texts: Vec<String> = [1, 2, 3, 4, 5, 5000, 1, 4000, 90, 5, 6].map(text).into();
        let lengths: Vec<Vec<usize>> = parts(&texts).map(|part| part.iter().map(String::len).collect()).collect();
        assert_eq!(lengths, [vec![1, 2, 3, 4], vec![5, 5000], vec![1, 4000, 90, 5], vec![6]]);
        assert_eq!(parts(&[]).count(), 0);
    }
}
