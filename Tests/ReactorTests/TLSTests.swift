import Foundation
import Glibc
import Testing
import TestSupport
import Traffic

@testable import Reactor

/// Both ends of a connection in one process: the library between, and no kernel but a pair of sockets.
@Suite("TLS over a channel", .serialized) struct TLSTests {
    private static let certificates = Result { try TestCertificates() }

    private struct Pair: ~Copyable {
        var server: Channel
        var client: Channel
        var pool = BufferPool()
        let memory: TLSMemory
        let clientMemory: TLSMemory

        init() throws {
            let memory = try #require(TLSMemory())
            let clientMemory = try #require(TLSMemory())
            var descriptors: [Int32] = [0, 0]
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            try #require(socketpair(AF_UNIX, type, 0, &descriptors) == 0)
            self.memory = memory
            self.clientMemory = clientMemory
            self.server = Channel(Socket(owning: descriptors[0]))
            self.client = Channel(Socket(owning: descriptors[1]))
        }

        mutating func close() {
            self.client.close(pool: &self.pool)
            self.server.close(pool: &self.pool)
        }

        /// Until both are done, or one has failed.
        mutating func shake() -> (server: TLSFacts?, client: TLSFacts?, failure: TLSFailure?) {
            var result: (server: TLSFacts?, client: TLSFacts?, failure: TLSFailure?)
            for _ in 0..<50 {
                if result.client == nil {
                    self.client.note(.input)
                    switch self.client.shake(pool: &self.pool) {
                    case .done(let facts): result.client = facts
                    case .waits: break
                    case .failed(let failure): result.failure = result.failure ?? failure
                    }
                }
                if result.server == nil {
                    self.server.note(.input)
                    switch self.server.shake(pool: &self.pool) {
                    case .done(let facts): result.server = facts
                    case .waits: break
                    case .failed(let failure):
                        result.failure = result.failure ?? failure
                        return result
                    }
                }
                if result.server != nil, result.client != nil { break }
            }
            return result
        }

        private mutating func write(_ pieces: UnsafeMutableBufferPointer<iovec>, _ toClient: Bool) {
            if toClient {
                _ = self.server.write(pieces, pool: &self.pool)
            } else {
                _ = self.client.write(pieces, pool: &self.pool)
            }
        }

        private mutating func read(_ room: UnsafeMutableRawBufferPointer, _ toClient: Bool) -> Channel.Inflow {
            toClient ? self.client.read(into: room, pool: &self.pool) : self.server.read(into: room, pool: &self.pool)
        }

