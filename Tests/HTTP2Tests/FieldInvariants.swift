import HTTP2

/// What holds of HPACK whatever comes: in pieces a block reads as it does whole, and what was read comes back the same from another
/// pair of tables. Shared with the fuzzer.
enum FieldInvariants {
    private struct Field: Equatable {
        var name: [UInt8]
        var value: [UInt8]
    }

    private struct Reading: Equatable {
        var fields: [Field] = []
        var hasFault = false
    }

    /// The first byte says how long the pieces are. Behind it blocks of one connection, each behind a byte of its length; the last
    /// takes what is left. nil: all is well.
    static func fault(in bytes: [UInt8]) -> String? {
        guard let first = bytes.first, var whole = FieldInflater(), var pieces = FieldInflater(),
            var deflater = FieldDeflater(), var back = FieldInflater()
        else { return nil }
        let size = Int(first & 31) + 1
        var offset = 1
        while offset < bytes.count {
            let count = min(Int(bytes[offset]), bytes.count - offset - 1)
            let block = Array(bytes[offset + 1..<offset + 1 + count])
            offset += 1 + count
            let read = Self.read(&whole, block, size: max(1, block.count))
            guard read == Self.read(&pieces, block, size: size) else { return "in pieces it reads otherwise" }
            guard !read.hasFault else { return nil }
            let written = Self.write(&deflater, read.fields)
            guard Self.read(&back, written, size: max(1, written.count)) == read else { return "it does not come back" }
        }
        return nil
    }

    private static func read(_ inflater: inout FieldInflater, _ block: [UInt8], size: Int) -> Reading {
        var reading = Reading()
        block.withUnsafeBytes { bytes in
            var offset = 0
            repeat {
                let end = min(offset + size, bytes.count)
                var piece = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
                offset = end
                do throws(ConnectionFault) {
                    while let field = try inflater.next(&piece, isLast: offset == bytes.count) {
                        reading.fields.append(Field(name: Array(field.name), value: Array(field.value)))
                    }
                } catch {
                    reading.hasFault = true
                    return
                }
            } while offset < bytes.count
        }
        return reading
    }

    private static func write(_ deflater: inout FieldDeflater, _ fields: [Field]) -> [UInt8] {
        var array = FieldArray()
        let bytes = fields.flatMap { $0.name + $0.value }
        return bytes.withUnsafeBytes { bytes in
            var offset = 0
            for field in fields {
                let middle = offset + field.name.count
                let end = middle + field.value.count
                array.append(
                    name: UnsafeRawBufferPointer(rebasing: bytes[offset..<middle]),
                    value: UnsafeRawBufferPointer(rebasing: bytes[middle..<end]), isSecret: field.value.count % 3 == 0)
                offset = end
            }
            return [UInt8](unsafeUninitializedCapacity: 2 * bytes.count + 64 * fields.count + 64) { room, count in
                count = deflater.encode(array, into: UnsafeMutableRawBufferPointer(room)) ?? 0
            }
        }
    }
}
