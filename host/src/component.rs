//! One version of one component, compiled and looked at.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex};

use crate::link::compatible;
use crate::records::Shape;
use crate::stats::Stats;

/// One version of one component. Lives as long as the newest snapshot that holds it.
pub struct Loaded {
    pub name: String,
    /// Of the file's bytes, in hex.
    pub sha256: String,
    /// `name@first-12-of-sha256`, as answers name it.
    pub label: String,
    pub size_bytes: u64,
    pub code: Component,
    pub imports: Vec<Interface>,
    pub exports: Vec<Interface>,
    pub stats: Arc<Stats>,
}

/// An interface as a component imports or exports it.
pub struct Interface {
    /// With its version: `a:b/c@0.1.0`.
    pub name: String,
    pub functions: Vec<Function>,
}

pub struct Function {
    pub name: String,
    pub is_async: bool,
    ty: ComponentFunc,
    /// Where to find it in an instance; exports only.
    pub index: Option<ComponentExportIndex>,
}

impl Function {
    /// Whether a call written for `self` can be answered by `other`: the same parameters and results, structurally.
    pub fn fits(&self, other: &Function) -> bool {
        self.is_async == other.is_async
            && self.ty.params().map(|(_, ty)| ty).eq(other.ty.params().map(|(_, ty)| ty))
            && self.ty.results().eq(other.ty.results())
    }

    /// Whether it takes these three, and gives this one.
    pub fn has<A: Shape, B: Shape, C: Shape, R: Shape>(&self) -> bool {
        let takes = self.ty.params().map(|(_, ty)| ty).collect::<Vec<_>>();
        let gives = self.ty.results().collect::<Vec<_>>();
        matches!(takes.as_slice(), [a, b, c] if A::is(a) && B::is(b) && C::is(c))
            && matches!(gives.as_slice(), [result] if R::is(result))
    }

    /// Whether a call can be carried from one store into another: its parameters are plain, and what it gives holds one
    /// stream of numbers at most.
    pub fn can_be_carried(&self) -> bool {
        let streams = |types: &mut dyn Iterator<Item = Type>| types.map(|ty| streams(&ty)).sum::<Option<usize>>();
        let parameters = streams(&mut self.ty.params().map(|(_, ty)| ty));
        parameters == Some(0) && streams(&mut self.ty.results()).is_some_and(|count| count <= 1)
    }
}

/// How many streams of numbers lie in a value of this type. None where there can be any number of them, or something else
/// that belongs to one store.
fn streams(ty: &Type) -> Option<usize> {
    let all = |types: &mut dyn Iterator<Item = Type>| types.map(|ty| streams(&ty)).sum();
    match ty {
        Type::Bool | Type::Char | Type::String | Type::Enum(_) | Type::Flags(_) => Some(0),
        Type::S8 | Type::U8 | Type::S16 | Type::U16 | Type::S32 | Type::U32 | Type::S64 | Type::U64 => Some(0),
        Type::Float32 | Type::Float64 => Some(0),
        Type::Stream(stream) => matches!(stream.ty(), Some(Type::U8 | Type::Float32)).then_some(1),
        Type::List(list) => streams(&list.ty()).filter(|count| *count == 0),
        Type::Record(record) => all(&mut record.fields().map(|field| field.ty)),
        Type::Tuple(tuple) => all(&mut tuple.types()),
        Type::Variant(variant) => all(&mut variant.cases().filter_map(|case| case.ty)),
        Type::Option(option) => streams(&option.ty()),
        Type::Result(result) => all(&mut [result.ok(), result.err()].into_iter().flatten()),
        _ => None,
    }
}

impl Interface {
    /// Functions or nothing: an interface of types alone needs no provider.
    pub fn is_types_only(&self) -> bool {
        self.functions.is_empty()
    }
}

impl Loaded {
    /// Looks at what compiled code imports and exports.
    pub fn new(
        engine: &Engine,
        name: &str,
        size_bytes: u64,
        sha256: &str,
        code: Component,
        stats: Arc<Stats>,
    ) -> Arc<Self> {
        let ty = code.component_type();
        let interfaces = |items: &mut dyn Iterator<Item = (String, ComponentItem)>, exported: bool| {
            let mut found = Vec::new();
            for (interface, item) in items {
                let ComponentItem::ComponentInstance(instance) = item else { continue };
                let outer = if exported { code.get_export_index(None, interface.as_str()) } else { None };
                let functions = instance
                    .exports(engine)
                    .filter_map(|(function, item)| match item.ty {
                        ComponentItem::ComponentFunc(ty) => Some(Function {
                            name: function.to_owned(),
                            is_async: ty.async_(),
                            ty,
                            index: outer.and_then(|outer| code.get_export_index(Some(&outer), function)),
                        }),
                        _ => None,
                    })
                    .collect();
                found.push(Interface { name: interface, functions });
            }
            found
        };
        let imports = interfaces(&mut ty.imports(engine).map(|(name, item)| (name.to_owned(), item.ty)), false);
        let exports = interfaces(&mut ty.exports(engine).map(|(name, item)| (name.to_owned(), item.ty)), true);
        Arc::new(Self {
            name: name.to_owned(),
            label: format!("{name}@{}", &sha256[..12]),
            sha256: sha256.to_owned(),
            size_bytes,
            code,
            imports,
            exports,
            stats,
        })
    }

    /// Whether one of the two calls the other, or would if the other were in service.
    pub fn concerns(&self, other: &Loaded) -> bool {
        let meets = |imports: &[Interface], exports: &[Interface]| {
            imports
                .iter()
                .filter(|import| !import.is_types_only())
                .any(|import| exports.iter().any(|export| compatible(&export.name) == compatible(&import.name)))
        };
        meets(&self.imports, &other.exports) || meets(&other.imports, &self.exports)
    }

    /// Whether both import and export functions of the same names, in the same order: then what leads to one leads to
    /// the other.
    pub fn looks_like(&self, other: &Loaded) -> bool {
        let names = |interfaces: &[Interface]| -> Vec<(String, Vec<String>)> {
            let functions = |interface: &Interface| interface.functions.iter().map(|f| f.name.clone()).collect();
            interfaces.iter().map(|interface| (interface.name.clone(), functions(interface))).collect()
        };
        names(&self.imports) == names(&other.imports) && names(&self.exports) == names(&other.exports)
    }
}

/// The hash by which bytes are known.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
