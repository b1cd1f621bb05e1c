import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOSSL
import Reactor
import RoutesFile

/// Calls of etcd's JSON gateway, at whichever of its addresses answers.
///
/// Each address gets `patience`; what is called must be such that a second call after one that was not answered does no harm.
actor EtcdClient {
    /// Milliseconds for one call at one address. etcd itself takes seven seconds to say that it has no quorum.
    private static let patience: Int64 = 3_000
    /// Bytes of an answer: the document in base64, twice as large as it is, and the presences.
    private static let answerLimit = 4 << 20

    private let spec: EtcdSpec
    private let calls: HTTPClient
    private let watches: HTTPClient
    /// Where the last call was answered.
    private(set) var address = 0
    private var token: String?

    init(_ spec: EtcdSpec) {
        self.spec = spec
        var tls = TLSConfiguration.makeClientConfiguration()
        if let file = spec.caFile { tls.trustRoots = .file(file) }
        func client(idle: TimeAmount) -> HTTPClient {
            var configuration = HTTPClient.Configuration(
                tlsConfiguration: tls, redirectConfiguration: .disallow,
                timeout: .init(connect: .seconds(1), read: idle))
            configuration.httpVersion = .http1Only
            configuration.connectionPool.retryConnectionEstablishment = false
            return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        }
        self.calls = client(idle: .milliseconds(Self.patience))
        // Presences of all replicas come by it every few seconds.
        self.watches = client(idle: .seconds(30))
    }

    func close() async {
        try? await self.calls.shutdown()
        try? await self.watches.shutdown()
    }

    /// Calls until an address answers.
    func call<Answer: Decodable>(_ path: String, _ body: String, as type: Answer.Type) async throws(StoreFailure)
        -> Answer
    {
        var last = StoreFailure(.unreachable, "no address")
        let first = self.address
        for step in 0..<self.spec.endpoints.count {
            let index = (first + step) % self.spec.endpoints.count
            do throws(StoreFailure) {
                let answer = try await self.authorized(path, body, at: index)
                self.address = index
                guard let value = try? JSONDecoder().decode(Answer.self, from: Data(answer)) else {
                    throw StoreFailure(
                        .refused, "\(self.spec.endpoints[index]) does not answer as etcd's JSON gateway does")
                }
                return value
            } catch {
                guard error.cause == .unreachable else { throw error }
                last = error
            }
            if Task.isCancelled { break }
        }
        // Where the next call begins: whoever did not answer last is asked last.
        if self.address == first { self.address = (first + 1) % self.spec.endpoints.count }
        throw last
    }

    private func authorized(_ path: String, _ body: String, at index: Int) async throws(StoreFailure) -> [UInt8] {
        if self.spec.user != nil, self.token == nil { try await self.authenticate(at: index) }
        let used = self.token
        var (status, bytes) = try await self.post(path, body, at: index, token: used)
        // Tokens end by themselves, and with the process that gave them out.
        if self.spec.user != nil, status == .unauthorized || Self.says("invalid auth token", bytes) {
            if self.token == used { self.token = nil }
            if self.token == nil { try await self.authenticate(at: index) }
            (status, bytes) = try await self.post(path, body, at: index, token: self.token)
        }
        guard status == .ok else { throw self.failure(status, bytes, at: index) }
        return bytes
    }

    private func authenticate(at index: Int) async throws(StoreFailure) {
        guard let user = self.spec.user else { return }
        let file = self.spec.passwordFile ?? ""
        guard let bytes = try? WholeFile.read(file) else {
            throw StoreFailure(.refused, "cannot read a password from \(file)")
        }
        let password = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init)
        let body = ["name": user, "password": password ?? ""]
        guard let text = try? JSONEncoder().encode(body) else { return }
        let (status, answer) = try await self.post(
            "/v3/auth/authenticate", String(decoding: text, as: UTF8.self), at: index, token: nil)
        guard status == .ok, let token = try? JSONDecoder().decode(Etcd.Token.self, from: Data(answer)).token else {
            // A cluster that asks for no password takes every call as it is.
            if Self.says("authentication is not enabled", answer) {
                self.token = ""
                return
            }
            throw self.failure(status, answer, at: index)
        }
        self.token = token
    }

    private func post(
        _ path: String, _ body: String, at index: Int, token: String?
    ) async throws(StoreFailure) -> (HTTPResponseStatus, [UInt8]) {
        do {
            return try await self.calls.answer(
                to: self.request(path, body, at: index, token: token), within: Self.patience, upTo: Self.answerLimit)
        } catch {
            throw StoreFailure(.unreachable, "\(self.spec.endpoints[index]): \(Self.words(error))")
        }
    }

    private func request(_ path: String, _ body: String, at index: Int, token: String?) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: self.spec.endpoints[index] + path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "balancer/\(BalancerVersion.current)")
        if let token, !token.isEmpty { request.headers.add(name: "Authorization", value: token) }
        request.body = .bytes(ByteBuffer(string: body))
        return request
    }

    /// Watches at the address that answered last. The bytes go to `take` until it says why to end, or the watch ends.
    func watch(
        _ body: String, _ take: @Sendable (ByteBuffer) async -> StoreFailure?
    ) async -> StoreFailure {
        let index = self.address
        do {
            let response = try await self.watches.execute(
                self.request("/v3/watch", body, at: index, token: self.token), timeout: .milliseconds(Self.patience))
            guard response.status == .ok else {
                let bytes = (try? await response.body.collect(upTo: 1 << 16)).map { Array($0.readableBytesView) } ?? []
                return self.failure(response.status, bytes, at: index)
            }
            for try await buffer in response.body {
                if let failure = await take(buffer) { return failure }
            }
            return StoreFailure(.unreachable, "\(self.spec.endpoints[index]): the watch ended")
        } catch {
            return StoreFailure(.unreachable, "\(self.spec.endpoints[index]): \(Self.words(error))")
        }
    }

    private static func words(_ error: any Error) -> String {
        guard let error = error as? HTTPClientError else { return "\(error)" }
        switch error {
        case .deadlineExceeded, .readTimeout: return "it does not answer"
        case .connectTimeout: return "it cannot be connected to"
        case .remoteConnectionClosed: return "it has hung up"
        case .cancelled: return "given up"
        default: return "\(error)"
        }
    }

    private static func says(_ words: String, _ bytes: [UInt8]) -> Bool {
        String(decoding: bytes.prefix(4_096), as: UTF8.self).contains(words)
    }

    private func failure(_ status: HTTPResponseStatus, _ bytes: [UInt8], at index: Int) -> StoreFailure {
        let answer = try? JSONDecoder().decode(Etcd.Failure.self, from: Data(bytes))
        let place = self.spec.endpoints[index]
        let words = BoundedText.prefix(of: answer?.message ?? answer?.error ?? "\(status)", bytes: 200)
        switch status.code {
        // No leader, no quorum, timed out inside, too many requests.
        case 500..., 429: return StoreFailure(.unreachable, "\(place): \(words)")
        case 404 where answer == nil:
            return StoreFailure(
                .refused, "\(place) has no /v3: is its gateway switched off (--enable-grpc-gateway=false)?")
        case 404: return StoreFailure(.expired, "\(place): \(words)")
        default: return StoreFailure(.refused, "\(place): \(words)")
        }
    }
}
