@testable import Control
import Testing
import Traffic

/// Bytes of responses, written by hand.
struct DNSBytes {
    var bytes: [UInt8]

    /// The head and the question of a response.
    init(
        id: UInt16, _ question: DNSQuestion, code: UInt16 = 0, truncated: Bool = false, answers: Int = 0,
        additional: Int = 0
    ) {
        self.bytes = []
        self.append(id)
        self.append(0x8180 | code | (truncated ? 0x0200 : 0))
        for count in [1, answers, 0, additional] { self.append(UInt16(count)) }
        self.bytes += question.name.wire
        self.append(question.type.rawValue)
        self.append(1)
    }

    mutating func append(_ value: UInt16) { self.bytes += [UInt8(value >> 8), UInt8(value & 0xFF)] }

    mutating func record(_ name: [UInt8], _ type: UInt16, _ data: [UInt8]) {
        self.bytes += name
        self.append(type)
        self.append(1)
        self.bytes += [0, 0, 0, 30]
        self.append(UInt16(data.count))
        self.bytes += data
    }
}

/// `gateway.test` has an alias, two addresses behind it, and records of other kinds beside them.
enum SampleResponse {
    static let id: UInt16 = 0xBEEF
    /// A pointer to the question's name.
    static let pointer: [UInt8] = [0xC0, 12]

    static func question(_ type: DNSType = .a) throws -> DNSQuestion {
        DNSQuestion(name: try #require(DNSName("gateway.test")), type: type)
    }

    static func aliased() throws -> [UInt8] {
        let pods = try #require(DNSName("Pods.Gateway.test"))
        var message = DNSBytes(id: Self.id, try Self.question(), answers: 4, additional: 1)
        message.record(Self.pointer, 5, pods.wire)
        message.record(pods.wire, 1, [10, 0, 0, 1])
        message.record(Self.pointer, 16, [3, 0x61, 0x62, 0x63])
        message.record(pods.wire, 1, [10, 0, 0, 2])
        message.record([0], 41, [])
        return message.bytes
    }

    static func services() throws -> [UInt8] {
        var message = DNSBytes(id: Self.id, try Self.question(.srv), answers: 1, additional: 1)
        let target = try #require(DNSName("pod.test"))
        message.record(Self.pointer, 33, [0, 1, 0, 2, 0x0C, 0xE5] + target.wire)
        message.record(target.wire, 28, [0xFD] + [UInt8](repeating: 0, count: 14) + [7])
        return message.bytes
    }

    static func parse(_ bytes: [UInt8], _ type: DNSType = .a) throws -> DNSResponse {
        try DNSMessage.response(bytes, id: Self.id, try Self.question(type))
    }
}

@Suite("DNS messages")
struct DNSMessageTests {
    @Test("A query is the question with recursion desired, and the OPT record where it is extended")
    func query() throws {
        let question = try SampleResponse.question()
        let name: [UInt8] = [7] + Array("gateway".utf8) + [4] + Array("test".utf8) + [0]
        let plain: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 1, 0, 1]
        #expect(DNSMessage.query(id: 0x1234, question, extended: false) == plain)
        var extended = plain + [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]
        extended[11] = 1
        #expect(DNSMessage.query(id: 0x1234, question, extended: true) == extended)
    }

