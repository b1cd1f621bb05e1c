import HTTPWire
import Testing

/// What upstreams are told of who the client is: its certificate, and the user that it has named.
@Suite("Who the client is")
struct CertificateFieldTests {
    private func write(
        _ fields: String, policy: RequestPolicy, added: String? = nil
    ) throws -> [String] {
        let bytes = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        var table = FieldTable()
        let parsed = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table)
        let head = try #require(parsed)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 8_192, alignment: 1)
        defer { room.deallocate() }
        var writer = ByteWriter(room)
        var context = RequestContext(
            peer: AddressText("::1".utf8), isPeerTrusted: true, requestID: (1, 2), upgrades: false)
        Array((added ?? "").utf8).withUnsafeBytes { added in
            context.addedLines = added
            RequestRewriter.write(
                head, fields: table, source: bytes.span, policy: policy, context: context, into: &writer)
        }
        return String(decoding: room[..<writer.count], as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    private func policy(
        forwards: Bool = false, underscores: RequestPolicy.Underscores = .keep, edits: FieldEdits = .none,
        userHeader: String? = nil
    ) -> RequestPolicy {
        RequestPolicy(
            path: .keep, host: nil, via: [], xForwarded: false, forwarded: false, requestID: false,
            underscores: underscores, edits: edits, userHeader: userHeader, forwardsCertificate: forwards)
    }

    private static let lies =
        "Client-Cert: :AA==:\r\nclient-cert-chain: :AA==:\r\nCLIENT_CERT: x\r\nClient-Certs: y\r\n"

    @Test("Clients' own words about certificates go no further, whoever they are; ours do where the route says so")
    func certificates() throws {
        let line = "Client-Cert: :AQID:\r\n"
        let hops = "X-Balancer-Hops: 1"
        #expect(
            try self.write(Self.lies, policy: self.policy())
                == ["GET / HTTP/1.1", "Host: h", "Client-Certs: y", hops])
        #expect(
            try self.write(Self.lies, policy: self.policy(forwards: true), added: line)
                == ["GET / HTTP/1.1", "Host: h", "Client-Certs: y", hops, "Client-Cert: :AQID:"])
        #expect(try self.write("", policy: self.policy(forwards: true)) == ["GET / HTTP/1.1", "Host: h", hops])
        let own = FieldEdits(set: [("Client-Cert", "none")], remove: [])
        let policy = self.policy(forwards: true, edits: own)
        #expect(!policy.forwardsCertificate, "the route says what goes up")
        #expect(
            try self.write(Self.lies, policy: policy)
                == ["GET / HTTP/1.1", "Host: h", "Client-Certs: y", hops, "Client-Cert: none"])
    }

    @Test("A user's field is the balancer's alone, in whatever spelling a client sends it")
    func users() throws {
        let edits = FieldEdits(set: [], remove: ["authorization", "x-user"])
        let lines = try self.write(
            "X-User: a\r\nx_user: b\r\nX_USER: c\r\nX-Use: d\r\nX_Use: e\r\nAuthorization: Basic x\r\n",
            policy: self.policy(edits: edits, userHeader: "X-User"), added: "X-User: ann\r\n")
        #expect(
            lines == [
                "GET / HTTP/1.1", "Host: h", "X-Use: d", "X_Use: e", "X-Balancer-Hops: 1", "X-User: ann",
            ])
    }

    @Test("Certificates are byte sequences of structured fields; what is too long is left out")
    func forms() {
        func text(_ certificates: [[UInt8]]) -> String {
            String(decoding: CertificateLines.make(certificates), as: UTF8.self)
        }
        #expect(text([]) == "")
        #expect(text([[]]) == "Client-Cert: ::\r\n")
        #expect(text([[0]]) == "Client-Cert: :AA==:\r\n")
        #expect(text([[0xFB, 0xFF]]) == "Client-Cert: :+/8=:\r\n")
        #expect(
            text([[1, 2, 3], [4, 5, 6], [255]])
                == "Client-Cert: :AQID:\r\nClient-Cert-Chain: :BAUG:, :/w==:\r\n")
        let long = [UInt8](repeating: 7, count: 12_000)
        #expect(!text([long, long]).contains("Chain") && text([long, long]).count > 16_000)
        #expect(text([[UInt8](repeating: 7, count: 30_000)]).isEmpty)
    }
}
