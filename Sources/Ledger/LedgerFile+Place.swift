import Glibc

extension LedgerFile {
    /// Makes the folder, and those above it, where there are none.
    static func makeFolder(of path: String) throws(LedgerFailure) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let folder = String(path[..<slash])
        if try Self.makeOne(folder) { return }
        try self.makeFolder(of: folder)
        guard try Self.makeOne(folder) else { throw Self.failure("cannot make \(folder)") }
    }

    /// False: there is nowhere to make it.
    private static func makeOne(_ folder: String) throws(LedgerFailure) -> Bool {
        // Another thread may have taken rights from what this process makes just now.
        if mkdir(folder, 0o700) == 0 { return chmod(folder, 0o700) == 0 }
        if errno == EEXIST { return true }
        guard errno == ENOENT else { throw Self.failure("cannot make \(folder)") }
        return false
    }

    /// Makes the file with mode 0600, or gives it that: its log and its index take the mode after it.
    static func makeFile(_ path: String) throws(LedgerFailure) {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { throw Self.failure("cannot open it") }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw LedgerFailure(.foreign, "it is no regular file")
        }
        if status.st_mode & 0o777 != 0o600 { fchmod(descriptor, 0o600) }
    }

    /// Gives the file another name, with its log. Returns the name.
    static func moveAside(_ path: String) throws(LedgerFailure) -> String {
        let name = Self.freeName("\(path).damaged")
        guard rename(path, name) == 0 else { throw Self.failure("it is damaged, and cannot be moved to \(name)") }
        // Without its log the file may be older than it was; with a stranger's it would be worse.
        rename("\(path)-wal", "\(name)-wal")
        rename("\(path)-shm", "\(name)-shm")
        return name
    }

    /// The name, or with a number behind it; after nine of them the last one is written over.
    private static func freeName(_ name: String) -> String {
        if access(name, F_OK) != 0 { return name }
        for number in 2..<9 where access("\(name)-\(number)", F_OK) != 0 { return "\(name)-\(number)" }
        return "\(name)-9"
    }

    private static func failure(_ what: String) -> LedgerFailure {
        LedgerFailure(.unavailable, "\(what): \(String(cString: strerror(errno)))")
    }
}
