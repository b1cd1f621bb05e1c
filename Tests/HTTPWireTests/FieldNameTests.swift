import Testing

@testable import HTTPWire

@Suite("Field names")
struct FieldNameTests {
    private func classify(_ name: String, behind padding: Int = 4) -> FieldName {
        // Something stands around it, or nothing does.
        let bytes = Array(("\r\n" + name + String(repeating: ":", count: padding)).utf8)
        return FieldIndex.shared.name(bytes.span, ByteRange(2, 2 + name.utf8.count))
    }

    @Test("Every known name is known in any case, wherever the bytes end")
    func known() {
        for (text, name) in FieldName.known {
            let text = "\(text)"
            for padding in [0, 1, 16] {
                #expect(self.classify(text, behind: padding) == name, "\(text)")
                #expect(self.classify(text.uppercased(), behind: padding) == name, "\(text)")
            }
        }
        #expect(Set(FieldName.known.map { "\($0.text)" }).count == FieldName.known.count)
        #expect(Set(FieldName.known.map(\.name)).union([.other]) == Set(FieldName.allCases))
        #expect(FieldName.allCases.count <= 64, "a set of names has 64 bits")
    }

    @Test("A name that differs in one byte is another name")
    func neighbours() {
        let names = Set(FieldName.known.map { "\($0.text)" })
        for text in names {
            let bytes = Array(text.utf8)
            for index in bytes.indices {
                for other in ["q", "-", "_", "0", "~"] {
                    var changed = bytes
                    changed[index] = Array(other.utf8)[0]
                    let name = String(decoding: changed, as: UTF8.self)
                    guard !names.contains(name), !name.hasPrefix("x-forwarded-") else { continue }
                    #expect(self.classify(name) == .other, "\(name)")
                }
            }
            for name in [text + "x", String(text.dropLast()), "x" + text]
            where !names.contains(name) && !name.hasPrefix("x-forwarded-") {
                #expect(self.classify(name) == .other, "\(name)")
            }
        }
        #expect(self.classify("") == .other)
        #expect(self.classify(String(repeating: "x", count: 70)) == .other)
    }

    @Test("Whatever a proxy calls X-Forwarded-*")
    func family() {
        for name in [
            "X-Forwarded-Port", "x-forwarded-\(String(repeating: "y", count: 60))", "X-FORWARDED-A", "X-Forwarded",
        ] {
            #expect(self.classify(name) == .xForwardedOther, "\(name)")
        }
        for name in ["X-Forwarded-", "X-Forwardeded", "Y-Forwarded-Port"] { #expect(self.classify(name) == .other) }
    }

    @Test("What a route may do to a field")
    func editing() {
        for name in [
            "Connection", "content-length", "Expect", "HTTP2-Settings", "keep-alive", "Proxy-Connection", "TE",
            "Trailer",
            "Transfer-Encoding", "UPGRADE", "X-Balancer-Reason", "x-balancer-hops",
        ] { #expect(OwnFields.editing(name) == .refused, "\(name)") }
        #expect(OwnFields.editing("hOST") == .byKey)
        for name in [
            "X-Env", "Via", "X-Forwarded-For", "Cookie", "Date", "Proxy-Authorization", "Set-Cookie", "Server", "",
            "X-Request-ID", "Proxy-Authenticate", "connection ", "é",
        ] { #expect(OwnFields.editing(name) == .allowed, "\(name)") }
    }
}
