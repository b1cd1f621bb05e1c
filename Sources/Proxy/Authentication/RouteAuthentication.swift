import HTTPWire
import Traffic

/// A route's users with what the data plane derives from them once. Immutable, shared by all workers.
final class RouteAuthentication: Sendable {
    /// So that nobody outside can tell which user an unknown name is taken for.
    private static let secret = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))

    let users: UserTable
    /// The whole line that goes with a 401.
    let challenge: [UInt8]
    /// Each user's line for the upstream, one behind the other.
    private let lines: [UInt8]
    /// By user, where its line begins; and where the last one ends. Empty: the upstream is told nothing.
    private let offsets: [Int]

    init(_ spec: BasicAuthSpec) {
        let users = UserTable(spec.allUsers, key: Self.secret)
        self.users = users
        self.challenge = Array("WWW-Authenticate: Basic realm=\"\(spec.realm)\", charset=\"UTF-8\"\r\n".utf8)
        var bytes: [UInt8] = []
        var offsets: [Int] = []
        if let name = spec.userHeader {
            for user in users.users {
                offsets.append(bytes.count)
                bytes += Array("\(name): ".utf8) + user.name + [0x0D, 0x0A]
            }
            offsets.append(bytes.count)
        }
        self.offsets = offsets
        self.lines = bytes
    }

    /// Writes the line that names a user to the upstream, if there is one.
    func writeLine(ofUser index: Int, into writer: inout ByteWriter) {
        guard index >= 0, index + 1 < self.offsets.count else { return }
        let range = self.offsets[index]..<self.offsets[index + 1]
        self.lines.withUnsafeBytes { writer.append(raw: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
}
