//! Packs all-MiniLM-L6-v2 for the component: weights as 8-bit rows with a scale each, the vocabulary as a table.
//!
//! `pack MODEL_DIRECTORY FILE`, where the directory holds `model.safetensors` and `vocab.txt` as published. Equal input gives equal bytes.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;

#[path = "../src/packed.rs"]
#[expect(dead_code, reason = "the reader's half")]
mod packed;

use packed::{ALIGNMENT, HIDDEN, INNER, LAYERS, MAGIC, NO_WORD, POSITIONS, SLOTS, WORDS};

/// The root of a head's size, by which queries are divided.
const HEAD_ROOT: f32 = 5.656_854;

fn main() -> Result<(), Box<dyn Error>> {
    let [directory, file] = <[String; 2]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: pack MODEL_DIRECTORY FILE")?;
    let directory = Path::new(&directory);
    let tensors = Tensors::read(&directory.join("model.safetensors"))?;
    let vocabulary = fs::read_to_string(directory.join("vocab.txt"))?;

    let mut pack = Pack { bytes: MAGIC.to_vec() };
    pack.vocabulary(&vocabulary)?;
    let (words, scales) = quantised(&tensors.get("embeddings.word_embeddings.weight", WORDS * HIDDEN)?, HIDDEN);
    pack.add(&words);
    pack.add(&scales);
    let kind = tensors.get("embeddings.token_type_embeddings.weight", 2 * HIDDEN)?;
    let mut positions = tensors.get("embeddings.position_embeddings.weight", 512 * HIDDEN)?;
    positions.truncate(POSITIONS * HIDDEN);
    for row in positions.chunks_exact_mut(HIDDEN) {
        row.iter_mut().zip(&kind).for_each(|(value, kind)| *value += kind);
    }
    pack.add(&positions);
    pack.norm(&tensors, "embeddings.LayerNorm")?;
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let queries = (name("attention.self.query"), 1.0 / HEAD_ROOT);
        let (keys, values) = ((name("attention.self.key"), 1.0), (name("attention.self.value"), 1.0));
        pack.matrix(&tensors, &[queries, keys, values], HIDDEN, HIDDEN)?;
        pack.matrix(&tensors, &[(name("attention.output.dense"), 1.0)], HIDDEN, HIDDEN)?;
        pack.norm(&tensors, &name("attention.output.LayerNorm"))?;
        pack.matrix(&tensors, &[(name("intermediate.dense"), 1.0)], INNER, HIDDEN)?;
        pack.matrix(&tensors, &[(name("output.dense"), 1.0)], HIDDEN, INNER)?;
        pack.norm(&tensors, &name("output.LayerNorm"))?;
    }
    fs::write(&file, &pack.bytes)?;
    println!("{file}: {} bytes", pack.bytes.len());
    Ok(())
}

struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    fn add<T: bytemuck::NoUninit>(&mut self, values: &[T]) {
        self.bytes.extend_from_slice(bytemuck::cast_slice(values));
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }

    fn norm(&mut self, tensors: &Tensors, name: &str) -> Result<(), Box<dyn Error>> {
        self.add(&tensors.get(&format!("{name}.weight"), HIDDEN)?);
        self.add(&tensors.get(&format!("{name}.bias"), HIDDEN)?);
        Ok(())
    }

    /// One or several matrices under one another, each times its factor.
    fn matrix(
        &mut self,
        tensors: &Tensors,
        parts: &[(String, f32)],
        outputs: usize,
        inputs: usize,
    ) -> Result<(), Box<dyn Error>> {
        let (mut rows, mut scales, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        for (name, factor) in parts {
            let (own, own_scales) = quantised(&tensors.get(&format!("{name}.weight"), outputs * inputs)?, inputs);
            rows.extend(own);
            scales.extend(own_scales.iter().map(|scale| scale * factor));
            biases.extend(tensors.get(&format!("{name}.bias"), outputs)?.iter().map(|bias| bias * factor));
        }
        self.add(&rows);
        self.add(&scales);
        self.add(&biases);
        Ok(())
    }

    fn vocabulary(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        let words: Vec<&str> = text.lines().collect();
        if words.len() != WORDS {
            return Err(format!("vocab.txt has {} words, not {WORDS}", words.len()).into());
        }
        let mut slots = vec![NO_WORD; SLOTS];
        for (id, word) in words.iter().enumerate() {
            let (continues, spelling) = match word.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => (true, rest),
                _ => (false, *word),
            };
            let state = spelling.bytes().fold(packed::begin(continues), packed::further);
            let mut slot = packed::place(state);
            while slots[slot] != NO_WORD {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = u16::try_from(id)?;
        }
        let spelling: String = words.concat();
        let ends: Vec<u32> = words
            .iter()
            .scan(0, |end, word| {
                *end += word.len() as u32;
                Some(*end)
            })
            .collect();
        self.add(&[spelling.len() as u32, 0, 0, 0]);
        self.add(&slots);
        self.add(&ends);
        self.add(spelling.as_bytes());
        Ok(())
    }
}

/// Each row at the scale that loses least: a few outliers cut off can make the others finer.
fn quantised(values: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut rows = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / width);
    for row in values.chunks_exact(width) {
        let most = row.iter().fold(0.0_f32, |most, value| most.max(value.abs())).max(1e-12);
        let integer = |value: f32, scale: f32| (value / scale).round().clamp(-127.0, 127.0);
        let loss = |scale: f32| -> f64 {
            row.iter().map(|&value| f64::from(value - integer(value, scale) * scale).powi(2)).sum()
        };
        let scale = (0..=30)
            .map(|step| most / 127.0 * (1.0 - step as f32 * 0.01))
            .min_by(|left, right| loss(*left).total_cmp(&loss(*right)))
            .unwrap_or(most / 127.0);
        rows.extend(row.iter().map(|&value| integer(value, scale) as i8));
        scales.push(scale);
    }
    (rows, scales)
}

/// A safetensors file: a length, a JSON object that says where each tensor lies, and the tensors.
struct Tensors {
    places: HashMap<String, serde_json::Value>,
    data: Vec<u8>,
}

impl Tensors {
    fn read(path: &Path) -> Result<Tensors, Box<dyn Error>> {
        let bytes = fs::read(path)?;
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or("too short")?;
        let (head, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length))?).ok_or("too short")?;
        Ok(Tensors { places: serde_json::from_slice(head)?, data: data.to_vec() })
    }

    fn get(&self, name: &str, count: usize) -> Result<Vec<f32>, Box<dyn Error>> {
        let place = self.places.get(name).ok_or_else(|| format!("no tensor `{name}`"))?;
        let at = |end: usize| place["data_offsets"][end].as_u64().map(|at| at as usize).ok_or("no offsets");
        let bytes = self.data.get(at(0)?..at(1)?).ok_or("too short")?;
        if place["dtype"] != "F32" || bytes.len() != count * 4 {
            return Err(format!("`{name}` is not {count} numbers of 32 bits").into());
        }
        Ok(bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }
}
