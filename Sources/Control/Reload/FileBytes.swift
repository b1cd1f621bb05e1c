import Glibc
import Reactor

/// Whole small files, read with the errno kept.
package enum FileBytes {
    /// A configuration beyond this is refused by the parser anyway; one byte more is read so that it notices.
    static let limit = (4 << 20) + 1

    package static func read(_ path: String) throws(SystemError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(operation: "open") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < Self.limit {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError(operation: "read")
            }
            bytes.append(contentsOf: chunk[0..<count])
        }
        return bytes
    }
}
