import COpenSSL

/// HMAC-SHA-256 under a key, for one thread.
package final class KeyedHash {
    /// Bytes of a key.
    package static let keySize = 32

    private let mac: OpaquePointer

    /// nil: the library has no memory.
    package init?(key: [UInt8]) {
        guard key.count == Self.keySize, let mac = copenssl_mac_new(key) else { return nil }
        self.mac = mac
    }

    deinit { copenssl_mac_free(self.mac) }

    /// As four words; nil: the library failed.
    package func code(of bytes: UnsafeRawBufferPointer) -> SIMD4<UInt64>? {
        var code = SIMD4<UInt64>()
        let isMade = withUnsafeMutableBytes(of: &code) { room in
            copenssl_mac_make(
                self.mac, bytes.baseAddress, bytes.count, room.baseAddress?.assumingMemoryBound(to: UInt8.self))
        }
        return isMade ? code : nil
    }
}
