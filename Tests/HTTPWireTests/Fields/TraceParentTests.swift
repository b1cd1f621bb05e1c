import HTTPWire
import Testing

@Suite("traceparent") struct TraceParentTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let parent = "b7ad6b7169203331"

    private func read(_ text: String) -> TraceParent? {
        let bytes = Array(text.utf8)
        return TraceParent(bytes.span, ByteRange(lower: 0, upper: UInt32(bytes.count)))
    }

    @Test("A line is read, and written as it was", arguments: ["00", "01", "02", "03", "a1", "ff"])
    func roundTrip(flags: String) throws {
        let text = "00-\(Self.trace)-\(Self.parent)-\(flags)"
        let read = try #require(self.read(text))
        #expect(read.traceHigh == 0x0AF7_6519_16CD_43DD && read.traceLow == 0x8448_EB21_1C80_319C)
        #expect(read.parent == 0xB7AD_6B71_6920_3331)
        #expect(read.isSampled == (UInt8(flags, radix: 16).map { $0 & 1 } == 1))
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = bytes.withUnsafeMutableBytes { room in
            var writer = ByteWriter(room)
            read.writeLine(into: &writer)
            return writer.count
        }
        #expect(String(decoding: bytes[..<count], as: UTF8.self) == "traceparent: \(text)\r\n")
    }

    @Test("Leading zeros stay") func zeros() throws {
        let read = try #require(self.read("00-00000000000000000000000000000001-0000000000000002-01"))
        #expect(read == TraceParent(traceHigh: 0, traceLow: 1, parent: 2, flags: 1))
        #expect(self.read("00-00000000000000010000000000000000-0000000000000002-01")?.traceHigh == 1)
    }

    @Test("A later version is read by its first 55 bytes, and of its flags only the one that is known")
    func later() throws {
        let known = "\(Self.trace)-\(Self.parent)"
        for text in ["01-\(known)-07", "cc-\(known)-09-what-the-future-will-be", "fe-\(known)-01-"] {
            let read = try #require(self.read(text), "\(text)")
            #expect(read.flags == 1 && read.parent == 0xB7AD_6B71_6920_3331, "\(text)")
        }
        #expect(self.read("01-\(known)-02")?.flags == 0)
        #expect(self.read("01-\(known)-01.more") == nil)
    }

    @Test(
        "What the specification does not allow is none",
        arguments: [
            "", "00", "00-", "00-\(trace)", "00-\(trace)-\(parent)", "00-\(trace)-\(parent)-",
            "00-\(trace)-\(parent)-0",
            // Version 00 has nothing behind its flags.
            "00-\(trace)-\(parent)-01-", "00-\(trace)-\(parent)-01-more", "00-\(trace)-\(parent)-011",
            "ff-\(trace)-\(parent)-01", "FF-\(trace)-\(parent)-01", "0-\(trace)-\(parent)-001",
            "0g-\(trace)-\(parent)-01", ".0-\(trace)-\(parent)-01",
            "00-00000000000000000000000000000000-\(parent)-01", "00-\(trace)-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-\(parent)-01", "00-\(trace)-B7AD6B7169203331-01",
            "00-\(trace)-\(parent)-0A", "00-\(trace)-\(parent)-0x", "00-\(trace)-\(parent)-.0",
            "00-\(trace.dropLast())x-\(parent)-01", "00-\(trace)-\(parent.dropLast())x-01",
            "00-\(trace.dropLast())-\(parent)-01-", "00-\(trace)-\(parent.dropLast())-01-",
            "00_\(trace)-\(parent)-01", "00-\(trace)_\(parent)-01", "00-\(trace)-\(parent)_01",
            " 00-\(trace)-\(parent)-01", "00-\(trace)-\(parent)-01 ", "00-\(trace)-\(parent)-01,",
        ])
    func malformed(text: String) {
        #expect(self.read(text) == nil)
    }

    private func word(_ fields: String) throws -> TraceWord {
        let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n".utf8)
        var table = FieldTable()
        _ = try #require(try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table))
        return TraceWord.of(table.list, in: bytes.span)
    }

    @Test("Of a head: one field, in whatever letters; two are none, and one for this hop alone is not there")
    func heads() throws {
        let line = "00-\(Self.trace)-\(Self.parent)-01"
        let read = try #require(self.read(line))
        #expect(try self.word("") == .none)
        #expect(try self.word("tracestate: a=b\r\ntraceparents: \(line)\r\n") == .none)
        #expect(try self.word("traceparent: \(line)\r\n") == .parent(read))
        #expect(try self.word("TraceParent:   \(line)  \r\n") == .parent(read))
        #expect(try self.word("traceparent: nonsense\r\n") == .invalid)
        #expect(try self.word("traceparent:\r\n") == .invalid)
        #expect(try self.word("traceparent: \(line)\r\ntraceparent: \(line)\r\n") == .invalid)
        #expect(try self.word("Connection: traceparent\r\ntraceparent: \(line)\r\n") == .none)
    }
}
