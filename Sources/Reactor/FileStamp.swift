import Glibc

/// Which file stands at a path, and which state of it: another one has another stamp. Through links, as a secret of Kubernetes
/// is swapped.
package struct FileStamp: Sendable, Equatable {
    package let path: String
    private var device: UInt64 = 0
    private var inode: UInt64 = 0
    private var size: Int64 = -1
    private var seconds: Int64 = 0
    private var nanoseconds: Int64 = 0
    private var changed: Int64 = 0

    /// As it is now. Blocks for as long as the file system takes.
    package init(_ path: String) {
        self.path = path
        var found = stat()
        guard stat(path, &found) == 0 else { return }
        self.device = UInt64(found.st_dev)
        self.inode = UInt64(found.st_ino)
        self.size = Int64(found.st_size)
        self.seconds = Int64(found.st_mtim.tv_sec)
        self.nanoseconds = Int64(found.st_mtim.tv_nsec)
        self.changed = Int64(found.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(found.st_ctim.tv_nsec)
    }
}
