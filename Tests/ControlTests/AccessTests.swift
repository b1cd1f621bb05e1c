@testable import Control
import Hummingbird
import HummingbirdTesting
import RoutesFile
import Testing

@Suite struct AccessTests {
    private static func hash(_ text: String) -> [UInt8] { SHA256.hash(text.utf8) }

    private static let tokens = [
        AdminToken(name: "alice", role: .operator, sha256: Self.hash("alices")),
        AdminToken(name: "victor", role: .viewer, sha256: Self.hash("victors")),
    ]

    @Test("SHA-256 is that of the standard's examples")
    func sha256() {
        func text(_ bytes: [UInt8]) -> String {
            bytes.map { byte in
                let digits = String(byte, radix: 16)
                return digits.count == 1 ? "0" + digits : digits
            }.joined()
        }
        #expect(text(Self.hash("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(text(Self.hash("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            text(Self.hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            text(Self.hash(String(repeating: "a", count: 1_000)))
                == "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3")
    }

    @Test("Without tokens everybody may do everything; with them each what the role says")
    func roles() {
        let access = AdminAccess()
        #expect(access.judge(nil, asks: .change, client: "a", now: 0) == .allowed(name: nil))
        access.set(Self.tokens, metrics: nil)
        for purpose in [AdminAccess.Purpose.read, .change] {
            #expect(access.judge(nil, asks: purpose, client: "a", now: 0) == .unknown)
            #expect(access.judge("alices", asks: purpose, client: "a", now: 0) == .allowed(name: "alice"))
        }
        #expect(access.judge("victors", asks: .read, client: "a", now: 0) == .allowed(name: "victor"))
        #expect(access.judge("victors", asks: .change, client: "a", now: 0) == .viewer(name: "victor"))
        // What clients have sent is shown to nobody who may not change anything.
        #expect(access.judge("victors", asks: .examples, client: "a", now: 0) == .viewer(name: "victor"))
        #expect(access.judge("alices", asks: .examples, client: "a", now: 0) == .allowed(name: "alice"))
        #expect(access.judge("victors", asks: .read, client: "a", now: 0) == .allowed(name: "victor"))
        #expect(access.judge(nil, asks: .probe, client: "a", now: 0) == .allowed(name: nil))
        #expect(access.judge(nil, asks: .metrics, client: "a", now: 0) == .allowed(name: nil))
        access.set(Self.tokens, metrics: Self.hash("scraper"))
        #expect(access.judge(nil, asks: .metrics, client: "a", now: 0) == .unknown)
        #expect(access.judge("scraper", asks: .metrics, client: "a", now: 0) == .allowed(name: nil))
        #expect(access.judge("victors", asks: .metrics, client: "a", now: 0) == .allowed(name: "victor"))
        #expect(access.judge("scraper", asks: .read, client: "a", now: 0) == .unknown)
    }

    @Test("Ten wrong tokens in a minute, and others from that address are told to wait; a right one is let in")
    func guessing() {
        let access = AdminAccess()
        access.set(Self.tokens, metrics: nil)
        for attempt in 0..<10 {
            #expect(access.judge("guess", asks: .read, client: "a", now: 1_000 + UInt64(attempt)) == .unknown)
        }
        #expect(access.judge("guess", asks: .read, client: "a", now: 31_000) == .slow(seconds: 30))
        #expect(access.judge(nil, asks: .read, client: "a", now: 31_000) == .slow(seconds: 30))
        // Who shares the address, as behind a proxy, with one who guesses is not locked out.
        #expect(access.judge("alices", asks: .change, client: "a", now: 31_000) == .allowed(name: "alice"))
        #expect(access.judge("alices", asks: .read, client: "b", now: 31_000) == .allowed(name: "alice"))
        #expect(access.judge(nil, asks: .probe, client: "a", now: 31_000) == .allowed(name: nil))
        #expect(access.judge("alices", asks: .read, client: "a", now: 61_000) == .allowed(name: "alice"))
        // None at all is no guess.
        for _ in 0..<20 { #expect(access.judge(nil, asks: .read, client: "c", now: 0) == .unknown) }
        // Many addresses take no more room, and do not fill the journal.
        #expect((0..<100).count { access.countDenied("d\($0)", now: 61_500) } == AdminAccess.tellLimit)
        #expect(access.countDenied("d0", now: 121_500) && !access.countDenied("d0", now: 121_600))
        for address in 0..<5_000 { _ = access.judge("guess", asks: .read, client: "\(address)", now: 122_000) }
        #expect(access.judge("alices", asks: .read, client: "4999", now: 122_000) == .allowed(name: "alice"))
    }

    @Test(
        "However the path is written, the metrics need their token",
        arguments: ["/metrics", "/metrics/", "//metrics", "//metrics//"])
    func paths(path: String) async throws {
        let rig = AdminRig()
        try await rig.load()
        rig.plane.access.set([], metrics: Self.hash("scraper"))
        try await rig.test { client in
            let bare = try await client.execute(uri: path, method: .get)
            #expect(bare.status == .unauthorized)
            let scraper = try await client.execute(
                uri: path, method: .get, headers: [.authorization: "Bearer scraper"])
            #expect(scraper.status == .ok)
        }
    }

    @Test("Over the API: 401, 403, 429; who did it is in the journal, and who was not let in once a minute")
    func api() async throws {
        let rig = AdminRig()
        try await rig.load()
        rig.plane.access.set(Self.tokens, metrics: nil)
        @Sendable func headers(_ token: String?) -> HTTPFields {
            var headers = AdminRig.json
            if let token { headers[.authorization] = "Bearer \(token)" }
            return headers
        }
        try await rig.test { client in
            func change(_ token: String?) async throws -> HTTPResponse.Status {
                try await client.execute(
                    uri: "/api/v1/routes/api/weights", method: .put, headers: headers(token),
                    body: ByteBuffer(string: #"{"weights":{"core":50}}"#)
                ).status
            }
            #expect(try await client.execute(uri: "/healthz", method: .get).status == .ok)
            #expect(try await client.execute(uri: "/metrics", method: .get).status == .ok)
            let unknown = try await client.execute(uri: "/api/v1/routes", method: .get)
            #expect(unknown.status == .unauthorized && unknown.headers[.wwwAuthenticate] == "Bearer")
            #expect(try await change(nil) == .unauthorized)
            #expect(try await change("victors") == .forbidden)
            #expect(
                try await client.execute(uri: "/api/v1/routes", method: .get, headers: headers("victors")).status == .ok
            )
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
            #expect(try await change("alices") == .ok)
            #expect(await rig.bench.publisher.entries.last?.who == "alice")
            for _ in 0..<10 { #expect(try await change("guess") == .unauthorized) }
            #expect(try await change("guess") == .tooManyRequests)
            #expect(try await change("alices") == .ok)
        }
        #expect(rig.plane.access.denied == 14)
        let denied = await rig.bench.publisher.entries.filter { $0.what == .denied }
        #expect(denied.map(\.detail) == ["GET /api/v1/routes: 401"] && denied.first?.who == "127.0.0.1")
    }
}
