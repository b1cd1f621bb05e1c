import COpenSSL
import Traffic

@testable import Reactor

/// Records of a client of TLS, made up or taken from a real one and changed on the way: whole and in pieces they end alike, and
/// what the server reads is what the client has said, from its begin. Shared with the fuzzer.
final class RecordInvariants {

    enum Verdict { case waits, done, failed }

    private let memory: TLSMemory
    private let clientMemory: TLSMemory
    private let server: TLSServer
    private let client: TLSClient
    private static let said = Array("something to be said, and nothing else\n".utf8)

    init?(chain: [UInt8], key: [UInt8]) {
        guard let memory = TLSMemory(), let clientMemory = TLSMemory(), let library = TLSLibrary() else { return nil }
        var spec = ListenerTLS(
            certificates: [
                ListenerTLS.Certificate(
                    chain: NamedFile(path: "chain", bytes: chain), key: NamedFile(path: "key", bytes: key))
            ])
        spec.tickets = nil
        var upstream = UpstreamTLS()
        upstream.isVerified = false
        guard let groups = try? CertificateGroup.groups(of: spec.certificates),
            let server = try? TLSServer(
                spec, groups, listener: "fuzz", http2: true, tickets: nil, library: library),
            let client = try? TLSClient(upstream)
        else { return nil }
        (self.memory, self.clientMemory, self.server, self.client) = (memory, clientMemory, server, client)
    }

    /// The first byte chooses: an even one takes those behind the second as a client's. An odd one has a real client shake hands
    /// and say something; what is behind the second are changes of what it sends, three bytes each: where (two), and by which
    /// bits. The second says how long the pieces are. nil: all is well.
    func fault(in bytes: [UInt8]) -> String? {
        guard bytes.count > 2 else { return nil }
        let rest = Array(bytes[2...])
        let piece = Int(bytes[1] & 63) + 1
        guard bytes[0] & 1 == 0 else { return self.talk(changes: rest, piece: piece) }
        let whole = self.serve(rest, piece: rest.count)
        let pieces = self.serve(rest, piece: piece)
        if whole != pieces { return "whole it ends \(whole), in pieces \(pieces)" }
        return whole == .done ? "a client that never answered is served" : nil
    }

    private final class Side {
        let session: TLSSession
        private var held: [UInt8] = []
        private(set) var verdict = Verdict.waits
        private(set) var read: [UInt8] = []
        private var isOver = false

        init(_ session: TLSSession) { self.session = session }

        /// Takes records, and answers what it has to say to them.
        func take(_ records: [UInt8]) -> [UInt8] {
            guard self.verdict != .failed, !self.isOver else { return [] }
            self.held += records
            let memory = self.session.memory
            let bytes = self.held
            let left = bytes.withUnsafeBytes { bytes in
                self.session.enter(bytes)
                self.advance()
                return self.session.leave()
            }
            self.held = Array(bytes[(bytes.count - left)...])
            defer { memory.forgetWritten() }
            return Array(memory.written)
        }

        private func advance() {
            if self.verdict == .waits {
                switch self.session.handshake() {
                case COPENSSL_DONE: self.verdict = .done
                case COPENSSL_WANTS: return
                default:
                    self.verdict = .failed
                    return
                }
            }
            var room = [UInt8](repeating: 0, count: 4_096)
            while true {
                var count = 0
                let result = copenssl_read(self.session.session, &room, room.count, &count)
                self.read += room[..<count]
                if result == COPENSSL_DONE, count > 0 { continue }
                if result == COPENSSL_FAILED { self.verdict = .failed }
                if result == COPENSSL_CLOSED { self.isOver = true }
                return
            }
        }

        func say(_ bytes: [UInt8]) -> [UInt8] {
            self.session.enter(UnsafeRawBufferPointer(start: nil, count: 0))
            _ = bytes.withUnsafeBytes { self.session.write($0) }
            _ = self.session.leave()
            defer { self.session.memory.forgetWritten() }
            return Array(self.session.memory.written)
        }
    }

    private func accept() -> Side? {
        self.server.accept(self.memory).map { Side(TLSSession($0, memory: self.memory, server: self.server)) }
    }

    private func serve(_ bytes: [UInt8], piece: Int) -> Verdict {
        guard let side = self.accept() else { return .failed }
        var offset = 0
        while offset < bytes.count {
            let end = min(bytes.count, offset + piece)
            _ = side.take(Array(bytes[offset..<end]))
            offset = end
        }
        return side.verdict
    }

    private func talk(changes: [UInt8], piece: Int) -> String? {
        guard let side = self.accept(),
            let session = self.client.connect(self.clientMemory, to: "localhost", isAddress: false, offers: .nothing)
        else { return nil }
        let other = Side(TLSSession(session, memory: self.clientMemory, client: self.client))
        var sent = 0
        var hasSaid = false
        var toServer = other.take([])
        for _ in 0..<8 {
            if other.verdict == .done, !hasSaid {
                hasSaid = true
                toServer += other.say(Self.said)
            }
            guard !toServer.isEmpty else { break }
            var changed = toServer
            for place in stride(from: 0, to: changes.count - 2, by: 3) {
                let at = Int(changes[place]) << 8 | Int(changes[place + 1])
                if at >= sent, at - sent < changed.count { changed[at - sent] ^= changes[place + 2] }
            }
            sent += toServer.count
            var answer: [UInt8] = []
            var offset = 0
            while offset < changed.count {
                let end = min(changed.count, offset + piece)
                answer += side.take(Array(changed[offset..<end]))
                offset = end
            }
            toServer = other.take(answer)
        }
        if !Self.said.starts(with: side.read) { return "what was read was never said" }
        if side.verdict == .waits, !side.read.isEmpty { return "something was read before the handshake's end" }
        let isHonest = !stride(from: 0, to: changes.count - 2, by: 3).contains { changes[$0 + 2] != 0 }
        return isHonest && side.read != Self.said ? "an honest client was refused" : nil
    }
}
