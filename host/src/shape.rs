//! What a file is made of, looked at before anything is done with it: counting is cheap, compiling is not.

use wasmparser::{Encoding, Parser, Payload, TypeRef};

/// Why a file is not looked at any further.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Misshapen {
    #[error("the file is empty")]
    Empty,
    #[error("it is not WebAssembly")]
    NotWasm,
    #[error(
        "it is a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    #[error("it is not whole, or not a component: {0}")]
    Broken(String),
    #[error("it has {count} {what}, more than {limit}")]
    TooMany { what: &'static str, count: u64, limit: u64 },
}

/// The most of each, with room above what real components have: a component of ours has up to 3,000 functions, one that
/// carries a Python interpreter about 20,000.
const FUNCTIONS: u64 = 200_000;
const FUNCTION_BYTES: u64 = 2 * 1024 * 1024;
const TYPES: u64 = 50_000;
const TABLES: u64 = 64;
const TABLE_ELEMENTS: u64 = 100_000;
const MEMORIES: u64 = 32;
const SEGMENTS: u64 = 200_000;
const IMPORTS: u64 = 10_000;
const EXPORTS: u64 = 10_000;
/// Core modules and components within one another; `wasm-tools compose` nests four deep.
const DEPTH: u64 = 16;
// This whole platform, composed into one, has 266.
const PARTS: u64 = 512;
const CUSTOM_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Default)]
struct Counts {
    functions: u64,
    types: u64,
    tables: u64,
    memories: u64,
    segments: u64,
    imports: u64,
    exports: u64,
    parts: u64,
    custom: u64,
}

fn at_most(what: &'static str, count: u64, limit: u64) -> Result<(), Misshapen> {
    if count > limit { Err(Misshapen::TooMany { what, count, limit }) } else { Ok(()) }
}

/// Refuses what is no component, and what is one of no sane size. `memory_bytes` is the largest memory it may ask for.
pub fn check(bytes: &[u8], memory_bytes: u64) -> Result<(), Misshapen> {
    if bytes.is_empty() {
        return Err(Misshapen::Empty);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Misshapen::NotWasm);
    }
    let mut counts = Counts::default();
    let mut depth = 0u64;
    let mut first = true;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| Misshapen::Broken(error.message().to_owned()))?;
        match &payload {
            Payload::Version { encoding, .. } if std::mem::take(&mut first) && *encoding == Encoding::Module => {
                return Err(Misshapen::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                counts.parts += 1;
                at_most("levels of nesting", depth, DEPTH)?;
                at_most("modules and components", counts.parts, PARTS)?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) => {
                counts.custom += section.data().len() as u64;
                at_most("bytes of custom sections", counts.custom, CUSTOM_BYTES)?;
            }
            Payload::CodeSectionEntry(body) => {
                at_most("bytes in one function", body.range().len() as u64, FUNCTION_BYTES)?;
            }
            _ => {}
        }
        counts.section(&payload, memory_bytes)?;
    }
    Ok(())
}

impl Counts {
    fn section(&mut self, payload: &Payload<'_>, memory_bytes: u64) -> Result<(), Misshapen> {
        let broken = |error: wasmparser::BinaryReaderError| Misshapen::Broken(error.message().to_owned());
        match payload {
            Payload::FunctionSection(section) => self.functions += u64::from(section.count()),
            Payload::ComponentCanonicalSection(section) => self.functions += u64::from(section.count()),
            Payload::TypeSection(section) => self.types += u64::from(section.count()),
            Payload::CoreTypeSection(section) => self.types += u64::from(section.count()),
            Payload::ComponentTypeSection(section) => self.types += u64::from(section.count()),
            Payload::ElementSection(section) => self.segments += u64::from(section.count()),
            Payload::DataSection(section) => self.segments += u64::from(section.count()),
            Payload::InstanceSection(section) => self.parts += u64::from(section.count()),
            Payload::ComponentInstanceSection(section) => self.parts += u64::from(section.count()),
            Payload::ExportSection(section) => self.exports += u64::from(section.count()),
            Payload::ComponentExportSection(section) => self.exports += u64::from(section.count()),
            Payload::ComponentImportSection(section) => self.imports += u64::from(section.count()),
            Payload::ImportSection(section) => {
                self.imports += u64::from(section.count());
                for import in section.clone().into_imports() {
                    match import.map_err(broken)?.ty {
                        TypeRef::Memory(memory) => self.memory(&memory, memory_bytes)?,
                        TypeRef::Table(table) => self.table(&table)?,
                        _ => {}
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.table(&table.map_err(broken)?.ty)?;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    self.memory(&memory.map_err(broken)?, memory_bytes)?;
                }
            }
            _ => {}
        }
        at_most("functions", self.functions, FUNCTIONS)?;
        at_most("types", self.types, TYPES)?;
        at_most("segments of data and elements", self.segments, SEGMENTS)?;
        at_most("instances", self.parts, PARTS * 4)?;
        at_most("exports", self.exports, EXPORTS)?;
        at_most("imports", self.imports, IMPORTS)
    }

    fn table(&mut self, table: &wasmparser::TableType) -> Result<(), Misshapen> {
        self.tables += 1;
        at_most("tables", self.tables, TABLES)?;
        at_most("elements in a table", table.initial, TABLE_ELEMENTS)
    }

    fn memory(&mut self, memory: &wasmparser::MemoryType, most: u64) -> Result<(), Misshapen> {
        self.memories += 1;
        at_most("memories", self.memories, MEMORIES)?;
        let page = 1u64 << memory.page_size_log2.unwrap_or(16);
        at_most("bytes of memory from the start", memory.initial.saturating_mul(page), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_is_no_component_is_told_from_what_is_broken() {
        assert_eq!(check(b"", 0), Err(Misshapen::Empty));
        assert_eq!(check(b"#!/bin/sh", 0), Err(Misshapen::NotWasm));
        assert_eq!(check(b"\0asm\x01\0\0\0", 0), Err(Misshapen::CoreModule));
        assert!(matches!(check(b"\0asm\x0d\0\x01\0\x07", 0), Err(Misshapen::Broken(_))));
        assert_eq!(check(EMPTY_COMPONENT, 0), Ok(()));
    }

    #[test]
    fn components_within_components_end_somewhere() {
        let nested = (0..20).fold(EMPTY_COMPONENT.to_vec(), |inner, _| {
            let mut outer = EMPTY_COMPONENT.to_vec();
            outer.push(4);
            let mut length = inner.len();
            while length >= 0x80 {
                outer.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
                length >>= 7;
            }
            outer.push(u8::try_from(length).expect("seven bits"));
            outer.extend(inner);
            outer
        });
        assert!(matches!(check(&nested, 0), Err(Misshapen::TooMany { what: "levels of nesting", .. })));
    }
}
