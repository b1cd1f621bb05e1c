import Documents
import NIOCore
import Testing

@testable import GatewayService

/// Bodies in other forms, as clients ask for them.
@Suite("Compression")
struct CompressionTests {
    // MARK: what a client accepts

    @Test(
        arguments: [
            ([], nil), ([""], nil), (["identity"], nil), (["*;q=0"], nil), (["deflate, compress"], nil),
            (["gzip"], .gzip), (["x-gzip"], .gzip), (["GZip"], .gzip), (["br"], .br), (["zstd"], .zstd),
            (["gzip, deflate, br, zstd"], .zstd), (["gzip, deflate, br"], .br), (["gzip,br"], .br), (["*"], .zstd),
            (["gzip;q=1.0, br;q=0.9"], .gzip), (["gzip; q=0.8 ,br ;q=0.801"], .br), (["gzip;Q=0"], nil),
            (["gzip;q=0.001"], .gzip), (["gzip;q=0.000"], nil), (["zstd;q=0, *"], .br),
            (["*;q=0.1, gzip;q=0.5"], .gzip),
            (["identity, gzip;q=0.5"], nil), (["identity;q=0.5, gzip;q=0.5"], .gzip), (["identity;q=0, br"], .br),
            (["gzip", "br"], .br), (["gzip;q=0", "br;q=0.1"], .br),
            // What has no form is unknown.
            (["gzip;q=2"], nil), (["gzip;q="], nil), (["gzip;level=9"], nil), (["gzip;q=1.5"], nil),
            (["gzip;q=0.1234"], nil), (["gzip;q=0,5"], nil), ([",,;,gzip"], .gzip), (["gzip gzip"], nil),
            (["gzip;q=.5"], nil), (["gzip;q=0.x"], nil), (["gzip;"], nil),
        ] as [([String], ContentCoding?)])
    func theOneThatTheClientLikesBest(fields: [String], coding: ContentCoding?) {
        #expect(ContentCoding.preferred(in: fields, of: ContentCoding.allCases) == coding)
        #expect(ContentCoding.preferred(in: fields, of: []) == nil)
    }

    @Test func ourOrderDecidesBetweenEquals() {
        let fields = ["gzip, br, zstd"]
        #expect(ContentCoding.preferred(in: fields, of: [.gzip, .br]) == .gzip)
        #expect(ContentCoding.preferred(in: fields, of: [.br, .gzip]) == .br)
        #expect(ContentCoding.preferred(in: ["*"], of: [.gzip]) == .gzip)
    }

    // MARK: the forms themselves

    @Test(arguments: ContentCoding.allCases)
    func everyLengthComesBack(coding: ContentCoding) throws {
        var state: UInt64 = 1
        for length in [1, 1025, 100_000, 262_143, 262_144, 262_145, 1_500_000] {
            // Text that repeats itself, and bytes that do not.
            let text = (0..<length).map { UInt8(truncatingIfNeeded: $0 / 7 % 90 + 32) }
            let noise = (0..<length).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            for bytes in [text, noise] {
                let form = try #require(Encoder.encode(Body(bytes), as: coding) {})
                #expect(form.count == form.bytes.count)
                #expect(form.pieces.dropLast().allSatisfy { $0.readableBytes == Body.pieceLength })
                #expect(try Decoder.decode(form.bytes, coding, length: length) == bytes, "\(length)")
            }
        }
    }