        /// Sends all of it from one end and reads it at the other, in reads of at most `room` bytes.
        mutating func carry(_ bytes: [UInt8], room size: Int, toClient: Bool) -> [UInt8] {
            var received: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: size)
            var sending = bytes
            sending.withUnsafeMutableBytes { all in
                var pieces = [iovec(iov_base: all.baseAddress, iov_len: all.count)]
                pieces.withUnsafeMutableBufferPointer { self.write($0, toClient) }
            }
            var idle = 0
            while received.count < bytes.count, idle < 5_000 {
                if toClient { _ = self.server.flush(pool: &self.pool) } else { _ = self.client.flush(pool: &self.pool) }
                if toClient { self.client.note(.input) } else { self.server.note(.input) }
                let inflow = chunk.withUnsafeMutableBytes { self.read($0, toClient) }
                if case .bytes(let count) = inflow {
                    received += chunk[..<count]
                    idle = 0
                } else {
                    idle += 1
                }
            }
            return received
        }
    }

    private static func file(_ path: String) throws -> NamedFile {
        NamedFile(path: path, bytes: Array(try Data(contentsOf: URL(fileURLWithPath: path))))
    }

    private static func spec(_ made: [(certificate: String, key: String)]) throws -> ListenerTLS {
        ListenerTLS(
            certificates: try made.map {
                ListenerTLS.Certificate(chain: try Self.file($0.certificate), key: try Self.file($0.key))
            })
    }

    private static let library = TLSLibrary()

    private static func server(
        _ spec: ListenerTLS, listener: String, http2: Bool, tickets: TicketKeys?
    ) throws -> TLSServer {
        try TLSServer(
            spec, CertificateGroup.groups(of: spec.certificates), listener: listener, http2: http2, tickets: tickets,
            library: #require(Self.library))
    }

    private static func client(_ change: (inout UpstreamTLS) -> Void = { _ in }) throws -> TLSClient {
        var spec = UpstreamTLS()
        spec.authorities = try Self.file(Self.certificates.get().authority)
        change(&spec)
        return try TLSClient(spec)
    }

    private func connect(
        _ server: TLSServer, _ client: TLSClient, name: String = "localhost", isAddress: Bool = false,
        ticket: TLSTicket? = nil, into pair: inout Pair
    ) -> (server: TLSFacts?, client: TLSFacts?, failure: TLSFailure?) {
        let isServing = pair.server.beginTLS(server, memory: pair.memory)
        let isAsking = pair.client.beginTLS(
            client, memory: pair.clientMemory, name: name, isAddress: isAddress, ticket: ticket)
        #expect(isServing && isAsking)
        return pair.shake()
    }

    @Test("Bytes of every size come through, whatever the reads")
    func carries() throws {
        let server = try Self.server(
            Self.spec([try Self.certificates.get().make("a", names: ["localhost"])]), listener: "public", http2: false,
            tickets: TicketKeys())
        let client = try Self.client()
        var pair = try Pair()
        let facts = self.connect(server, client, into: &pair)
        #expect(facts.failure == nil && facts.server?.isHTTP2 == false, "\(facts)")
        for size in [1, 2, 1_368, 1_369, 1_370, 8_191, 16_383, 16_384, 16_385, 40_000, 300_000, 1_200_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
            for room in [7, 4_096, 65_536, 262_144] where size / room < 2_000 {
                let down = pair.carry(bytes, room: room, toClient: true)
                let up = pair.carry(bytes, room: room, toClient: false)
                let place = zip(down, bytes).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                #expect(
                    down == bytes && up == bytes,
                    "\(size), \(room): \(down.count) down, \(up.count) up, first wrong at \(place ?? -1)")
            }
        }
        pair.close()
    }

    @Test("A ticket is good until its key has been left behind, and at its own name only")
    func tickets() throws {
        let made = try Self.certificates.get()
        let keys = try #require(TicketKeys())
        let certificates = [try made.make("t1", names: ["localhost"]), try made.make("t2", names: ["other.example"])]
        let server = try Self.server(Self.spec(certificates), listener: "public", http2: false, tickets: keys)
        let client = try Self.client()
        func visit(_ name: String, _ ticket: TLSTicket?) throws -> (facts: TLSFacts?, ticket: TLSTicket?) {
            var pair = try Pair()
            defer { pair.close() }
            let facts = self.connect(server, client, name: name, ticket: ticket, into: &pair)
            #expect(facts.failure == nil, "\(String(describing: facts.failure))")
            // The ticket comes behind the handshake.
            let byte = pair.carry([1], room: 16, toClient: true)
            #expect(byte == [1])
            return (facts.server, pair.client.takeTicket())
        }
        let first = try visit("localhost", nil)
        #expect(first.facts?.isResumed == false)
        let second = try visit("localhost", first.ticket)
        #expect(second.facts?.isResumed == true)
        #expect(try visit("other.example", second.ticket).facts?.isResumed == false, "another name, another key")
        keys.rotate()
        let third = try visit("localhost", second.ticket)
        #expect(third.facts?.isResumed == true, "the key before still decrypts")
        for _ in 0..<3 { keys.rotate() }
        #expect(try visit("localhost", third.ticket).facts?.isResumed == false)
        // A server of another process with the same keys, and one with others.
        let kept = keys.current
        let fresh = try visit("localhost", nil).ticket
        let same = try Self.server(Self.spec(certificates), listener: "public", http2: false, tickets: TicketKeys(kept))
        var pair = try Pair()
        let elsewhere = self.connect(same, client, ticket: fresh, into: &pair).server?.isResumed
        #expect(elsewhere == true)
        pair.close()
        let other = try Self.server(Self.spec(certificates), listener: "admin", http2: false, tickets: TicketKeys(kept))
        var second2 = try Pair()
        let stranger = self.connect(other, client, ticket: fresh, into: &second2).server?.isResumed
        #expect(stranger == false)
        second2.close()
    }

    @Test("Names choose the certificate: exact before wildcard, one label, the first for all others")
    func names() throws {
        let made = try Self.certificates.get()
        var spec = try Self.spec([
            made.make("n1", names: ["first.example"]), made.make("n2", names: ["*.wild.example", "plain.example"]),
            made.make("n3", names: ["exact.wild.example"]),
        ])
        let lenient = try Self.server(spec, listener: "l", http2: false, tickets: nil)
        spec.unknownName = .refused
        let strict = try Self.server(spec, listener: "l", http2: false, tickets: nil)
        let client = try Self.client()
        for (name, isKnown) in [
            ("first.example", true), ("FIRST.example", true), ("plain.example", true), ("a.wild.example", true),
            ("exact.wild.example", true), ("a.b.wild.example", false), ("wild.example", false),
            ("nobody.example", false),
        ] {
            var pair = try Pair()
            let facts = self.connect(lenient, client, name: name, into: &pair)
            // A certificate of another name is shown, and the client refuses it.
            #expect((facts.client != nil) == isKnown, "\(name) \(facts)")
            pair.close()
            var second = try Pair()
            let refused = self.connect(strict, client, name: name, into: &second)
            #expect((refused.client != nil) == isKnown, "\(name)")
            if !isKnown { #expect(refused.failure?.kind == .unknownName, "\(refused)") }
            second.close()
        }
    }

    @Test("An end that the peer has announced is an end; one that it has not is a cut")
    func ends() throws {
        let server = try Self.server(
            Self.spec([try Self.certificates.get().make("e", names: ["localhost"])]), listener: "l", http2: false,
            tickets: nil)
        let client = try Self.client()
        for isClean in [true, false] {
            var pair = try Pair()
            let facts = self.connect(server, client, into: &pair)
            #expect(facts.failure == nil)
            var chunk = [UInt8](repeating: 0, count: 64)
            if isClean {
                pair.server.finishWriting(pool: &pair.pool)
            } else {
                // As if the process had died: the kernel ends the connection, and nobody says so before.
                pair.server.endTLS()
                pair.server.finishWriting(pool: &pair.pool)
            }
            var last = Channel.Inflow.dry
            for _ in 0..<5 {
                pair.client.note(.input)
                last = chunk.withUnsafeMutableBytes { pair.client.read(into: $0, pool: &pair.pool) }
                if case .dry = last { continue }
                break
            }
            if isClean {
                guard case .ended = last else { Issue.record("\(last)"); return }
            } else {
                guard case .failed = last else { Issue.record("\(last)"); return }
            }
            pair.close()
        }
    }

    @Test("An idle connection takes tickets in and stays idle; bytes, or an end, are news")
    func settles() throws {
        let server = try Self.server(
            Self.spec([try Self.certificates.get().make("s", names: ["localhost"])]), listener: "l", http2: false,
            tickets: TicketKeys())
        let client = try Self.client()
        var pair = try Pair()
        let facts = self.connect(server, client, into: &pair)
        #expect(facts.failure == nil)
        pair.client.note(.input)
        let (ticket, nothing) = (pair.client.settle(pool: &pair.pool), pair.client.settle(pool: &pair.pool))
        #expect(ticket && nothing)
        var byte: UInt8 = 1
        var pieces = [iovec()]
        withUnsafeMutablePointer(to: &byte) { pointer in
            pieces[0] = iovec(iov_base: pointer, iov_len: 1)
            pieces.withUnsafeMutableBufferPointer { _ = pair.server.write($0, pool: &pair.pool) }
        }
        pair.client.note(.input)
        let byteIsQuiet = pair.client.settle(pool: &pair.pool)
        #expect(!byteIsQuiet)
        pair.close()
        var plain = try Pair()
        plain.client.note(.input)
        // Plain connections know no such thing.
        let plainIsQuiet = plain.client.settle(pool: &plain.pool)
        #expect(!plainIsQuiet)
        plain.close()
    }

    @Test("Whoever speaks something else is known by it")
    func strangers() throws {
        let server = try Self.server(
            Self.spec([try Self.certificates.get().make("x", names: ["localhost"])]), listener: "l", http2: false,
            tickets: nil)
        for (text, kind) in [
            ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", TLSFailure.Kind.plainHTTP), ("SSH-2.0-OpenSSH\r\n", .protocol),
            (String(repeating: "\0", count: 64), .protocol),
        ] {
            var pair = try Pair()
            let isServing = pair.server.beginTLS(server, memory: pair.memory)
            #expect(isServing)
            var bytes = Array(text.utf8)
            bytes.withUnsafeMutableBytes { all in
                var pieces = [iovec(iov_base: all.baseAddress, iov_len: all.count)]
                pieces.withUnsafeMutableBufferPointer { _ = pair.client.write($0, pool: &pair.pool) }
            }
            pair.server.note(.input)
            guard case .failed(let failure) = pair.server.shake(pool: &pair.pool) else {
                Issue.record("\(text) was taken")
                continue
            }
            #expect(failure.kind == kind || kind == .protocol && failure.kind == .noSharedCipher, "\(failure)")
            pair.close()
        }
    }

    @Test("A client certificate is demanded, asked for, or not; a stranger's is refused")
    func clientCertificates() throws {
        let made = try Self.certificates.get()
        let own = try made.make("c", names: ["localhost"])
        let stranger = try TestCertificates()
        let strange = try stranger.make("c", names: ["localhost"])
        for isRequired in [true, false] {
            var spec = try Self.spec([own])
            spec.clientCertificates = ListenerTLS.ClientCertificates(
                authorities: try Self.file(made.authority), isRequired: isRequired)
            let server = try Self.server(spec, listener: "l", http2: false, tickets: nil)
            for (shown, isGood) in [(own, true), (strange, false), (nil, !isRequired)] {
                let client = try Self.client { spec in
                    guard let shown else { return }
                    spec.chain = try? Self.file(shown.certificate)
                    spec.key = try? Self.file(shown.key)
                }
                var pair = try Pair()
                let facts = self.connect(server, client, into: &pair)
                #expect((facts.server != nil) == isGood, "required \(isRequired), \(facts)")
                if !isGood { #expect(facts.failure?.kind == .clientCertificate, "\(facts)") }
                if isGood, shown != nil {
                    // Leaf and authority.
                    let shown = pair.server.peerCertificates().count
                    #expect(shown == 2)
                }
                pair.close()
            }
        }
    }

    @Test("An endpoint must be who it is asked for as")
    func verifies() throws {
        let made = try Self.certificates.get()
        let server = try Self.server(
            Self.spec([made.make("v", names: ["core.example", "127.0.0.1"])]), listener: "l", http2: false, tickets: nil
        )
        let client = try Self.client()
        for (name, isAddress, isGood) in [
            ("core.example", false, true), ("other.example", false, false), ("127.0.0.1", true, true),
            ("127.0.0.2", true, false),
        ] {
            var pair = try Pair()
            let facts = self.connect(server, client, name: name, isAddress: isAddress, into: &pair)
            #expect((facts.client != nil) == isGood, "\(name) \(facts)")
            if !isGood { #expect(facts.failure?.kind == .certificate, "\(facts)") }
            pair.close()
        }
        // Whoever does not verify takes them all.
        let careless = try Self.client {
            $0.authorities = nil
            $0.isVerified = false
        }
        var pair = try Pair()
        let taken = self.connect(server, careless, name: "other.example", into: &pair).client
        #expect(taken != nil)
        pair.close()
    }

    @Test("Files that are no certificates, or do not fit each other, are told apart")
    func facts() throws {
        let made = try Self.certificates.get()
        let (one, two) = (try made.make("f1", names: ["A.Example", "10.0.0.1"]), try made.make("f2", names: ["b"]))
        let chain = try Self.file(one.certificate).bytes
        let facts = try CertificateFacts.read(chain: chain, key: Self.file(one.key).bytes)
        #expect(facts.names == ["a.example", "10.0.0.1"])
        #expect(facts.keyType == "EC 256" && facts.fingerprint.utf8.count == 64)
        #expect(facts.notAfter - facts.notBefore == 30 * 86_400)
        #expect(throws: TLSRefused("is not the key of the certificate")) {
            try CertificateFacts.read(chain: chain, key: Self.file(two.key).bytes)
        }
        #expect(throws: TLSRefused.self) { try CertificateFacts.read(chain: Array("nothing".utf8)) }
        #expect(throws: TLSRefused.self) { try CertificateFacts.read(chain: chain, key: chain) }
        #expect(throws: TLSRefused.self) { try CertificateFacts.read(chain: Array(chain.dropLast(chain.count / 2))) }
        #expect(CertificateFacts.count(chain) == 2)
        #expect(CertificateFacts.staple(chain) == nil)
        #expect("\(NamedFile(path: "/k", bytes: [1, 2]))" == "/k (2 bytes)")
        #expect(String(reflecting: NamedFile(path: "/k", bytes: [0x41])).contains("0x") == false)
        var dumped = ""
        dump(NamedFile(path: "/k", bytes: Array("secret".utf8)), to: &dumped)
        #expect(!dumped.contains("115"), "no byte of it")
    }
}
