import AsyncHTTPClient
import JSONText
import NIOCore
import NIOHTTP1
import NIOSSL
import Traffic

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

    /// Milliseconds for one call.
    private static let patience: Int64 = 5_000
    /// Bytes of an answer.
    private static let answerLimit = 1 << 20

    /// Made with the first spans.
    private var client: HTTPClient?
    /// Whom the client believes.
    private var caFile: String?

    func send(_ body: [UInt8], to spec: TracingSpec) async -> Reply {
        if spec.caFile != self.caFile { self.forgetClient() }
        let client = self.client ?? self.make(believing: spec.caFile)
        self.client = client
        var request = HTTPClientRequest(url: spec.endpoint)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "balancer/\(BalancerVersion.current)")
        request.body = .bytes(ByteBuffer(bytes: body))
        do {
            let answer = try await client.answer(to: request, within: Self.patience, upTo: Self.answerLimit)
            return Self.reply(to: answer.status.code, answer.body)
        } catch {
            // The file may have been replaced since it was read.
            if spec.caFile != nil, self.client === client { self.forgetClient() }
            // The errors' own words are short, and hold nothing of the URL.
            return .unavailable("\(error)")
        }
    }

    private func forgetClient() {
        guard let client = self.client else { return }
        self.client = nil
        Task { try? await client.shutdown() }
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

    private func make(believing caFile: String?) -> HTTPClient {
        self.caFile = caFile
        var tls = TLSConfiguration.makeClientConfiguration()
        if let caFile { tls.trustRoots = .file(caFile) }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(1), read: .milliseconds(Self.patience)))
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }
}
