import Documents
import NIOCore
import Testing

@testable import GatewayService

/// `ETag` and `Cache-Control`, which `server.validators` asks for.
@Suite("Validators of answers")
struct ValidatorTests {
    private static func value(_ name: String, _ answer: RunningServer.Answer) -> String? {
        answer.headers.first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
    }

    @Test func nothingIsSaidUnlessItIsAskedFor() async throws {
        try await RunningServer.run { server async throws in
            for path in ["/candidates", "/release", "/blockindex"] {
                let answer = try await server.send("GET", path)
                #expect(Self.value("ETag", answer) == nil)
                #expect(Self.value("Cache-Control", answer) == nil)
            }
        }
    }

    @Test func theTagIsTheBodysAndTheAgeWhatIsLeft() async throws {
        try await RunningServer.run({ $0.sendsValidators = true }) { server async throws in
            var tags: Set<String> = []
            for path in ["/candidates", "/blockindex", "/release", "/validators/activeeras/x"] {
                let first = try await server.send("GET", path)
                let tag = try #require(Self.value("ETag", first), "\(path)")
                #expect(tag.wholeMatch(of: #/"[0-9a-f]{32}"/#) != nil)
                tags.insert(tag)
                let age = Self.value("Cache-Control", first)
                if path == "/release" {
                    // Never kept.
                    #expect(age == "max-age=0")
                } else if path == "/blockindex" {
                    #expect(["max-age=18", "max-age=17"].contains(age))
                }
                for method in ["GET", "HEAD"] {
                    let second = try await server.send(method, path)
                    #expect(Self.value("ETag", second) == tag)
                }
                for condition in [tag, "W/\(tag)", "\"x\", \(tag)"] {
                    let met = try await server.send("GET", path, ["If-None-Match: \(condition)"])
                    #expect(met.status == "HTTP/1.1 304 Not Modified", "\(path)")
                    #expect(met.body == "")
                    #expect(Self.value("ETag", met) == tag)
                    #expect(Self.value("Cache-Control", met)?.hasPrefix("max-age=") == true)
                    #expect(Self.value("Content-Length", met) == nil)
                }
                for condition in ["\"x\"", tag.uppercased() + "x", "\"\"", tag.replacing("\"", with: "")] {
                    let unmet = try await server.send("GET", path, ["If-None-Match: \(condition)"])
                    #expect(unmet.status == "HTTP/1.1 200 OK", "\(path) \(condition)")
                }
            }
            #expect(tags.count == 4)
            // What is no answer has none.
            for path in ["/nope", "/candidate/nobody", "/score/a/b"] {
                #expect(Self.value("ETag", try await server.send("GET", path)) == nil)
            }
        }
    }

    /// On a connection that stays, where the short cut answers: the age falls.
    @Test func aKeptAnswerIsFreshForLess() async throws {
        try await RunningServer.run({ $0.sendsValidators = true }) { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                var ages: Set<Int> = []
                while ages.count < 3 {
                    try await outbound.write(ByteBuffer(string: "GET /blockindex HTTP/1.1\r\nHost: h\r\n\r\n"))
                    let head = try #require(try await reader.next()).head
                    let match = try #require(head.firstMatch(of: #/\r\nCache-Control: max-age=(\d+)\r\n/#))
                    #expect(head.contains("\r\nETag: \""))
                    ages.insert(try #require(Int(match.1)))
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(ages.allSatisfy { (13...18).contains($0) })
            }
        }
    }

    /// Another form is another representation: its tag differs, and either is known again.
    @Test func eachFormHasItsOwn() async throws {
        try await RunningServer.run({ $0.sendsValidators = true }) { server async throws in
            let plain = try #require(Self.value("ETag", try await server.send("GET", "/candidates")))
            for _ in 0..<2 {
                let answer = try await server.send("GET", "/candidates", ["Accept-Encoding: gzip"])
                let tag = try #require(Self.value("ETag", answer))
                #expect(tag == plain.dropLast() + "-gzip\"")
                let met = try await server.send(
                    "GET", "/candidates", ["Accept-Encoding: gzip", "If-None-Match: \(tag)"])
                #expect(met.status == "HTTP/1.1 304 Not Modified")
                #expect(Self.value("ETag", met) == tag)
            }
        }
    }

    /// The same everywhere, for any cut into pieces that bodies have, and for each byte another.
    @Test func bodiesAreToldApart() {
        let bytes = (0..<600_001).map { UInt8(truncatingIfNeeded: $0) }
        #expect(BodyHash.text(of: Body("abc")) == BodyHash.text(of: Body("abc")))
        var seen: Set<String> = [BodyHash.text(of: Body(bytes))]
        for place in [0, 7, 8, 262_143, 262_144, 600_000] {
            var other = bytes
            other[place] ^= 1
            seen.insert(BodyHash.text(of: Body(other)))
        }
        for length in [0, 1, 8, 600_000] { seen.insert(BodyHash.text(of: Body(bytes[..<length]))) }
        for text in ["a", "a\0", "\0a", "\0", "\0\0", "b"] { seen.insert(BodyHash.text(of: Body(text))) }
        // A single zero byte is the first of `bytes`.
        #expect(seen.count == 16)
        #expect(seen.allSatisfy { $0.count == 32 })
    }
}
