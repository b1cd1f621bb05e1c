import HTTPWire
import Testing

@Suite("Basic credentials")
struct BasicCredentialsTests {
    /// Of these fields: name and password with a bar between, or what is wrong.
    private func read(_ fields: String) throws -> String {
        let bytes = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        var table = FieldTable()
        let limits = HeadLimits(requestLine: 100, bytes: 65_536, count: 100)
        _ = try HeadParser.request(bytes.span, limits: limits, fields: &table)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: BasicCredentials.largest, alignment: 1)
        defer { room.deallocate() }
        switch BasicCredentials.decode(table.list, bytes.span, into: room) {
        case .none: return "none"
        case .malformed: return "malformed"
        case .tooLarge: return "too large"
        case .given(let name, let password, let count):
            #expect(Int(password.upper) == count)
            return String(decoding: room[name.bounds], as: UTF8.self) + "|"
                + String(decoding: room[password.bounds], as: UTF8.self)
        }
    }

    @Test(
        "A name ends at its first colon; the scheme's letter case and blanks do not count",
        arguments: [
            // RFC 7617 2 and 2.1.
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin|open sesame"), ("Basic dGVzdDoxMjPCow==", "test|123£"),
            ("basic   YTpiOmM=", "a|b:c"), ("BASIC Og==", "|"), ("Basic YTo=", "a|"), ("Basic OmI=", "|b"),
            ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "none"), ("Basicx YTpi", "none"), ("Basic", "none"),
            ("Basic YWI=", "malformed"),  // no colon
            ("Basic YTpi YTpi", "malformed"), ("Basic YTpi,", "malformed"), ("Basic YTo", "malformed"),
            ("Basic YT=i", "malformed"), ("Basic Y===", "malformed"), ("Basic YTp=", "malformed"),
            ("Basic YTr=", "malformed"),  // bits that no byte has
            ("Basic YTpi====", "malformed"), ("Basic YQA6Yg==", "malformed"),  // a zero
            ("Basic YTpiCg==", "malformed"),  // a line feed
            ("Basic YX86", "malformed"),  // DEL
            ("Basic YTpiA===", "malformed"),  // a group of one digit
        ])
    func forms(value: String, expected: String) throws {
        #expect(try self.read("Authorization: \(value)\r\n") == expected)
    }

    @Test("Without a field there are none, and two fields are no credentials")
    func fields() throws {
        #expect(try self.read("") == "none")
        #expect(try self.read("Authorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n") == "malformed")
        #expect(try self.read("Authorization: Basic YTpi\r\nauthorization: Bearer x\r\n") == "malformed")
    }

    @Test("4 KiB are read, and no more")
    func size() throws {
        let group = "YWFh"
        #expect(try self.read("Authorization: Basic YTph\(String(repeating: group, count: 1_023))\r\n").count == 3_072)
        #expect(try self.read("Authorization: Basic YTph\(String(repeating: group, count: 1_024))\r\n") == "too large")
    }
}
