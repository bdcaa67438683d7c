//! Bytes on the heap, counted from what is allocated.

use hashbrown::HashTable;

/// What knows how many bytes it has allocated.
pub trait Memory {
    /// Bytes on the heap.
    fn memory(&self) -> usize;
}

impl<T> Memory for Vec<T> {
    fn memory(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

impl<T> Memory for HashTable<T> {
    fn memory(&self) -> usize {
        self.allocation_size()
    }
}

impl<T: Memory> Memory for Option<T> {
    fn memory(&self) -> usize {
        self.as_ref().map_or(0, T::memory)
    }
}

impl<T: Memory, const N: usize> Memory for [T; N] {
    fn memory(&self) -> usize {
        self.iter().map(T::memory).sum()
    }
}

impl<T: Memory + ?Sized> Memory for Box<T> {
    fn memory(&self) -> usize {
        (**self).memory()
    }
}

/// Implements [`Memory`] as the sum of some fields.
macro_rules! count_memory {
    ($type:ty [$($parameter:tt)*]: $($field:tt),+) => {
        impl<$($parameter)*> $crate::memory::Memory for $type {
            fn memory(&self) -> usize {
                0 $(+ $crate::memory::Memory::memory(&self.$field))+
            }
        }
    };
}
pub(crate) use count_memory;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_allocated() {
        let mut table = HashTable::<u32>::new();
        assert_eq!((Vec::<u64>::with_capacity(10).memory(), table.memory()), (80, 0));
        table.insert_unique(1, 1, |_| 1);
        assert!(table.memory() >= 4);
    }
}
