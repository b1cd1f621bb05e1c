import CCompression
import Glibc
import NIOCore
import Testing

@testable import GatewayService

/// Takes bodies back out of the forms that they are sent in.
enum Decoder {
    static func decode(_ bytes: [UInt8], _ coding: ContentCoding, length: Int) throws -> [UInt8] {
        // One more, so that what is too long shows.
        var result = [UInt8](repeating: 0, count: length + 1)
        let count =
            switch coding {
            case .gzip: try gzip(bytes, &result)
            case .zstd: ZSTD_decompress(&result, result.count, bytes, bytes.count)
            case .br: try brotli(bytes, &result)
            }
        try #require(count <= length, "\(coding)")
        return Array(result[..<count])
    }

    private static func gzip(_ bytes: [UInt8], _ result: inout [UInt8]) throws -> Int {
        var stream = z_stream()
        try #require(inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK)
        defer { inflateEnd(&stream) }
        var bytes = bytes
        let status = bytes.withUnsafeMutableBufferPointer { input in
            result.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                return inflate(&stream, Z_FINISH)
            }
        }
        try #require(status == Z_STREAM_END && stream.avail_in == 0)
        return result.count - Int(stream.avail_out)
    }

    /// The encoder's library has a sister that the program itself does not need.
    private static func brotli(_ bytes: [UInt8], _ result: inout [UInt8]) throws -> Int {
        typealias Decompress =
            @convention(c) (Int, UnsafePointer<UInt8>, UnsafeMutablePointer<Int>, UnsafeMutablePointer<UInt8>) -> CInt
        let library = try #require(dlopen("libbrotlidec.so.1", RTLD_NOW))
        let symbol = try #require(dlsym(library, "BrotliDecoderDecompress"))
        var count = result.count
        let status = unsafeBitCast(symbol, to: Decompress.self)(bytes.count, bytes, &count, &result)
        try #require(status == 1)
        return count
    }
}
