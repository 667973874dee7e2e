//! What was freed, back to the system.

/// The allocator keeps what was freed until somebody needs it. Files of components are tens of megabytes that nobody needs
/// again, so whoever has read some says when it is done.
#[expect(unsafe_code, reason = "the allocator's own function; it may be called at any time, from any thread")]
pub fn give_back() {
    // SAFETY: it touches nothing but what is free.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
