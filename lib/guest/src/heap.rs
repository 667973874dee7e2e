//! A component's memory for small things.
//!
//! What a request allocates is small, soon freed, and of the same sizes as the last one's. The allocator that the target
//! brings looks for the best place each time, some 65 instructions on either way, which is a tenth of a chat's way through
//! the components; here a block of a size comes from a list of those that were freed, in about ten. Blocks are never joined
//! again: an instance's memory does not shrink anyway, and it ends with the instance.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Sizes are multiples of it, and so are addresses.
const STEP: usize = 16;
/// What is larger, or stricter in its alignment, is the system's.
const LARGEST: usize = 1024;
const CLASSES: usize = LARGEST / STEP;
/// What is taken from the system at once: few pages for an instance that does little.
const PIECE: usize = 4096;

pub struct Heap(UnsafeCell<State>);

struct State {
    /// By size, the block freed last, whose first word says which was freed before.
    freed: [*mut u8; CLASSES],
    /// What is left of the last piece.
    rest: *mut u8,
    left: usize,
}

// SAFETY: components have one thread, and only they make it their allocator.
#[expect(unsafe_code, reason = "see above")]
unsafe impl Sync for Heap {}

impl Heap {
    pub const fn new() -> Self {
        Heap(UnsafeCell::new(State { freed: [ptr::null_mut(); CLASSES], rest: ptr::null_mut(), left: 0 }))
    }
}

/// The place in `freed` of blocks for a layout; none for the system's.
#[inline(always)]
fn class(layout: Layout) -> Option<usize> {
    // Nobody asks for nothing.
    let class = layout.size().wrapping_sub(1) / STEP;
    (class < CLASSES && layout.align() <= STEP).then_some(class)
}

const fn bytes_of(class: usize) -> usize {
    (class + 1) * STEP
}

impl State {
    #[expect(unsafe_code, reason = "it hands out memory")]
    #[inline(always)]
    fn take(&mut self, class: usize) -> *mut u8 {
        let block = self.freed[class];
        if block.is_null() {
            return self.carve(class);
        }
        // SAFETY: it was a block of ours, large and aligned enough for a pointer, and `give` wrote one there.
        self.freed[class] = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    #[expect(unsafe_code, reason = "it takes memory back")]
    #[inline(always)]
    fn give(&mut self, class: usize, block: *mut u8) {
        // SAFETY: the block is ours and nobody's any more; see `take`.
        unsafe { block.cast::<*mut u8>().write(self.freed[class]) };
        self.freed[class] = block;
    }

    #[expect(unsafe_code, reason = "it hands out memory")]
    #[cold]
    #[inline(never)]
    fn carve(&mut self, class: usize) -> *mut u8 {
        let bytes = bytes_of(class);
        if self.left < bytes {
            // SAFETY: the size is not zero, and the alignment a power of two.
            let piece = unsafe { System.alloc(Layout::from_size_align_unchecked(PIECE, STEP)) };
            if piece.is_null() {
                return piece;
            }
            if self.left >= STEP {
                self.give(self.left / STEP - 1, self.rest);
            }
            (self.rest, self.left) = (piece, PIECE);
        }
        let block = self.rest;
        // SAFETY: that many bytes are left there.
        self.rest = unsafe { block.add(bytes) };
        self.left -= bytes;
        block
    }
}

/// The system's own, apart: what is inlined of it would have the quick way save registers and stack for nothing.
#[expect(unsafe_code, reason = "an allocator")]
mod system {
    use super::{GlobalAlloc, Layout, System};