    @Test("Addresses are those at the end of the chain of aliases, without regard to case")
    func addresses() throws {
        let response = try SampleResponse.parse(try SampleResponse.aliased())
        #expect(response.code == .noError && !response.isTruncated)
        #expect(
            response.addresses(of: try SampleResponse.question().name)
                == [IPAddress(v4: 0x0A00_0001), IPAddress(v4: 0x0A00_0002)])
    }

    @Test("SRV records with their targets, and the addresses that come along")
    func services() throws {
        let response = try SampleResponse.parse(try SampleResponse.services(), .srv)
        let target = try #require(DNSName("pod.test"))
        #expect(
            response.services(of: try SampleResponse.question().name)
                == [DNSService(priority: 1, weight: 2, port: 3_301, target: target)])
        #expect(
            response.additional
                == [DNSRecord(name: target, content: .address(IPAddress(high: 0xFD00 << 48, low: 7)))])
    }

    @Test("A chain of aliases that bites its tail has no addresses")
    func aliasLoop() throws {
        let other = try #require(DNSName("other.test"))
        var message = DNSBytes(id: SampleResponse.id, try SampleResponse.question(), answers: 2)
        message.record(SampleResponse.pointer, 5, other.wire)
        message.record(other.wire, 5, SampleResponse.pointer)
        let response = try SampleResponse.parse(message.bytes)
        #expect(response.addresses(of: try SampleResponse.question().name).isEmpty)
    }

    @Test("Pointers that lead to themselves, forwards or around are refused", arguments: [33, 30, 35, 0x3FFF])
    func pointerLoop(target: Int) throws {
        var message = DNSBytes(id: SampleResponse.id, try SampleResponse.question(), answers: 1)
        // The record's name begins where the question ends, at byte 30.
        #expect(message.bytes.count == 30)
        message.record([1, 0x61, 0xC0 | UInt8(target >> 8), UInt8(target & 0xFF)], 1, [10, 0, 0, 1])
        let bytes = message.bytes
        #expect(throws: DNSFault.badName) { try SampleResponse.parse(bytes) }
    }

    @Test("A pointer that is all of a name and leads to itself is refused", .timeLimit(.minutes(1)))
    func pointerToItself() throws {
        var message = DNSBytes(id: SampleResponse.id, try SampleResponse.question(), answers: 1)
        message.record([0xC0, UInt8(message.bytes.count)], 1, [10, 0, 0, 1])
        let bytes = message.bytes
        #expect(throws: DNSFault.badName) { try SampleResponse.parse(bytes) }
    }

    /// Records of an unknown kind, the name of each a label of 40 bytes and a pointer to the name before, then an address.
    private func pointerChain(_ steps: Int) throws -> [UInt8] {
        var message = DNSBytes(id: SampleResponse.id, try SampleResponse.question(), answers: steps + 1)
        var target = 12
        for step in 0..<steps {
            let position = message.bytes.count
            let label = [40] + [UInt8](repeating: UInt8(0x61 + step), count: 40)
            message.record(label + [0xC0 | UInt8(target >> 8), UInt8(target & 0xFF)], 16, [])
            target = position
        }
        message.record(SampleResponse.pointer, 1, [10, 0, 0, 9])
        return message.bytes
    }

    @Test("A chain of pointers, each further back, is followed, until the name is longer than 255 bytes")
    func pointerChain() throws {
        #expect(try SampleResponse.parse(try self.pointerChain(5)).answers.count == 1)
        let chain = try self.pointerChain(6)
        #expect(throws: DNSFault.badName) { try SampleResponse.parse(chain) }
        var long = DNSBytes(id: SampleResponse.id, try SampleResponse.question(), answers: 1)
        let labels = (0..<4).flatMap { _ in [UInt8(63)] + [UInt8](repeating: 0x61, count: 63) }
        long.record(labels + [0], 1, [10, 0, 0, 1])
        let tooLong = long.bytes
        #expect(throws: DNSFault.badName) { try SampleResponse.parse(tooLong) }
    }

    @Test("A message cut at any byte is refused", arguments: [DNSType.a, .srv])
    func cut(type: DNSType) throws {
        let whole = try type == .a ? SampleResponse.aliased() : SampleResponse.services()
        _ = try SampleResponse.parse(whole, type)
        for length in 0..<whole.count {
            let part = Array(whole.prefix(length))
            #expect(throws: DNSFault.self, "\(length) bytes") { try SampleResponse.parse(part, type) }
        }
    }

    @Test("No mutation of a message traps, and none makes it longer", arguments: UInt64(0)..<8)
    func mutation(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let samples = [(try SampleResponse.aliased(), DNSType.a), (try SampleResponse.services(), .srv)]
        var refused = 0
        for round in 0..<250 {
            var (bytes, type) = samples[round % 2]
            for _ in 0...random.below(4) {
                let place = random.below(bytes.count)
                switch random.below(3) {
                case 0: bytes[place] = UInt8(random.below(256))
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8(random.below(256)), at: place)
                }
            }
            do {
                let response = try SampleResponse.parse(bytes, type)
                #expect(response.answers.count + response.additional.count <= 64)
            } catch {
                refused += 1
            }
        }
        #expect(refused > 25)
    }

    @Test("Only the response to the very question is taken")
    func unrelated() throws {
        let bytes = try SampleResponse.aliased()
        let question = try SampleResponse.question()
        #expect(DNSMessage.answers(bytes, id: SampleResponse.id, question))
        #expect(!DNSMessage.answers(bytes, id: 1, question))
        #expect(!DNSMessage.answers(bytes, id: SampleResponse.id, try SampleResponse.question(.aaaa)))
        var query = bytes
        query[2] = 0x01
        #expect(!DNSMessage.answers(query, id: SampleResponse.id, question))
        let other = DNSQuestion(name: try #require(DNSName("gateway.tesT.")), type: .a)
        #expect(DNSMessage.answers(bytes, id: SampleResponse.id, other))
    }

    @Test("A truncated response says so and is read no further")
    func truncated() throws {
        var message = DNSBytes(id: SampleResponse.id, try SampleResponse.question(), truncated: true, answers: 9)
        message.bytes += [0xC0]
        let response = try SampleResponse.parse(message.bytes)
        #expect(response.isTruncated && response.answers.isEmpty)
    }

    @Test(
        "A response's code is told by its registered name",
        arguments: [
            (UInt8(0), "NOERROR"), (1, "FORMERR"), (2, "SERVFAIL"), (3, "NXDOMAIN"), (4, "NOTIMP"), (5, "REFUSED"),
            (6, "RCODE 6"), (15, "RCODE 15"),
        ])
    func codes(value: UInt8, words: String) throws {
        var message = DNSBytes(id: SampleResponse.id, try SampleResponse.question())
        message.bytes[3] |= value
        #expect(try SampleResponse.parse(message.bytes).code.words == words)
    }

    @Test("An address of the wrong length is refused", arguments: [(UInt16(1), 3), (1, 5), (28, 4), (28, 17), (33, 6)])
    func badRecord(type: UInt16, length: Int) throws {
        var message = DNSBytes(id: SampleResponse.id, try SampleResponse.question(), answers: 1)
        message.record(SampleResponse.pointer, type, [UInt8](repeating: 1, count: length))
        message.bytes += [UInt8](repeating: 1, count: 300)
        let bytes = message.bytes
        #expect(throws: DNSFault.self) { try SampleResponse.parse(bytes) }
    }

    @Test(
        "Names: dots, lengths, case",
        arguments: [("a.b", true), ("a.b.", true), ("", false), (".", false), ("a..b", false)])
    func names(text: String, isName: Bool) {
        #expect((DNSName(text) != nil) == isName)
        #expect(DNSName(String(repeating: "a", count: 63)) != nil)
        #expect(DNSName(String(repeating: "a", count: 64)) == nil)
        let long = (0..<4).map { _ in String(repeating: "a", count: 63) }.joined(separator: ".")
        #expect(DNSName(long) == nil)
        #expect(DNSName(long.dropLast(2))?.wire.count == 255)
        #expect(DNSName("A.Example") == DNSName("a.exaMple."))
        #expect(DNSName("A.Example")?.description == "a.example")
    }
}

