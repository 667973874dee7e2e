//! Vectors from the spelling of words: texts that share words, or parts of words, lie closer together. No meaning in it.

pub(crate) const MODEL: &str = "local/hashed-words";

/// As all-MiniLM-L6-v2 has, so that a store made for one takes the other.
pub(crate) const DIMENSION: usize = 384;
/// Parts of a word weigh less than the word, all of them together.
const PARTS: f32 = 0.5;

/// A vector of length 1; equal for equal texts.
pub(crate) fn vector(text: &str) -> [f32; DIMENSION] {
    let mut vector = [0.0; DIMENSION];
    let mut framed = Vec::new();
    for word in words(text) {
        framed.clear();
        framed.push('^');
        framed.extend(word.chars().flat_map(char::to_lowercase));
        framed.push('$');
        add(&mut vector, hash(&framed), 1.0);
        // With the frame, a word of one letter has one part and a word of n letters n.
        let weight = PARTS / (framed.len() as f32 - 2.0).sqrt();
        for part in framed.windows(3) {
            add(&mut vector, hash(part).rotate_left(17), weight);
        }
    }
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 1e-3 {
        vector.iter_mut().for_each(|number| *number /= length);
        return vector;
    }
    // No words, or words that cancelled each other out: any direction will do, as long as it is the same one next time.
    let letters: Vec<char> = text.trim().chars().collect();
    vector = [0.0; DIMENSION];
    add(&mut vector, hash(&letters), 1.0);
    vector
}

pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// One place for each feature, and half of them count down, so that features that meet by chance cancel out on average.
fn add(vector: &mut [f32; DIMENSION], hash: u64, weight: f32) {
    let sign = if hash >> 63 == 0 { weight } else { -weight };
    vector[(hash % DIMENSION as u64) as usize] += sign;
}

/// FNV-1a over code points, mixed once more (the finaliser of SplitMix64) since its upper bits are weak for short words.
fn hash(letters: &[char]) -> u64 {
    let sum = letters.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, &letter| {
        (sum ^ u64::from(u32::from(letter))).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(left: &str, right: &str) -> f32 {
        vector(left).iter().zip(vector(right)).map(|(left, right)| left * right).sum()
    }

    #[test]
    fn every_text_has_a_vector_of_length_one() {
        for text in ["hello world", "", "  ", "!?", "🙂", "a", "日本語のテキスト", &"word ".repeat(5000)] {
            assert!((cosine(text, text) - 1.0).abs() < 1e-5, "{text}");
            assert!(vector(text).iter().all(|number| number.is_finite()));
        }
    }

    #[test]
    fn equal_texts_are_equal_whatever_the_case() {
        assert_eq!(vector("The cat sat."), vector("the CAT sat"));
    }

    #[test]
    fn shared_words_bring_texts_closer() {
        let query = "the cat sat on the mat";
        let near = cosine(query, "a cat was on a mat");
        let far = cosine(query, "stock prices fell sharply yesterday");
        assert!(near > far + 0.2, "{near} {far}");
        assert!(cosine("swimming", "swimmer") > cosine("swimming", "quantum") + 0.1);
    }
}
