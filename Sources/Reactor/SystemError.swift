import Glibc

/// A system call that failed: which one and with what errno.
package struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    package let operation: String
    package let code: Int32

    package init(operation: String, code: Int32 = errno) {
        self.operation = operation
        self.code = code
    }

    /// Whether this process, or the machine, has run out of something: it says nothing about the peer.
    package var isLocalShortage: Bool {
        switch self.code {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EADDRNOTAVAIL: true
        default: false
        }
    }

    /// The errno in words.
    package var reason: String { String(cString: strerror(self.code)) }

    package var description: String {
        "\(self.operation): \(self.reason)"
    }
}
