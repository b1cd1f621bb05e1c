import Glibc

/// A file's next content, written beside it and put in its place as a whole: whoever reads the file sees the old one or the new
/// one. Owner, group and mode are those of the old one. A link stays one: what it leads to is replaced.
///
/// Blocks for as long as the file system takes.
package final class FileReplacement {
    /// What is replaced, without links.
    private let path: String
    private let temporary: String
    private let descriptor: Int32
    private var isInPlace = false

    /// Makes sure that the file can be replaced: makes the new one beside it, empty as yet. Throws why not.
    package init(of path: String) throws(SystemError) {
        guard let resolved = realpath(path, nil) else { throw SystemError(operation: "realpath") }
        defer { free(resolved) }
        let target = String(cString: resolved)
        var status = stat()
        guard stat(target, &status) == 0 else { throw SystemError(operation: "stat") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError(operation: "replace", code: EINVAL) }
        // Whoever may not write the file must not replace it either, though the directory would let him.
        guard access(target, W_OK) == 0 else { throw SystemError(operation: "access") }
        var template = Array("\(target).XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw SystemError(operation: "create beside it") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        self.path = target
        self.temporary = template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
        self.descriptor = descriptor
        // Only root gives files away; whose file it is already need not.
        if fchown(descriptor, status.st_uid, status.st_gid) != 0,
            status.st_uid != geteuid() || status.st_gid != getegid()
        {
            throw SystemError(operation: "chown")
        }
        guard fchmod(descriptor, status.st_mode & 0o7777) == 0 else { throw SystemError(operation: "chmod") }
    }

    deinit {
        close(self.descriptor)
        if !self.isInPlace { unlink(self.temporary) }
    }

    /// Puts the file with this content in place. It is on the disk when this returns. Throws why that cannot be; then the old one
    /// stands.
    package func put(_ bytes: [UInt8]) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(self.descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemError(operation: "write") }
            rest = rest.dropFirst(count)
        }
        guard fsync(self.descriptor) == 0 else { throw SystemError(operation: "fsync") }
        guard rename(self.temporary, self.path) == 0 else { throw SystemError(operation: "rename") }
        self.isInPlace = true
        // The name, too, must outlive a loss of power; where a directory cannot be told so, it will sooner or later.
        let end = self.path.lastIndex(of: "/") ?? self.path.startIndex
        let directory = open(
            end == self.path.startIndex ? "/" : String(self.path[..<end]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            _ = fsync(directory)
            close(directory)
        }
    }
}
