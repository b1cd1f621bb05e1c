import CAllocator

/// The C library's allocator, which keeps what is given back unless it is told not to.
enum Allocator {
    /// To be called before there are other threads.
    static func bound() {
        // Pieces of answers are given back to the kernel as soon as nobody holds them. By itself the threshold would rise
        // with the first that is freed, and all later ones would stay.
        mallopt(M_MMAP_THRESHOLD, 128 * 1024)
        mallopt(M_TRIM_THRESHOLD, 1024 * 1024)
        // Each arena keeps memory of its own; there are as many threads that work as clients of the database.
        mallopt(M_ARENA_MAX, 4)
    }
}
