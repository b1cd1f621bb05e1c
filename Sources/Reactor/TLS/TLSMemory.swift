import COpenSSL

/// What the TLS sessions of one loop share: where records land, and where they are written before they leave. One session
/// uses it at a time, from a read or a write to what is sent of it.
package final class TLSMemory {
    /// As much as one read of plain bytes takes: a record is never shorter than what it carries.
    static let inputSize = 262_144
    private static let outputSize = 524_288
    /// More than one call of the library may write: a record, and with it a key update or an alert.
    static let margin = 65_536
    /// The most that one record carries (RFC 8446 5.1).
    static let recordSize = 16_384

    let io: UnsafeMutablePointer<copenssl_io>
    let bio: OpaquePointer
    let input: UnsafeMutableRawBufferPointer
    let output: UnsafeMutableRawBufferPointer
    /// Pieces of one write that fit one record are put together here.
    let joined: UnsafeMutableRawBufferPointer
    /// For records that sessions keep.
    var pool = BufferPool()
    /// Milliseconds of the monotonic clock at the start of this turn; the loop's owner sets it.
    package var now: UInt64 = 0

    /// nil: there is no memory.
    package init?() {
        let io = UnsafeMutablePointer<copenssl_io>.allocate(capacity: 1)
        io.initialize(to: copenssl_io())
        guard let bio = copenssl_bio_new(io) else {
            io.deallocate()
            return nil
        }
        self.io = io
        self.bio = bio
        self.input = .allocate(byteCount: Self.inputSize, alignment: 64)
        self.output = .allocate(byteCount: Self.outputSize, alignment: 64)
        self.joined = .allocate(byteCount: Self.recordSize, alignment: 64)
        io.pointee.output = self.output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        io.pointee.output_capacity = self.output.count
    }

    deinit {
        // Sessions that live on hold the BIO, but not this: the owner ends them first.
        copenssl_bio_free(self.bio)
        self.io.deallocate()
        self.input.deallocate()
        self.output.deallocate()
        self.joined.deallocate()
    }

    /// Records written and not sent yet.
    var written: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.output.baseAddress, count: self.io.pointee.output_count)
    }

    func forgetWritten() { self.io.pointee.output_count = 0 }

    var isNearlyFull: Bool { self.io.pointee.output_count + Self.margin > self.output.count }
}
