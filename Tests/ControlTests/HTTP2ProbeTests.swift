import Testing
import Traffic

@testable import Control
@testable import Reactor

/// Probes over HTTP/2, fed byte by byte.
@Suite("Probes over HTTP/2") struct HTTP2ProbeTests {
    private func exchange(
        _ speaks: EndpointProtocol = .http2, grpc: String? = nil, body: String? = nil
    ) -> ProbeExchange {
        var spec = ProbeSpec()
        spec.path = "/healthcheck"
        spec.grpc = grpc
        spec.expectedBody = body
        return ProbeExchange(spec: spec, address: Sample.address(3300), speaks: speaks)
    }

    private func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0, 0, UInt8(payload.count), type, flags, 0, 0, 0, stream] + payload
    }

    /// A literal without indexing (RFC 7541 6.2.2).
    private func field(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }

    private var settings: [UInt8] { self.frame(4, 0, 0, []) }

    private func judge(_ exchange: ProbeExchange, _ bytes: [UInt8]) -> ProbeCause {
        // Whatever is not the whole answer settles nothing, or no other than the whole does.
        for cut in 0..<bytes.count where exchange.isComplete(Array(bytes[..<cut])) {
            let early = exchange.judge(DialResult(end: .complete, bytes: Array(bytes[..<cut]), microseconds: 1)).cause
            #expect(early == exchange.judge(DialResult(end: .complete, bytes: bytes, microseconds: 1)).cause)
        }
        #expect(exchange.isComplete(bytes))
        return exchange.judge(DialResult(end: .complete, bytes: bytes, microseconds: 1)).cause
    }

    @Test("What is sent is a client's preface, its SETTINGS and one request")
    func request() {
        let bytes = self.exchange().request
        #expect(String(decoding: bytes.prefix(24), as: UTF8.self) == "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        // SETTINGS with one entry, ENABLE_PUSH 0; then HEADERS that end the stream.
        #expect(Array(bytes[24..<39]) == [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0])
        #expect(Array(bytes[42..<48]) == [1, 5, 0, 0, 0, 1])
        let grpc = self.exchange(grpc: "a.B").request
        #expect(grpc[43] == 4)
        #expect(Array(grpc.suffix(10)) == [0, 0, 0, 0, 5, 0x0A, 3] + Array("a.B".utf8))
        #expect(String(decoding: self.exchange(.negotiated).request.prefix(4), as: UTF8.self) == "GET ")
    }

    @Test("A status decides, and a body where one is expected")
    func statuses() {
        let head = self.settings + self.frame(1, 4, 1, self.field(":status", "200"))
        #expect(self.judge(self.exchange(), head) == .ok)
        let bad = self.settings + self.frame(1, 5, 1, self.field(":status", "503"))
        #expect(self.judge(self.exchange(), bad) == .status)
        let body = head + self.frame(0, 1, 1, Array("all is well".utf8))
        #expect(self.judge(self.exchange(body: "well"), body) == .ok)
        #expect(self.judge(self.exchange(body: "ill"), body) == .body)
        #expect(!self.exchange(body: "well").isComplete(head))
        #expect(self.judge(self.exchange(.negotiated), head) == .ok)
        let reset = self.settings + self.frame(3, 0, 1, [0, 0, 0, 2])
        #expect(self.judge(self.exchange(), reset) == .malformed)
        #expect(self.judge(self.exchange(), Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)) == .malformed)
    }

    @Test("A server that ends the connection behind the probe still answers it; one that has not looked at it does not")
    func leaving() {
        let warning = self.frame(7, 0, 0, [0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])
        let last = self.frame(7, 0, 0, [0, 0, 0, 1, 0, 0, 0, 0])
        let head = self.frame(1, 5, 1, self.field(":status", "200"))
        #expect(self.judge(self.exchange(), self.settings + warning + last + head) == .ok)
        #expect(!self.exchange().isComplete(self.settings + warning + last))
        let unseen = self.frame(7, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(self.judge(self.exchange(), self.settings + unseen) == .malformed)
    }

    @Test(
        "gRPC's health service must say SERVING, and that it is in order",
        arguments: [
            ([0, 0, 0, 0, 2, 8, 1], "0", ProbeCause.ok), ([0, 0, 0, 0, 2, 8, 2], "0", .notServing),
            ([0, 0, 0, 0, 0], "0", .notServing), ([0, 0, 0, 0, 2, 8, 1], "13", .notServing),
        ] as [([UInt8], String, ProbeCause)])
    func serving(_ message: [UInt8], _ status: String, _ cause: ProbeCause) {
        let bytes =
            self.settings + self.frame(1, 4, 1, self.field(":status", "200")) + self.frame(0, 0, 1, message)
            + self.frame(1, 5, 1, self.field("grpc-status", status))
        #expect(self.judge(self.exchange(grpc: ""), bytes) == cause)
        let alone =
            self.settings
            + self.frame(1, 5, 1, self.field(":status", "200") + self.field("grpc-status", "12"))
        #expect(self.judge(self.exchange(grpc: ""), alone) == .notServing)
    }
}