    @Test func workThatNobodyWaitsForEnds() {
        struct Enough: Error {}
        let body = Body([UInt8](repeating: 1, count: 1_000_000))
        for coding in ContentCoding.allCases {
            var count = 0
            #expect(throws: Enough.self) {
                try Encoder.encode(body, as: coding) {
                    count += 1
                    if count == 3 { throw Enough() }
                }
            }
        }
    }

    // MARK: over HTTP

    private static func field(_ name: String, _ head: String) -> String? {
        head.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
    }

    private static func encodings(_ server: RunningServer) async throws -> Int {
        let text = try await server.send("GET", "/metrics").body
        return text.split(separator: "\n").filter { $0.hasPrefix("gateway_encodings_total{") }.reduce(0) {
            $0 + ($1.split(separator: " ").last.flatMap { Int($0) } ?? 0)
        }
    }

    /// The same bytes as without, made once, whichever way they leave: by the short cut, from the cache, made anew.
    @Test(arguments: ContentCoding.allCases)
    func answersComeBackAsTheyWere(coding: ContentCoding) async throws {
        try await RunningServer.run { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                func ask(_ target: String, _ more: String = "", method: String = "GET") async throws
                    -> (head: String, body: ByteBuffer)
                {
                    try await outbound.write(
                        ByteBuffer(string: "\(method) \(target) HTTP/1.1\r\nHost: h\r\n\(more)\r\n"))
                    if method == "HEAD" { return (try #require(try await reader.head()), ByteBuffer()) }
                    return try #require(try await reader.next())
                }
                let accept = "Accept-Encoding: deflate, \(coding.rawValue);q=0.9\r\n"
                // Kept and short enough for a loop's copies; kept and longer; what never changes.
                for path in ["/scoremetadata", "/totalerapoints", "/candidates", "/", "/openapi.json"] {
                    let plain = try await ask(path)
                    #expect(Self.field("Content-Encoding", plain.head) == nil)
                    #expect(plain.body.readableBytes > EncodedForms.shortest, "\(path)")
                    let before = try await Self.encodings(server)
                    for more in ["", "", "Origin: o\r\n", "Accept-Encoding: compress\r\n"] {
                        let answer = try await ask(path, accept + more)
                        #expect(Self.field("Content-Encoding", answer.head) == coding.rawValue, "\(path)")
                        #expect(Self.field("Content-Type", answer.head) == Self.field("Content-Type", plain.head))
                        #expect(Self.field("Vary", answer.head) == "Origin, Accept-Encoding")
                        #expect(answer.body.readableBytes < plain.body.readableBytes)
                        let decoded = try Decoder.decode(
                            Array(answer.body.readableBytesView), coding, length: plain.body.readableBytes)
                        #expect(decoded == Array(plain.body.readableBytesView), "\(path)")
                        let head = try await ask(path, accept + more, method: "HEAD").head
                        #expect(Self.field("Content-Length", head) == "\(answer.body.readableBytes)")
                        #expect(Self.field("Content-Encoding", head) == coding.rawValue)
                    }
                    #expect(try await Self.encodings(server) == before + 1, "\(path)")
                    // And whoever does not ask gets what was always given.
                    let again = try await ask(path)
                    #expect(again.body == plain.body)
                    #expect(Self.field("Content-Encoding", again.head) == nil)
                }
            }
        }
    }

    /// What is short, what is no answer, and what nobody asked for.
    @Test func whatIsSentAsItIs() async throws {
        try await RunningServer.run { server async throws in
            for path in [
                "/blockindex", "/nope", "/candidate/nobody", "/score/a/b", "/healthcheck", "/metrics", "/favicon.png",
            ] {
                let answer = try await server.send("GET", path, ["Accept-Encoding: gzip, br, zstd"])
                #expect(!answer.headers.contains { $0.hasPrefix("Content-Encoding") }, "\(path)")
            }
            for accept in ["identity", "gzip;q=0", "deflate", ""] {
                let answer = try await server.send("GET", "/candidates", ["Accept-Encoding: \(accept)"])
                #expect(!answer.headers.contains { $0.hasPrefix("Content-Encoding") }, "\(accept)")
                #expect(answer.body == (try await server.send("GET", "/candidates").body))
            }
            #expect(try await Self.encodings(server) == 0)
        }
        try await RunningServer.run({ $0.codings = [] }) { server async throws in
            let answer = try await server.send("GET", "/candidates", ["Accept-Encoding: gzip, br, zstd"])
            #expect(answer.headers == (try await server.send("GET", "/candidates").headers))
        }
    }

    private static func used(_ server: RunningServer) async throws -> Int {
        let text = try await server.send("GET", "/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix("gateway_memory_used_bytes ") }
        return try #require(line?.split(separator: " ").last.flatMap { Int($0) })
    }

    /// What is used once answers have gone out whole: their bodies are counted too while they are sent.
    private static func kept(_ server: RunningServer) async throws -> Int {
        var last = try await Self.used(server)
        var same = 0
        while same < 10 {
            try await Task.sleep(for: .milliseconds(10))
            let now = try await Self.used(server)
            same = now == last ? same + 1 : 0
            last = now
        }
        return last
    }

    /// A form takes memory of the budget, as long as its answer is kept. Without memory for it the answer goes as it is.
    @Test func formsAreCountedAndGoWithTheirAnswers() async throws {
        try await RunningServer.run { server async throws in
            _ = try await server.send("GET", "/candidates")
            let before = try await Self.kept(server)
            _ = try await server.send("GET", "/candidates", ["Accept-Encoding: gzip"])
            #expect(try await Self.kept(server) > before)
        }
        try await RunningServer.run({ $0.cacheLifetime = .milliseconds(100) }) { server async throws in
            _ = try await server.send("GET", "/candidates", ["Accept-Encoding: gzip"])
            // The sweep comes with the answers' age.
            while try await Self.used(server) > 0 { try await Task.sleep(for: .milliseconds(20)) }
        }
        let text = String(repeating: "x", count: 1000)
        let full = FullStore(try ExtendedJSON.batch((0..<12_000).map { _ in #"{"t":"\#(text)"}"# }))
        try await RunningServer.run({ $0.memoryBytes = 16 << 20 }, store: full) { server async throws in
            let answer = try await server.send("GET", "/validators", ["Accept-Encoding: br"])
            #expect(answer.status == "HTTP/1.1 200 OK")
            #expect(!answer.headers.contains { $0.hasPrefix("Content-Encoding") })
            #expect(answer.body.utf8.count > 12_000_000)
        }
    }

    /// A hundred at once: one of them makes it.
    @Test func aFormIsMadeOnce() async throws {
        try await RunningServer.run { server async throws in
            let bodies = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        try await server.send("GET", "/totalerapoints", ["Accept-Encoding: gzip"]).body
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(bodies.count == 1)
            #expect(try await Self.encodings(server) == 1)
        }
    }
}
