import CEpoll
import Glibc
import Reactor

/// Tells when something changed on the way to a file: the file, its directory, or any link or directory above it.
/// Careful writers replace the file by a rename, Kubernetes swaps a link beside it (`..data`), deployments switch a link
/// above it: each leaves the inodes behind on which a simpler watch would wait. One descriptor, and as many watches as the
/// path has directories.
package final class PathWatch: Sendable {
    private static let directoryEvents = UInt32(
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
    )
    /// Writing through another name of the file, such as that outside of a container, tells its directory here nothing.
    private static let fileEvents = UInt32(IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

    /// Yields once for any number of changes since it was last asked.
    package let changes: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    /// Absolute.
    private let path: String
    private let descriptor: Int32
    private let stopDescriptor: Int32

    /// Watches from now on, on a thread of its own, until `stop`. Throws if the kernel has no watch or thread to give.
    package init(file path: String) throws(SystemError) {
        let descriptor = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
        guard descriptor >= 0 else { throw SystemError(operation: "inotify_init1") }
        let stop = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard stop >= 0 else {
            let error = SystemError(operation: "eventfd")
            close(descriptor)
            throw error
        }
        self.path = Self.absolute(path)
        self.descriptor = descriptor
        self.stopDescriptor = stop
        (self.changes, self.continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        let watches = self.walk()
        guard !watches.isEmpty else { throw SystemError(operation: "inotify_add_watch") }
        try Thread.start(named: "file-watch") { self.serve(watches) }
    }

    deinit {
        close(self.descriptor)
        close(self.stopDescriptor)
    }

    package func stop() {
        var one: UInt64 = 1
        _ = write(self.stopDescriptor, &one, 8)
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let present = getcwd(nil, 0) else { return path }
        defer { free(present) }
        return String(cString: present) + "/" + path
    }

    private func serve(_ first: [Int32: Set<String>]) {
        var watches = first
        var descriptors = [
            pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: self.stopDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        var events = [UInt8](repeating: 0, count: 16_384)
        while true {
            if poll(&descriptors, 2, -1) < 0, errno != EINTR { break }
            if descriptors[1].revents != 0 { break }
            var concerns = false
            while true {
                let count = events.withUnsafeMutableBytes { read(self.descriptor, $0.baseAddress, $0.count) }
                guard count > 0 else { break }
                if Self.concern(watches, events[..<count]) { concerns = true }
            }
            guard concerns else { continue }
            // What the path leads through may be others now. First the watches, then whoever reads the file: what
            // changes while it is read is told again.
            let present = self.walk()
            for watch in watches.keys where present[watch] == nil { inotify_rm_watch(self.descriptor, watch) }
            watches = present
            self.continuation.yield()
        }
        self.continuation.finish()
    }

    /// Whether one of the events is of something that the path leads through. Directories such as /tmp and / have others.
    private static func concern(_ watches: [Int32: Set<String>], _ events: ArraySlice<UInt8>) -> Bool {
        let header = MemoryLayout<inotify_event>.size
        return events.withUnsafeBytes { bytes in
            var offset = 0
            while offset + header <= bytes.count {
                let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                let name = bytes[(offset + header)...].prefix(Int(event.len)).prefix { $0 != 0 }
                offset += header + Int(event.len)
                if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { return true }
                // Of a watch that was given up: its end, and what happened before it.
                guard event.mask & UInt32(IN_IGNORED) == 0, let names = watches[event.wd] else { continue }
                if name.isEmpty || names.contains(String(decoding: name, as: UTF8.self)) { return true }
            }
            return false
        }
    }

    // MARK: the way to the file

    /// As the kernel allows.
    private static let linkLimit = 40

    /// Walks the path as the kernel does, link by link, and watches each directory before it asks what is in there, so that
    /// no change falls between the two. Answers the watches, with the names in each that matter. Where a directory may not
    /// be read the others are watched.
    private func walk() -> [Int32: Set<String>] {
        var watches: [Int32: Set<String>] = [:]
        // The next is the last.
        var names: [Substring] = Self.names(self.path)
        var directory = ""
        var links = 0
        while let name = names.popLast() {
            if name == "." { continue }
            if name == ".." {
                directory = directory.lastIndex(of: "/").map { String(directory[..<$0]) } ?? ""
                continue
            }
            let place = directory.isEmpty ? "/" : directory
            let watch = inotify_add_watch(self.descriptor, place, Self.directoryEvents | UInt32(IN_ONLYDIR))
            if watch >= 0 { watches[watch, default: []].insert(String(name)) }
            let present = "\(directory)/\(name)"
            guard let kind = try? FileKind.at(present, followsLinks: false) else { break }
            switch kind {
            case .link:
                links += 1
                guard links <= Self.linkLimit, let target = Self.target(of: present) else { return watches }
                if target.hasPrefix("/") { directory = "" }
                names += Self.names(target)
            case .directory: directory = present
            case .regular, .pipe, .other:
                guard names.isEmpty else { return watches }
                let watch = inotify_add_watch(self.descriptor, present, Self.fileEvents)
                if watch >= 0 { watches[watch, default: []] = [] }
            }
        }
        return watches
    }

    /// The last first.
    private static func names(_ path: String) -> [Substring] {
        path.split(separator: "/").reversed()
    }

    private static func target(of link: String) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink(link, &bytes, bytes.count)
        guard length > 0 else { return nil }
        return String(decoding: bytes[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
