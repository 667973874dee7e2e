//! The program's allocator, and what was freed, back to the system.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use libmimalloc_sys::{
    mi_collect, mi_free, mi_malloc, mi_malloc_aligned, mi_option_set, mi_option_t, mi_realloc, mi_realloc_aligned,
    mi_zalloc, mi_zalloc_aligned,
};

/// mimalloc, whose functions for any alignment look at every block's: glibc's allocator was 8 % of the profile.
pub struct Allocator;

/// Every block of mimalloc's is aligned to this (`MI_MAX_ALIGN_SIZE`), or to the largest power of two within its size.
const ALIGNED: usize = 16;

/// Whether a block of a size is aligned well by itself. Nearly all are.
const fn is_aligned(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

#[expect(unsafe_code, reason = "an allocator hands out memory")]
// SAFETY: the functions are an allocator's, and may be called from any thread at any time. A block is aligned as its layout
// wants it, whichever of them gives it; each frees and moves the others' blocks. None unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size may be asked for, and a layout's alignment is a power of two.
        unsafe { if is_aligned(size, align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) }.cast() }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        unsafe { if is_aligned(size, align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) }.cast() }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller has the block from here, and frees it once.
        unsafe { mi_free(block.cast()) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast(), layout.align());
        // SAFETY: the caller has the block from here; it stays where it is only if that is aligned.
        unsafe {
            if is_aligned(size, align) { mi_realloc(block, size) } else { mi_realloc_aligned(block, size, align) }
                .cast()
        }
    }
}

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
pub fn give_back_unused() {
    collect(false);
}

/// The allocator keeps what was freed until somebody needs it. Files of components are tens of megabytes that nobody needs
/// again, so whoever has read some says when it is done.
pub fn give_back() {
    collect(true);
}

#[expect(unsafe_code, reason = "the allocator's own function; it may be called at any time, from any thread")]
fn collect(at_once: bool) {
    // SAFETY: it touches nothing but what is free.
    unsafe { mi_collect(at_once) };
}

/// To be called once, at the start.
#[expect(unsafe_code, reason = "the allocator's own function; it may be called at any time, from any thread")]
pub fn give_back_soon() {
    // SAFETY: it sets a number.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "an allocator's functions are not safe")]
    fn blocks_are_aligned_and_keep_what_is_in_them() {
        let layouts = (0..=6).flat_map(|power| (1..=256).map(move |size| (size, 1_usize << power)));
        let mut kept = Vec::new();
        for (size, align) in layouts {
            let layout = Layout::from_size_align(size, align).expect("a layout");
            for (zeroed, larger) in [(false, size * 3), (true, size.div_ceil(3)), (true, size + 1)] {
                // SAFETY: no size is 0, nothing is read that was not written or zeroed, and each block is freed once, below.
                unsafe {
                    let block = if zeroed { Allocator.alloc_zeroed(layout) } else { Allocator.alloc(layout) };
                    assert!(block.addr() % align == 0, "{size} bytes at {align}");
                    if zeroed {
                        assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == 0), "{size} bytes");
                    }
                    block.write_bytes(size as u8, size);
                    let block = Allocator.realloc(block, layout, larger);
                    assert!(block.addr() % align == 0, "{size} to {larger} bytes at {align}");
                    let same = std::slice::from_raw_parts(block, size.min(larger));
                    assert!(same.iter().all(|byte| *byte == size as u8), "{size} to {larger} bytes at {align}");
                    // The next one lies elsewhere, so that not all are the first of their page.
                    kept.push((block, Layout::from_size_align(larger, align).expect("a layout")));
                }
            }
        }
        for (block, layout) in kept {
            // SAFETY: as above.
            unsafe { Allocator.dealloc(block, layout) };
        }
    }
}
