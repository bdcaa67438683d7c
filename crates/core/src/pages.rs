//! Memory for the tables of large caches, in large pages where the system gives them on demand: a processor looks up where a page
//! is before it can ask for what is in it, and remembers too few pages of four kilobytes. On Linux; elsewhere, and
//! for all that is small, the system's own allocator.
//! Gorman & Whitcroft, "Supporting the allocation of large contiguous regions of memory", Linux Symposium, 2007.
#![allow(unsafe_code)] // each block says why it is sound

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes from which on a block is in large pages: those of one.
const LARGE: usize = 1 << 21;

/// The allocator of the core, and of all that is linked to it.
pub struct LargePages;

#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

/// Whether blocks of this layout have pages of their own.
fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= linux::ALIGN
}

// SAFETY: blocks are either the system allocator's or mapped for nobody else, and which of them depends on the layout alone.
unsafe impl GlobalAlloc for LargePages {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return linux::map(layout.size());
        }
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return linux::map(layout.size()); // new pages are zero
        }
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: by its layout, this is how the block was allocated.
        unsafe { if is_large(layout) { linux::unmap(block, layout.size()) } else { System.dealloc(block, layout) } }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size is possible with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_large(layout), is_large(wanted)) {
            // SAFETY: as promised by the caller; neither block is mapped.
            (false, false) => unsafe { System.realloc(block, layout, size) },
            // SAFETY: the block was mapped with this size.
            (true, true) => unsafe { linux::remap(block, layout.size(), size) },
            // SAFETY: two blocks, both of at least so many bytes.
            _ => unsafe {
                let other = self.alloc(wanted);
                if !other.is_null() {
                    other.copy_from_nonoverlapping(block, size.min(layout.size()));
                    self.dealloc(block, layout);
                }
                other
            },
        }
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use std::ffi::{c_int, c_long, c_void};
    use std::ptr::null_mut;

    /// Bytes of a large page.
    pub const ALIGN: usize = 1 << 21;
    /// What lengths are multiples of: no system has larger ordinary pages.
    const PAGE: usize = 1 << 16;

    const READ_AND_WRITE: c_int = 3;
    const PRIVATE_AND_ANONYMOUS: c_int = 0x22;
    const TO_ADDRESS: c_int = 1 | 2;
    const IN_LARGE_PAGES: c_int = 14;

    unsafe extern "C" {
        fn mmap(at: *mut c_void, len: usize, may: c_int, how: c_int, file: c_int, offset: c_long) -> *mut c_void;
        fn munmap(at: *mut c_void, len: usize) -> c_int;
        fn mremap(at: *mut c_void, len: usize, new_len: usize, how: c_int, ...) -> *mut c_void;
        fn madvise(at: *mut c_void, len: usize, advice: c_int) -> c_int;
    }

    fn has_failed(at: *mut c_void) -> bool {
        at.addr() == usize::MAX
    }

    /// New pages for so many bytes, all zero, that begin where a large page may; null when there are none.
    #[cold]
    pub fn map(size: usize) -> *mut u8 {
        let Some(len) = size.checked_next_multiple_of(PAGE) else { return null_mut() };
        let Some(all) = len.checked_add(ALIGN) else { return null_mut() };
        // SAFETY: the system chooses an address that is free. Of what it gives, the ends that are not needed are given back;
        // nobody knows of them. The advice changes no byte, and may be ignored.
        unsafe {
            let start = mmap(null_mut(), all, READ_AND_WRITE, PRIVATE_AND_ANONYMOUS, -1, 0);
            if has_failed(start) {
                return null_mut();
            }
            let before = start.addr().next_multiple_of(ALIGN) - start.addr();
            let block = start.byte_add(before);
            if before > 0 {
                munmap(start, before);
            }
            if before < ALIGN {
                munmap(block.byte_add(len), ALIGN - before);
            }
            madvise(block, len, IN_LARGE_PAGES);
            block.cast()
        }
    }

    /// Gives back what [`map`] gave for so many bytes.
    ///
    /// # Safety
    /// Nobody uses it any more.
    #[cold]
    pub unsafe fn unmap(block: *mut u8, size: usize) {
        // SAFETY: these are the pages of the block, and of nothing else.
        unsafe { munmap(block.cast(), size.next_multiple_of(PAGE)) };
    }

    /// The pages of a block of so many bytes, as one of another size; null when there are none, and then nothing has changed.
    ///
    /// # Safety
    /// The block is from [`map`] with that size, and nobody uses it any more if this succeeds.
    #[cold]
    pub unsafe fn remap(block: *mut u8, size: usize, wanted: usize) -> *mut u8 {
        let Some(len) = wanted.checked_next_multiple_of(PAGE) else { return null_mut() };
        // SAFETY: pages of the block stay, or move to an address that was mapped for them just now, large ones whole.
        unsafe {
            let old = size.next_multiple_of(PAGE);
            let same = mremap(block.cast(), old, len, 0);
            if !has_failed(same) {
                return same.cast();
            }
            let place = map(wanted);
            if place.is_null() || !has_failed(mremap(block.cast(), old, len, TO_ADDRESS, place)) {
                return place;
            }
            unmap(place, wanted);
            null_mut()
        }
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod linux {
    /// No block can be aligned to this.
    pub const ALIGN: usize = 0;

    pub fn map(_size: usize) -> *mut u8 {
        unreachable!("no block is large")
    }

    pub unsafe fn unmap(_block: *mut u8, _size: usize) {
        unreachable!("no block is large")
    }

    pub unsafe fn remap(_block: *mut u8, _size: usize, _wanted: usize) -> *mut u8 {
        unreachable!("no block is large")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_blocks_begin_as_zero_and_keep_what_is_in_them_while_they_grow_and_shrink() {
        let words = LARGE / size_of::<u64>();
        let mut block = vec![0u64; words + 1];
        assert!(block.iter().all(|&word| word == 0));
        block.iter_mut().zip(0..).for_each(|(word, at)| *word = at);
        for size in [words + 1, 3 * words, 9 * words, 2 * words, words / 2, 2 * words] {
            block.reserve_exact(size.saturating_sub(block.len()));
            block.truncate(size);
            block.shrink_to_fit();
            let known = block.len();
            assert!(block.iter().zip(0..).all(|(&word, at)| word == at), "{size}");
            block.extend(known as u64..size as u64);
            assert_eq!(block.len(), size);
        }
    }

    #[test]
    fn large_blocks_begin_where_a_large_page_may() {
        for size in [LARGE, LARGE + 1, 5 * LARGE - 7] {
            let block: Vec<u8> = Vec::with_capacity(size);
            assert_eq!(block.as_ptr().addr() % linux::ALIGN.max(1), 0);
        }
    }

    #[test]
    fn blocks_that_cannot_be_are_refused() {
        let mut block: Vec<u8> = Vec::with_capacity(LARGE);
        assert!(block.try_reserve_exact(isize::MAX as usize / 2).is_err());
        assert_eq!(block.capacity(), LARGE);
    }
}
