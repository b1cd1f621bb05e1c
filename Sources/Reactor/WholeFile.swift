import Glibc

/// Whole small files, read with the errno kept.
package enum WholeFile {
    /// A configuration beyond this is refused by its parser anyway; one byte more is read so that it notices.
    package static let limit = (4 << 20) + 1

    /// The first `limit` bytes of the file, which is all of it unless there are as many. `waits`: for the writer of a
    /// pipe, whereas without it a pipe that has no writer is empty. Blocks for as long as the file system takes.
    package static func read(
        _ path: String, limit: Int = Self.limit, waits: Bool = true
    ) throws(SystemError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | (waits ? 0 : O_NONBLOCK))
        guard descriptor >= 0 else { throw SystemError(operation: "open") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let wanted = min(chunk.count, limit - bytes.count)
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, wanted) }
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError(operation: "read")
            }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }
}