@Suite("resolv.conf")
struct ResolverConfigurationTests {
    @Test("Name servers, search list and ndots, as a pod has them")
    func pod() {
        let configuration = ResolverConfiguration(
            parsing: """
                # comment
                nameserver 10.96.0.10
                nameserver fd00::a
                nameserver nonsense
                search default.svc.cluster.local svc.cluster.local cluster.local
                options ndots:5 timeout:1
                """)
        #expect(configuration.servers.map(\.description) == ["10.96.0.10:53", "[fd00::a]:53"])
        #expect(configuration.ndots == 5)
        #expect(
            configuration.candidates("gateway").map(\.description) == [
                "gateway.default.svc.cluster.local", "gateway.svc.cluster.local", "gateway.cluster.local", "gateway",
            ])
        #expect(configuration.candidates("gateway.").map(\.description) == ["gateway"])
        #expect(configuration.candidates("a.b.c.d.e.f").first?.description == "a.b.c.d.e.f")
    }

    @Test("Without a name server it is the one on this host; the last search list holds; numbers are bounded")
    func defaults() {
        let configuration = ResolverConfiguration(parsing: "domain a\nsearch b c\noptions ndots:99\noptions ndots:x")
        #expect(configuration.servers.map(\.description) == ["127.0.0.1:53"])
        #expect(configuration.search.map(\.description) == ["b", "c"])
        #expect(configuration.ndots == 15)
        #expect(ResolverConfiguration(parsing: "").candidates("a.b").map(\.description) == ["a.b"])
    }
}
