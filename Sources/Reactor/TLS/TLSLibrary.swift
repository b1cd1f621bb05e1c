import COpenSSL

/// A library context: the library takes locks in it at every fetch, so each worker has one of its own. It lives as long as the
/// process: each thread that has drawn random bytes in it holds a pointer to it until the thread ends.
package final class TLSLibrary: Sendable {
    /// Set once, never freed; the library locks what it keeps behind it.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// For trying certificates before they are put in force; nil: no memory.
    package static let trial = TLSLibrary()

    /// nil: no memory.
    package init?() {
        guard let pointer = copenssl_library_new() else { return nil }
        self.pointer = pointer
    }
}
