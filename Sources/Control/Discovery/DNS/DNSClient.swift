import Reactor
import Traffic

/// Asks name servers: datagrams first, TCP where the answer is too long for one (RFC 7766). Holds nothing between two
/// questions.
struct DNSClient: Sendable {
    /// Milliseconds for one try at one server.
    static let patience: UInt32 = 2_000
    /// How often the servers are gone through.
    static let rounds = 2
    /// Questions asked one after the other because each was answered with an alias for another name.
    private static let aliasLimit = 8

    private let dialer: Dialer

    init(dialer: Dialer) { self.dialer = dialer }

    /// The answer of the first server that has one: that a name does not exist is an answer too, a failure of the server
    /// is none.
    func ask(_ question: DNSQuestion, servers: [SocketAddress]) async throws(DiscoveryFailure) -> DNSResponse {
        var failure = DiscoveryFailure("no name server is known")
        for _ in 0..<Self.rounds {
            for server in servers where !Task.isCancelled {
                do throws(DiscoveryFailure) {
                    let response = try await self.try(question, at: server)
                    switch response.code {
                    case .noError, .nameError: return response
                    default: failure = DiscoveryFailure("\(server) answers \(response.code.words)")
                    }
                } catch {
                    failure = error
                }
            }
        }
        throw failure
    }

    /// The answer to a question, and to those that its aliases leave open: a server that is not asked to do so, or cannot,
    /// answers with an alias and leaves what it stands for to whoever asked.
    func follow(_ question: DNSQuestion, servers: [SocketAddress]) async throws(DiscoveryFailure) -> DNSAnswer {
        var question = question
        let first = question.name
        for _ in 0..<Self.aliasLimit {
            let response = try await self.ask(question, servers: servers)
            guard let end = response.end(of: question.name) else { break }
            let isOpen = response.code == .noError && end != question.name && !response.hasRecords(of: end)
            guard isOpen else { return DNSAnswer(name: end, response: response) }
            question.name = end
        }
        throw DiscoveryFailure("the aliases of \(first) do not end")
    }

    private func `try`(
        _ question: DNSQuestion, at server: SocketAddress
    ) async throws(DiscoveryFailure) -> DNSResponse {
        let response = try await self.exchange(question, at: server, extended: true)
        switch response.code {
        // From before RFC 6891: they know no OPT record.
        case .formatError, .notImplemented: return try await self.exchange(question, at: server, extended: false)
        default: return response
        }
    }

    private func exchange(
        _ question: DNSQuestion, at server: SocketAddress, extended: Bool
    ) async throws(DiscoveryFailure) -> DNSResponse {
        let id = UInt16.random(in: .min ... .max)
        let query = DNSMessage.query(id: id, question, extended: extended)
        let answer = await DNSDatagram.exchange(
            query, with: server, by: self.dialer, milliseconds: Self.patience
        ) { bytes in
            DNSMessage.answers(bytes, id: id, question)
        }
        let response: DNSResponse
        switch answer {
        case .success(let bytes): response = try Self.read(bytes, id: id, question, server)
        case .failure(let failure): throw failure
        }
        return response.isTruncated ? try await self.stream(question, at: server, extended: extended) : response
    }

    private func stream(
        _ question: DNSQuestion, at server: SocketAddress, extended: Bool
    ) async throws(DiscoveryFailure) -> DNSResponse {
        let id = UInt16.random(in: .min ... .max)
        let query = DNSMessage.query(id: id, question, extended: extended)
        let framed = [UInt8(query.count >> 8), UInt8(query.count & 0xFF)] + query
        let result = await self.dialer.exchange(
            with: server, send: framed, connectMilliseconds: Self.patience, milliseconds: Self.patience,
            limit: 2 + Int(UInt16.max), until: { Self.message($0) != nil })
        guard let bytes = Self.message(result.bytes) else {
            throw DiscoveryFailure("\(server) gives no answer over TCP (\(result.end))")
        }
        let response = try Self.read(bytes, id: id, question, server)
        guard !response.isTruncated else { throw DiscoveryFailure("\(server) cuts its answer over TCP too") }
        return response
    }

    /// The message behind its length (RFC 1035 §4.2.2), once it is whole.
    private static func message(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= 2 else { return nil }
        let length = Int(bytes[0]) << 8 | Int(bytes[1])
        guard bytes.count >= 2 + length else { return nil }
        return Array(bytes[2..<(2 + length)])
    }

    private static func read(
        _ bytes: [UInt8], id: UInt16, _ question: DNSQuestion, _ server: SocketAddress
    ) throws(DiscoveryFailure) -> DNSResponse {
        do throws(DNSFault) {
            return try DNSMessage.response(bytes, id: id, question)
        } catch {
            throw DiscoveryFailure("\(server) answers with a malformed message (\(error))")
        }
    }
}
