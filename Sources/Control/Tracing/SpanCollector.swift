import AsyncHTTPClient
import JSONText
import NIOCore
import NIOHTTP1

/// Where spans are handed over: a collector that takes OTLP over HTTP.
actor SpanCollector {
    enum Reply: Sendable, Equatable {
        /// But for so many that it will not have.
        case taken(butFor: Int)
        /// It will not take them at any later time either.
        case refused(String)
        /// It may take them later.
        case unavailable(String)
    }

    /// Seconds for one call.
    private static let patience: Int64 = 5
    /// Bytes of an answer that are read, for its connection to be used again.
    private static let answerLimit = 65_536

    /// Made with the first spans; it lives as long as the process.
    private var client: HTTPClient?

    func send(_ body: [UInt8], to endpoint: String) async -> Reply {
        let client = self.client ?? self.make()
        self.client = client
        var request = HTTPClientRequest(url: endpoint)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "balancer/\(BalancerVersion.current)")
        request.body = .bytes(ByteBuffer(bytes: body))
        do {
            let response = try await client.execute(request, timeout: .seconds(Self.patience))
            let answer = try? await response.body.collect(upTo: Self.answerLimit)
            return Self.reply(to: response.status.code, answer.map { Array($0.readableBytesView) } ?? [])
        } catch {
            // The errors' own words are short, and hold nothing of the URL.
            return .unavailable("\(error)")
        }
    }

    /// As the protocol has it: these statuses ask for another try.
    static func reply(to status: UInt, _ answer: [UInt8] = []) -> Reply {
        switch status {
        case 200..<300: .taken(butFor: self.rejected(answer))
        case 408, 429, 502, 503, 504: .unavailable("\(status)")
        default: .refused("\(status)")
        }
    }

    /// `rejectedSpans` of an answer that takes a part: an integer of 64 bits, as a string or a number.
    private static func rejected(_ answer: [UInt8]) -> Int {
        let count = (try? JSONReader.read(answer))?["partialSuccess"]?["rejectedSpans"]?.content
        switch count {
        case .string(let digits), .number(let digits): return max(0, Int(digits) ?? 0)
        default: return 0
        }
    }

    private func make() -> HTTPClient {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(1), read: .seconds(Self.patience)))
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }
}
