import Glibc

/// The file that a store was opened from. SQLite goes on reading one that was deleted, and what it has read of one that was
/// cut off: neither would be noticed before a query failed.
struct ServedFile: Sendable {
    private let path: String
    private let identity: Identity?

    private struct Identity: Equatable {
        let device: dev_t
        let number: ino_t
    }

    init(_ path: String) {
        self.path = path
        identity = Self.status(of: path)?.identity
    }

    /// - Throws: ``StoreError/unavailable(_:)`` when the file is not the one that was opened, or not all of it is there.
    func check() throws(StoreError) {
        guard let (current, length) = Self.status(of: path) else { throw .unavailable("no file at \(path)") }
        guard current == identity else { throw .unavailable("another file is at \(path)") }
        guard let expected = Self.length(toldBy: path), length >= expected else {
            throw .unavailable("\(path) is cut off")
        }
    }

    private static func status(of path: String) -> (identity: Identity, length: Int)? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return (Identity(device: status.st_dev, number: status.st_ino), status.st_size)
    }

    /// How long the file's own header says that it is; nil without a whole header.
    private static func length(toldBy path: String) -> Int? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var header = [UInt8](repeating: 0, count: 100)
        guard pread(descriptor, &header, 100, 0) == 100 else { return nil }
        func number(_ range: Range<Int>) -> Int { header[range].reduce(0) { $0 << 8 | Int($1) } }
        // The number of pages counts only where the two change counters agree; a page size of 1 means 65536.
        guard number(24..<28) == number(92..<96) else { return 0 }
        let page = number(16..<18)
        return (page == 1 ? 65_536 : page) * number(28..<32)
    }
}
