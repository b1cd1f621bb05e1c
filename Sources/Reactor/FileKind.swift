import Glibc

/// What a path leads to.
package enum FileKind: Sendable, Equatable {
    case regular
    case directory
    case link
    case pipe
    /// A socket or a device.
    case other

    /// What is there now. `followsLinks`: behind links, else a link itself.
    package static func at(_ path: String, followsLinks: Bool = true) throws(SystemError) -> FileKind {
        var status = stat()
        guard (followsLinks ? stat(path, &status) : lstat(path, &status)) == 0 else {
            throw SystemError(operation: "stat")
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .regular
        case S_IFDIR: return .directory
        case S_IFLNK: return .link
        case S_IFIFO: return .pipe
        default: return .other
        }
    }
}
