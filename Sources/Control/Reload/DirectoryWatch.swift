import CEpoll
import Glibc
import Reactor

/// Tells when something changed in the directory of a file. The directory is watched rather than the file, because
/// careful writers replace the file by a rename, and Kubernetes swaps a symbolic link (`..data`) beside it: both leave
/// the watched inode behind.
package final class DirectoryWatch: Sendable {
    private static let interesting = UInt32(
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF)

    /// Yields once for any number of changes since it was last looked at.
    package let changes: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let path: String
    private let descriptor: Int32
    private let stopDescriptor: Int32

    /// Throws if the kernel has no watch to give or the directory cannot be read.
    package init(file path: String) throws(SystemError) {
        let descriptor = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
        guard descriptor >= 0 else { throw SystemError(operation: "inotify_init1") }
        let stop = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard stop >= 0 else {
            let error = SystemError(operation: "eventfd")
            close(descriptor)
            throw error
        }
        self.path = path
        self.descriptor = descriptor
        self.stopDescriptor = stop
        (self.changes, self.continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        guard inotify_add_watch(descriptor, Self.directory(of: path), Self.interesting) >= 0 else {
            let error = SystemError(operation: "inotify_add_watch")
            throw error
        }
        self.watchTarget()
    }

    deinit {
        close(self.descriptor)
        close(self.stopDescriptor)
    }

    /// Watches on a thread of its own until `stop`.
    package func start() throws(SystemError) {
        try Thread.start(named: "file-watch") { self.serve() }
    }

    package func stop() {
        var one: UInt64 = 1
        _ = write(self.stopDescriptor, &one, 8)
    }

    private func serve() {
        var descriptors = [
            pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: self.stopDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        var events = [UInt8](repeating: 0, count: 16_384)
        while true {
            let ready = poll(&descriptors, 2, -1)
            if ready < 0, errno != EINTR { break }
            if descriptors[1].revents != 0 { break }
            var changed = false
            while events.withUnsafeMutableBytes({ read(self.descriptor, $0.baseAddress, $0.count) }) > 0 {
                changed = true
            }
            if changed {
                // A link may lead elsewhere now. Watching the same directory again is no new watch.
                self.watchTarget()
                self.continuation.yield()
            }
        }
        self.continuation.finish()
    }

    /// Watches the directory in which the file really is, too. Failing is no harm: the link's own directory is watched.
    private func watchTarget() {
        guard let resolved = realpath(self.path, nil) else { return }
        defer { free(resolved) }
        _ = inotify_add_watch(self.descriptor, Self.directory(of: String(cString: resolved)), Self.interesting)
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
