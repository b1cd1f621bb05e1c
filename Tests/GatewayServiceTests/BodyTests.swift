import NIOCore
import Testing

@testable import Documents
@testable import GatewayService

/// Long bodies, which are made, kept and sent in pieces.
@Suite("Bodies in pieces")
struct BodyTests {
    /// Lists of texts of any length, around the length of a piece and its multiples.
    @Test func aTextThatIsCutIsTheSameText() throws {
        var random = SampleRandom(seed: 20_251_127)
        let edge = Body.pieceLength
        for round in 0..<30 {
            let lengths: [Int] = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                switch Int.random(in: 0..<4, using: &random) {
                case 0: Int.random(in: 0...40, using: &random)
                case 1: edge * Int.random(in: 0...3, using: &random) + Int.random(in: 0...6, using: &random)
                case 2: max(0, edge - Int.random(in: 0...12, using: &random))
                default: Int.random(in: 0...(3 * edge), using: &random)
                }
            }
            var whole = JSONWriter()
            var cut = JSONWriter()
            whole.beginArray()
            cut.beginArray()
            for (place, length) in lengths.enumerated() {
                let text = String(repeating: place % 2 == 0 ? "a" : "b", count: length)
                whole.string(text)
                cut.string(text)
                // The end cuts what is left.
                if round % 3 > 0 || place % 2 == 0 { try cut.cut() }
            }
            whole.endArray()
            cut.endArray()
            let body = cut.body()
            #expect(body.bytes == whole.bytes, "round \(round): \(lengths)")
            #expect(body.count == whole.bytes.count)
            #expect(body.pieces.allSatisfy { $0.storageCapacity <= edge })
            #expect(body.pieces.dropLast().allSatisfy { $0.readableBytes == edge })
            #expect(Body(whole.bytes).bytes == whole.bytes)
        }
    }

    @Test func aTextThatIsTooLongIsRefused() throws {
        var writer = JSONWriter(largest: 3 * Body.pieceLength)
        writer.beginArray()
        let text = String(repeating: "x", count: Body.pieceLength)
        for _ in 0..<3 {
            writer.string(text)
            try writer.cut()
        }
        writer.string(text)
        #expect(throws: ResourceError.tooLong(3 * Body.pieceLength)) { try writer.cut() }
    }

    private static let documents = (0..<3000).map {
        #"{"n":\#($0),"text":"\#(String(repeating: "x", count: 400))"}"#
    }
    private static let list = "[" + documents.joined(separator: ",") + "]"

    private func withServer(_ body: @escaping @Sendable (RunningServer) async throws -> Void) async throws {
        let store = try EmbeddedStore(reading: .memory)
        try store.insert([(.nominators, try ExtendedJSON.batch(Self.documents, identified: false))])
        try await RunningServer.run(store: store, body: body)
    }

    private static func get(_ target: String) -> ByteBuffer {
        ByteBuffer(string: "GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n")
    }

    /// One connection that is kept: the answer made anew, then twice as kept, with small ones between them.
    @Test func keptBodiesOfManyPiecesAreSentWhole() async throws {
        try await withServer { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                for _ in 0..<3 {
                    try await outbound.write(Self.get("/nominators"))
                    let list = try #require(try await reader.next())
                    #expect(String(buffer: list.body) == Self.list)
                    #expect(list.head.contains("\r\nConnection: keep-alive\r\n"))
                    try await outbound.write(Self.get("/healthcheck"))
                    #expect(try await reader.next()?.body == ByteBuffer(string: "Good!"))
                }
                // All at once, in turn.
                let targets = ["/nominators", "/nominators?new", "/livez", "/nominators"]
                for target in targets { try await outbound.write(Self.get(target)) }
                for target in targets {
                    let body = try #require(try await reader.next()?.body)
                    #expect(String(buffer: body) == (target == "/livez" ? "alive\n" : Self.list), "\(target)")
                }
            }
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_cache_hits_total{route="/nominators"} 4"#))
        }
    }

    /// Clients that leave in the middle of an answer, made anew or kept, are nothing to the others.
    @Test func whoLeavesInTheMiddleIsNobodysTrouble() async throws {
        try await withServer { server async throws in
            for number in 0..<20 {
                try await server.connect().executeThenClose { inbound, outbound in
                    try await outbound.write(Self.get(number % 2 == 0 ? "/nominators" : "/nominators?\(number)"))
                    var iterator = inbound.makeAsyncIterator()
                    _ = try await iterator.next()
                }
            }
            #expect(try await server.send("GET", "/nominators").body == Self.list)
        }
    }

    /// Made anew, kept, and asked for by a client that has sent its next request already: the same bytes, and the next
    /// answer after them.
    @Test func aBodyOfManyPiecesIsSentWhole() async throws {
        try await withServer { server async throws in
            for path in ["/nominators", "/nominators", "/nominators?x", "/nominators?x"] {
                let answer = try await server.send("GET", path)
                #expect(answer.body == Self.list)
                #expect(answer.headers.contains("Content-Length: \(answer.body.utf8.count)"))
            }
            let head = try await server.send("HEAD", "/nominators?y")
            let get = try await server.send("GET", "/nominators?y")
            #expect(head.body.isEmpty)
            #expect(head.headers == get.headers)
            let both = try await server.exchange(
                "GET /nominators?z HTTP/1.1\r\nHost: h\r\n\r\n"
                    + "GET /healthcheck HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(both.hasSuffix("Good!"))
            #expect(both.contains("]HTTP/1.1 200 OK\r\n"))
        }
    }
}
