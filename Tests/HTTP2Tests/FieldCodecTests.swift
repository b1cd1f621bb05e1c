import HTTP2
import Testing

/// HPACK both ways, and its limits (RFC 7541).
@Suite struct FieldCodecTests {
    private static let fields = [
        (":status", "200"), ("content-type", "text/html"), ("x-long", String(repeating: "v", count: 5_000)), ("x", ""),
    ]

    private func encode(_ deflater: inout FieldDeflater, _ fields: [(String, String)]) -> [UInt8] {
        var array = FieldArray(capacity: 1)
        let copies = fields.map { (Array($0.0.utf8), Array($0.1.utf8)) }
        let bytes = copies.flatMap { $0.0 + $0.1 }
        return bytes.withUnsafeBytes { bytes in
            var offset = 0
            for copy in copies {
                array.append(
                    name: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + copy.0.count]),
                    value: UnsafeRawBufferPointer(
                        rebasing: bytes[offset + copy.0.count..<offset + copy.0.count + copy.1.count]))
                offset += copy.0.count + copy.1.count
            }
            let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 8)
            defer { room.deallocate() }
            return Array(room[0..<(deflater.encode(array, into: room) ?? 0)])
        }
    }

    /// `size`: bytes of each piece that the block comes in.
    private func decode(
        _ inflater: inout FieldInflater, _ block: [UInt8], size: Int = .max
    ) throws(ConnectionFault) -> [(String, String)] {
        var fields: [(String, String)] = []
        var offset = 0
        repeat {
            let end = size < block.count - offset ? offset + size : block.count
            let copy = Array(block[offset..<end])
            offset = end
            var fault: ConnectionFault?
            copy.withUnsafeBytes { bytes in
                var piece = bytes
                do throws(ConnectionFault) {
                    while let field = try inflater.next(&piece, isLast: offset == block.count) {
                        fields.append(
                            (String(decoding: field.name, as: UTF8.self), String(decoding: field.value, as: UTF8.self)))
                    }
                } catch { fault = error }
            }
            if let fault { throw fault }
        } while offset < block.count
        return fields
    }

    private func noMemory() { Issue.record("no memory") }

    @Test func fieldsComeBackInWhateverPieces() throws {
        guard var deflater = FieldDeflater() else { return self.noMemory() }
        for size in [1, 2, 3, 7, 100, Int.max] {
            guard var again = FieldDeflater(), var inflater = FieldInflater() else { return self.noMemory() }
            for _ in 0..<3 {
                let read = try self.decode(&inflater, self.encode(&again, Self.fields), size: size)
                #expect(read.map { "\($0.0): \($0.1)" } == Self.fields.map { "\($0.0): \($0.1)" })
            }
        }
        // The second time the table knows them.
        let first = self.encode(&deflater, Array(Self.fields[..<2])).count
        #expect(self.encode(&deflater, Array(Self.fields[..<2])).count < first)
    }

    @Test(
        arguments: [
            // Index 0, one beyond both tables, an integer without end, a string longer than the block, a bad Huffman code.
            [0x80], [0xFF, 0xFF, 0x7F], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            [0x00, 0x05, 0x61],
            [0x00, 0x81, 0x00, 0x01, 0x61],
            // A table larger than announced, and a size update behind a field.
            [0x3F, 0xE2, 0x1F], [0x82, 0x20],
        ] as [[UInt8]])
    func whatIsNoBlockEndsTheConnection(_ block: [UInt8]) {
        guard var inflater = FieldInflater() else { return self.noMemory() }
        var fault: ConnectionFault?
        do throws(ConnectionFault) {
            let read = try self.decode(&inflater, block)
            Issue.record("\(block) was read as \(read)")
        } catch { fault = error }
        #expect(fault == ConnectionFault(.compressionError))
    }

    @Test func aSmallerTableOfThePeersIsKeptTo() {
        guard var deflater = FieldDeflater() else { return self.noMemory() }
        _ = self.encode(&deflater, Self.fields)
        deflater.adopt(tableSize: 0)
        deflater.adopt(tableSize: 100_000)
        let block = self.encode(&deflater, [("x-new", "y")])
        // Two size updates, of 0 and of 4,096 (RFC 7541 4.2).
        #expect(block.starts(with: [0x20, 0x3F, 0xE1, 0x1F]))
    }
}
