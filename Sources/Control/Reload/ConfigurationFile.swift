import Glibc
import Reactor

/// What is found in the configuration's place.
package enum ConfigurationFile: Sendable, Equatable {
    /// Never none.
    case bytes([UInt8])
    case empty
    case missing
    /// Something is there that cannot be read, and why.
    case unreadable(String)

    /// Reads what is there now. Blocks for as long as the file system takes, but not for the writer of a pipe.
    static func read(_ path: String) -> ConfigurationFile {
        do {
            switch try FileKind.at(path) {
            case .regular: break
            case .directory: return .unreadable("it is a directory")
            case .pipe: return .unreadable("it is a pipe, which is read at the start only")
            case .link, .other: return .unreadable("it is not a file")
            }
            let bytes = try WholeFile.read(path, waits: false)
            return bytes.isEmpty ? .empty : .bytes(bytes)
        } catch {
            return error.code == ENOENT ? .missing : .unreadable("\(error)")
        }
    }

    /// Whether a later look can find something else: not so behind a pipe or a device, which give their text once.
    package static func mayChange(_ path: String) -> Bool {
        switch try? FileKind.at(path) {
        case .pipe, .other: false
        case .regular, .directory, .link, nil: true
        }
    }
}
