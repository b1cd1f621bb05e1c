import CZlib

/// What undoing a body's coding gave.
enum Inflation {
    enum Coding { case gzip, deflate }

    case plain([UInt8])
    /// Beyond the limits, below which every body can be whatever it likes.
    case tooLarge
    case broken

    /// Bytes of a decoded body.
    static let sizeLimit = 4 << 20
    /// Times its coded size. JSON of repetitions comes to 20.
    static let ratioLimit = 100

    /// `deflate` with the zlib frame that RFC 9110 §8.4.1.2 asks for, or bare, as some servers send it.
    static func inflate(_ bytes: [UInt8], _ coding: Coding) -> Inflation {
        switch coding {
        // 16 above the window's size: the frame of gzip.
        case .gzip: return self.run(bytes, window: MAX_WBITS + 16)
        case .deflate:
            let framed = self.run(bytes, window: MAX_WBITS)
            if case .broken = framed { return self.run(bytes, window: -MAX_WBITS) }
            return framed
        }
    }

    private static func run(_ bytes: [UInt8], window: Int32) -> Inflation {
        var stream = z_stream()
        guard inflateInit2_(&stream, window, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            return .broken
        }
        defer { inflateEnd(&stream) }
        let limit = min(self.sizeLimit, bytes.count.multipliedReportingOverflow(by: self.ratioLimit).partialValue)
        var input = bytes
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        return input.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(clamping: input.count)
            while true {
                var isEnded = false
                var isBroken = false
                chunk.withUnsafeMutableBufferPointer { chunk in
                    stream.next_out = chunk.baseAddress
                    stream.avail_out = UInt32(chunk.count)
                    let status = CZlib.inflate(&stream, Z_NO_FLUSH)
                    output += UnsafeBufferPointer(rebasing: chunk[..<(chunk.count - Int(stream.avail_out))])
                    isEnded = status == Z_STREAM_END
                    // Nothing was read or written although there is room: the rest of the body is missing.
                    isBroken = status != Z_OK && !isEnded
                }
                if output.count > limit { return .tooLarge }
                if isBroken { return .broken }
                if isEnded { return stream.avail_in == 0 ? .plain(output) : .broken }
            }
        }
    }
}
