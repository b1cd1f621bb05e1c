@testable import Control
import Glibc
import Synchronization
import TestSupport
import Traffic

/// A name server on a loopback port, over UDP and TCP, whose every answer a test scripts.
final class ScriptedNameServer: Sendable {
    struct Query: Sendable {
        var id: UInt16
        var question: DNSQuestion
        var isStream: Bool
        var isExtended: Bool
        /// Name and type, such as `gateway.test a`.
        var text: String { "\(self.question.name) \(self.question.type)" }

        /// A response with these answers; the record's name is the question's unless given.
        func response(
            _ answers: [(name: String?, data: Data)] = [], code: UInt16 = 0, truncated: Bool = false,
            additional: [(name: String?, data: Data)] = []
        ) -> [UInt8] {
            var message = DNSBytes(
                id: self.id, self.question, code: code, truncated: truncated, answers: answers.count,
                additional: additional.count)
            for (name, data) in answers + additional {
                let owner = name.flatMap { DNSName($0)?.wire } ?? SampleResponse.pointer
                message.record(owner, data.type, data.bytes)
            }
            return message.bytes
        }

        func addresses(_ hosts: UInt8...) -> [UInt8] {
            self.question.type == .a ? self.response(hosts.map { (nil, .v4($0)) }) : self.response()
        }
    }

    enum Data: Sendable {
        /// 10.0.0.n
        case v4(UInt8)
        /// fd00::n
        case v6(UInt8)
        case alias(String)
        case service(priority: UInt8, port: UInt16, String)

        var type: UInt16 {
            switch self {
            case .v4: 1
            case .v6: 28
            case .alias: 5
            case .service: 33
            }
        }

        var bytes: [UInt8] {
            switch self {
            case .v4(let host): [10, 0, 0, host]
            case .v6(let host): [0xFD] + [UInt8](repeating: 0, count: 14) + [host]
            case .alias(let name): DNSName(name)?.wire ?? []
            case .service(let priority, let port, let target):
                [0, priority, 0, 1, UInt8(port >> 8), UInt8(port & 0xFF)] + (DNSName(target)?.wire ?? [0])
            }
        }
    }

    private struct State {
        var queries: [Query] = []
        var isStopped = false
    }

    let address: SocketAddress
    private let state = Mutex(State())
    private let script: @Sendable (Query) -> [[UInt8]]

    /// `script` answers with any number of messages; over TCP each gets its length before it.
    init(_ script: @escaping @Sendable (Query) -> [[UInt8]]) throws {
        let datagrams = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let streams = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // A port of one kind may be taken for the other.
        for _ in 0..<20 {
            name.sin_port = 0
            let isBound = withUnsafeMutablePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(streams, $0, length) == 0 && getsockname(streams, $0, &length) == 0
                        && bind(datagrams, $0, length) == 0 && listen(streams, 64) == 0
                }
            }
            if isBound { break }
        }
        guard name.sin_port != 0 else { throw TestFailure("no port for a name server") }
        self.address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: UInt16(bigEndian: name.sin_port))
        self.script = script
        // Threads look at whether they are wanted still.
        var time = timeval(tv_sec: 0, tv_usec: 50_000)
        setsockopt(datagrams, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(streams, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        startThread { [self] in self.serveDatagrams(datagrams) }
        startThread { [self] in self.serveStreams(streams) }
    }

    var queries: [Query] { self.state.withLock { $0.queries } }
    func stop() { self.state.withLock { $0.isStopped = true } }
    private var isStopped: Bool { self.state.withLock { $0.isStopped } }

    private func answers(_ bytes: [UInt8], isStream: Bool) -> [[UInt8]] {
        var reader = DNSReader(bytes)
        do {
            let id = try reader.uint16()
            try reader.skip(8)
            let isExtended = try reader.uint16() == 1
            let name = try reader.name()
            guard let type = DNSType(rawValue: try reader.uint16()) else { return [] }
            let query = Query(
                id: id, question: DNSQuestion(name: name, type: type), isStream: isStream, isExtended: isExtended)
            self.state.withLock { $0.queries.append(query) }
            return self.script(query)
        } catch {
            return []
        }
    }

    private func serveDatagrams(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65_535)
        while !self.isStopped {
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
                }
            }
            guard count > 0 else { continue }
            for answer in self.answers(Array(buffer.prefix(count)), isStream: false) {
                withUnsafePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        _ = sendto(descriptor, answer, answer.count, 0, $0, length)
                    }
                }
            }
        }
        close(descriptor)
    }

    private func serveStreams(_ descriptor: Int32) {
        while !self.isStopped {
            let accepted = accept(descriptor, nil, nil)
            guard accepted >= 0 else { continue }
            let connection = RawConnection(adopting: accepted)
            guard case .data(let bytes) = connection.receive(by: Deadline(seconds: 2)) else { continue }
            for answer in self.answers(Array(bytes.dropFirst(2)), isStream: true) {
                // In two pieces: the length alone says nothing yet.
                connection.send([UInt8(answer.count >> 8), UInt8(answer.count & 0xFF)])
                connection.send(answer)
            }
        }
        close(descriptor)
    }
}
