//! What was freed, back to the system.

use std::cell::Cell;

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// Connections taken apart on a thread that are worth a look at what they have left: some hundred kilobytes.
const WORTH: u32 = 64;

/// `mi_option_purge_delay`, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;
/// A body of 25 MB that passes through takes some 60 ms. With the allocator's own delay of a second it leaves behind each of the
/// buffers that it came in, up to 30 MB of them; steady traffic uses its pages again far sooner than this.
const PURGE_DELAY_MS: std::ffi::c_long = 10;

thread_local! {
    static TAKEN_APART: Cell<u32> = const { Cell::new(0) };
}

/// A connection of this thread has been taken apart (`parked.rs`).
pub fn taken_apart() {
    TAKEN_APART.set(TAKEN_APART.get() + 1);
}

/// Gives back what those have left, where they were many. What is freed on a thread lies there until it looks.
pub fn tidy() {
    if TAKEN_APART.get() >= WORTH {
        TAKEN_APART.set(0);
        give_back();
    } else {
        give_back_unused();
    }
}

/// Gives back what has been free for the delay. The allocator does so when it is asked for memory, and a host at rest asks for
/// none: what its start freed, tens of megabytes, would lie there.
#[expect(unsafe_code, reason = "the allocator's own function; it may be called at any time, from any thread")]
pub fn give_back_unused() {
    // SAFETY: it touches nothing but what is free.
    unsafe { libmimalloc_sys::mi_collect(false) };
}

/// The allocator keeps what was freed until somebody needs it. Files of components are tens of megabytes that nobody needs
/// again, so whoever has read some says when it is done.
#[expect(unsafe_code, reason = "the allocator's own function; it may be called at any time, from any thread")]
pub fn give_back() {
    // SAFETY: it touches nothing but what is free.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// To be called once, at the start.
#[expect(unsafe_code, reason = "the allocator's own function; it may be called at any time, from any thread")]
pub fn give_back_soon() {
    // SAFETY: it sets a number.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}
