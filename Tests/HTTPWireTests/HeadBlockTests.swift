import HTTPWire
import Testing

@Suite("Kept heads")
struct HeadBlockTests {
    private static let text =
        "POST /p?q HTTP/1.1\r\nHost: h\r\nConnection: x-gone\r\nX-Gone: 1\r\nA:b\r\nContent-Length: 4\r\n\r\n"

    private func rewritten(_ head: RequestHead, _ fields: FieldList, _ bytes: UnsafeRawBufferPointer) -> String {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_024, alignment: 1)
        defer { buffer.deallocate() }
        var writer = ByteWriter(buffer)
        let context = RequestContext(
            peer: AddressText("192.0.2.1".utf8), isPeerTrusted: false, requestID: (1, 2), upgrades: false)
        RequestRewriter.write(
            head, fields: fields, source: bytes.bindMemory(to: UInt8.self).span, policy: Rewriting.policy(),
            context: context, into: &writer)
        return String(decoding: buffer[..<writer.count], as: UTF8.self)
    }

    @Test("A kept head is rewritten as the parsed one is, wherever its block begins", arguments: 0..<8)
    func roundTrip(offset: Int) throws {
        var table = FieldTable()
        let input = Parsing.bytes(Self.text + "body and more")
        let parsed = try HeadParser.request(input.span, limits: Parsing.limits, fields: &table)
        let head = try #require(parsed)
        let wanted = input.withUnsafeBytes { self.rewritten(head, table.list, $0) }

        let size = HeadBlock.room(bytes: head.length, fields: table.count)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size + 8, alignment: 16)
        defer { memory.deallocate() }
        for index in memory.indices { memory[index] = 0xAA }
        let block = UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + size])
        var kept = HeadBlock()
        let isKept = input.withUnsafeBytes { kept.keep(head, fields: table, bytes: $0, in: block) }
        #expect(isKept)
        // Another head goes through the table; the kept one does not mind.
        _ = try HeadParser.request(
            Parsing.bytes("GET / HTTP/1.0\r\n\r\n").span, limits: Parsing.limits, fields: &table)
        let again = try #require(kept.head)
        #expect(self.rewritten(again, kept.fields, kept.bytes) == wanted)
        #expect(kept.fields.count == 5 && kept.fields.first(.contentLength) != nil && kept.fields.first(.via) == nil)
        #expect(String(decoding: kept.bytes, as: UTF8.self) == Self.text)
        // Nothing was written beside the block.
        #expect(memory[..<offset].allSatisfy { $0 == 0xAA } && memory[(offset + size)...].allSatisfy { $0 == 0xAA })
        let given = kept.clear()
        #expect(given?.baseAddress == block.baseAddress && given?.count == size)
        #expect(kept.head == nil && kept.bytes.isEmpty && kept.fields.count == 0)
        let nothing = kept.clear()
        #expect(nothing == nil)
    }

    @Test("What does not fit is not kept")
    func bounds() throws {
        var table = FieldTable()
        let input = Parsing.bytes(Self.text)
        let parsed = try HeadParser.request(input.span, limits: Parsing.limits, fields: &table)
        let head = try #require(parsed)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 16)
        defer { memory.deallocate() }
        let need = head.length + table.count * MemoryLayout<Field>.stride
        var fitted = 0
        for size in 0...HeadBlock.room(bytes: head.length, fields: table.count) {
            var kept = HeadBlock()
            let block = UnsafeMutableRawBufferPointer(rebasing: memory[..<size])
            let isKept = input.withUnsafeBytes { kept.keep(head, fields: table, bytes: $0, in: block) }
            #expect(!isKept || size >= need)
            #expect(isKept == (kept.head != nil))
            if isKept { fitted += 1 }
        }
        #expect(fitted >= 1, "the room that is asked for is enough")
    }
}