    #[cold]
    #[inline(never)]
    pub unsafe fn alloc(layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    #[cold]
    #[inline(never)]
    pub unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[cold]
    #[inline(never)]
    pub unsafe fn dealloc(block: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { System.dealloc(block, layout) }
    }

    #[cold]
    #[inline(never)]
    pub unsafe fn realloc(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller's.
        unsafe { System.realloc(block, layout, size) }
    }
}

// SAFETY: each block is of one piece, in one list or in one hand, and as large and aligned as its layout asks; what is not of
// a class goes to the system and comes back to it, since that is decided by the layout alone.
#[expect(unsafe_code, reason = "an allocator")]
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            // SAFETY: one thread, and nothing of the state outlives the call.
            Some(class) => unsafe { &mut *self.0.get() }.take(class),
            // SAFETY: as the caller's.
            None => unsafe { system::alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            // SAFETY: as in `alloc`.
            Some(class) => unsafe { &mut *self.0.get() }.give(class, block),
            // SAFETY: as the caller's.
            None => unsafe { system::dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(layout).is_none() {
            // SAFETY: as the caller's.
            return unsafe { system::alloc_zeroed(layout) };
        }
        // SAFETY: as the caller's, and so many bytes are there.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                ptr::write_bytes(block, 0, layout.size());
            }
            block
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that the size is one for a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            (None, None) => {
                // SAFETY: as the caller's.
                unsafe { system::realloc(block, layout, size) }
            }
            (had, wants) if had == wants => block,
            _ => {
                // SAFETY: the old block is the caller's, the new one ours, and both are as large as what is copied.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block and what stands in it.
    struct Block {
        at: *mut u8,
        layout: Layout,
        mark: u8,
    }

    #[expect(unsafe_code, reason = "an allocator is called")]
    impl Block {
        fn fill(&self) {
            // SAFETY: it is as large as its layout.
            unsafe { ptr::write_bytes(self.at, self.mark, self.layout.size()) };
        }

        fn holds(&self, bytes: usize) -> bool {
            // SAFETY: no more is looked at than was filled.
            unsafe { std::slice::from_raw_parts(self.at, bytes) }.iter().all(|byte| *byte == self.mark)
        }
    }

    /// Numbers without rhyme, the same each time.
    fn numbers() -> impl FnMut(usize) -> usize {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "an allocator is called")]
    fn blocks_keep_what_is_written_to_them() {
        let heap = Heap::new();
        let mut number = numbers();
        let mut blocks: Vec<Block> = Vec::new();
        for round in 0..50_000 {
            let mark = (round % 251) as u8;
            let size = 1 + if number(10) == 0 { number(5000) } else { number(200) };
            match number(3) {
                0 | 1 if blocks.len() < 500 => {
                    let layout = Layout::from_size_align(size, 1 << number(7)).expect("a layout");
                    let zeroed = number(4) == 0;
                    // SAFETY: the size is not zero.
                    let at = unsafe { if zeroed { heap.alloc_zeroed(layout) } else { heap.alloc(layout) } };
                    assert!(!at.is_null() && at.addr().is_multiple_of(layout.align()), "{layout:?}");
                    let block = Block { at, layout, mark: 0 };
                    assert!(!zeroed || block.holds(size), "{layout:?} is not zero");
                    let block = Block { mark, ..block };
                    block.fill();
                    blocks.push(block);
                }
                2 if !blocks.is_empty() => {
                    let place = number(blocks.len());
                    let Block { at, layout, mark } = blocks[place];
                    // SAFETY: it is a block of this heap, with its layout.
                    let at = unsafe { heap.realloc(at, layout, size) };
                    let kept = layout.size().min(size);
                    let layout = Layout::from_size_align(size, layout.align()).expect("a layout");
                    let block = Block { at, layout, mark };
                    assert!(at.addr().is_multiple_of(layout.align()) && block.holds(kept), "{layout:?}");
                    block.fill();
                    blocks[place] = block;
                }
                _ if !blocks.is_empty() => {
                    let block = blocks.swap_remove(number(blocks.len()));
                    assert!(block.holds(block.layout.size()), "another wrote to {:?}", block.layout);
                    // SAFETY: it is a block of this heap, with its layout.
                    unsafe { heap.dealloc(block.at, block.layout) };
                }
                _ => {}
            }
        }
        assert!(blocks.iter().all(|block| block.holds(block.layout.size())));
    }

    #[test]
    #[expect(unsafe_code, reason = "an allocator is called")]
    fn what_was_freed_is_used_again() {
        let heap = Heap::new();
        let layout = Layout::from_size_align(100, 8).expect("a layout");
        // SAFETY: the size is not zero, and what is freed is not used.
        let (first, second) = unsafe {
            let first = heap.alloc(layout);
            heap.dealloc(first, layout);
            (first, heap.alloc(Layout::from_size_align(112, 1).expect("a layout")))
        };
        assert_eq!(first, second);
    }
}
