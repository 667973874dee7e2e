//! The records that most calls are made of, as Rust types: so that a call made of nothing else need not become a tree of
//! `Val`s (`typed.rs`). They are known by their shape alone; which interface uses them, and for what, is not known here.

use wasmtime::component::types::Type;
use wasmtime::component::{ComponentType, Lift, Lower, StreamReader};

/// A Rust type that stands for a type of components.
pub trait Shape {
    /// Whether `ty` is what this stands for, to the last name.
    fn is(ty: &Type) -> bool;
}

macro_rules! plain {
    ($($rust:ty => $own:ident),*) => {$(
        impl Shape for $rust {
            fn is(ty: &Type) -> bool {
                matches!(ty, Type::$own)
            }
        }
    )*};
}
plain!(bool => Bool, u16 => U16, u32 => U32, f32 => Float32, String => String);

impl<T: Shape> Shape for Option<T> {
    fn is(ty: &Type) -> bool {
        matches!(ty, Type::Option(option) if T::is(&option.ty()))
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn is(ty: &Type) -> bool {
        matches!(ty, Type::List(list) if T::is(&list.ty()))
    }
}

impl<T: Shape> Shape for StreamReader<T> {
    fn is(ty: &Type) -> bool {
        matches!(ty, Type::Stream(stream) if stream.ty().is_some_and(|ty| T::is(&ty)))
    }
}

impl<T: Shape, E: Shape> Shape for Result<T, E> {
    fn is(ty: &Type) -> bool {
        let Type::Result(result) = ty else { return false };
        result.ok().is_some_and(|ty| T::is(&ty)) && result.err().is_some_and(|ty| E::is(&ty))
    }
}

macro_rules! record {
    ($name:ident { $($field:ident $text:literal: $ty:ty),* $(,)? }) => {
        #[derive(ComponentType, Lift, Lower)]
        #[component(record)]
        pub struct $name {
            $(#[component(name = $text)] $field: $ty,)*
        }

        impl Shape for $name {
            fn is(ty: &Type) -> bool {
                let Type::Record(record) = ty else { return false };
                let mut fields = record.fields();
                $(fields.next().is_some_and(|field| field.name == $text && <$ty>::is(&field.ty)) &&)*
                fields.next().is_none()
            }
        }
    };
}

macro_rules! variant {
    ($name:ident { $($case:ident $text:literal $(($ty:ty))?),* $(,)? }) => {
        #[derive(ComponentType, Lift, Lower)]
        #[component(variant)]
        pub enum $name {
            $(#[component(name = $text)] $case $(($ty))?,)*
        }

        impl Shape for $name {
            fn is(ty: &Type) -> bool {
                let Type::Variant(variant) = ty else { return false };
                let mut cases = variant.cases();
                $(cases.next().is_some_and(|case| case.name == $text && holds!(case.ty $(, $ty)?)) &&)*
                cases.next().is_none()
            }
        }
    };
}

macro_rules! holds {
    ($found:expr) => {
        $found.is_none()
    };
    ($found:expr, $ty:ty) => {
        $found.is_some_and(|ty| <$ty>::is(&ty))
    };
}

record!(Problem { field "field": String, message "message": String });
record!(Failure { message "message": String, status "status": Option<u16> });
variant!(Reason {
    Invalid "invalid"(Vec<Problem>),
    UnsupportedMedia "unsupported-media"(String),
    TooLarge "too-large"(String),
    UnknownModel "unknown-model"(String),
    NotConfigured "not-configured"(String),
    Rejected "rejected"(Failure),
    Denied "denied"(Failure),
    RateLimited "rate-limited"(Option<u32>),
    Unavailable "unavailable"(Failure),
    Failed "failed"(Failure),
    Timeout "timeout",
    Processing "processing"(String),
    Internal "internal"(String),
});
record!(Error { reason "reason": Reason, attempts "attempts": u32 });
record!(Served {
    model "model": String,
    provider "provider": String,
    attempts "attempts": u32,
    fallback_index "fallback-index": u32,
    placeholder "placeholder": bool,
});
variant!(Fallback { Chain "chain", Off "off", Models "models"(Vec<String>) });
record!(Control {
    timeout_ms "timeout-ms": Option<u32>,
    first_token_timeout_ms "first-token-timeout-ms": Option<u32>,
    retries "retries": Option<u32>,
    fallback "fallback": Fallback,
});
record!(Budget {
    timeout_ms "timeout-ms": u32,
    first_token_timeout_ms "first-token-timeout-ms": Option<u32>,
    retries "retries": Option<u32>,
});

#[expect(dead_code, reason = "components make them")]
#[derive(ComponentType, Lift, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub enum Role {
    #[component(name = "system")]
    System,
    #[component(name = "user")]
    User,
    #[component(name = "assistant")]
    Assistant,
    #[component(name = "tool")]
    Tool,
}

impl Shape for Role {
    fn is(ty: &Type) -> bool {
        matches!(ty, Type::Enum(role) if role.names().eq(["system", "user", "assistant", "tool"]))
    }
}

record!(Message { role "role": Role, text "text": Option<String>, more "more": Option<String> });
record!(Conversation {
    messages "messages": Vec<Message>,
    max_tokens "max-tokens": Option<u32>,
    temperature "temperature": Option<f32>,
    more "more": Option<String>,
});
record!(Usage {
    prompt_tokens "prompt-tokens": u32,
    completion_tokens "completion-tokens": u32,
    total_tokens "total-tokens": u32,
    more "more": Option<String>,
});
record!(Completion {
    text "text": Option<String>,
    finish_reason "finish-reason": String,
    usage "usage": Option<Usage>,
    more "more": Option<String>,
    choices "choices": Option<String>,
});
variant!(Token {
    Text "text"(String),
    More "more"(String),
    Choice "choice"(String),
    Finished "finished"(String),
    Usage "usage"(Usage),
    Failed "failed"(Error),
});
record!(Completed { completion "completion": Completion, served "served": Served });
record!(Tokens { tokens "tokens": StreamReader<Token>, served "served": Served });
