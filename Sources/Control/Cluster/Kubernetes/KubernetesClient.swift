import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Calls of the Kubernetes API.
struct KubernetesClient: Sendable {
    /// Milliseconds for one call.
    private static let patience: Int64 = 3_000
    private static let answerLimit = 8 << 20
    private static let eventLimit = 4 << 20

    private let access: ClusterAccess
    private let calls: HTTPClient
    private let watches: HTTPClient

    init(_ access: ClusterAccess) {
        self.access = access
        self.calls = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: access.configuration(idle: .milliseconds(Self.patience)))
        // Bookmarks come about once a minute.
        self.watches = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: access.configuration(idle: .seconds(150)))
    }

    private func request(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]?
    ) throws(StoreFailure) -> HTTPClientRequest {
        do throws(DiscoveryFailure) {
            var request = HTTPClientRequest(url: try self.access.server() + path)
            request.method = method
            request.headers.add(name: "Accept", value: "application/json")
            request.headers.add(name: "User-Agent", value: "balancer/\(BalancerVersion.current)")
            if let token = try self.access.token() {
                request.headers.add(name: "Authorization", value: "Bearer \(token)")
            }
            if let body {
                request.headers.add(name: "Content-Type", value: "application/json")
                request.body = .bytes(ByteBuffer(bytes: body))
            }
            return request
        } catch {
            throw StoreFailure(.refused, "\(error)")
        }
    }

    /// The answer, or the status that says why there is none: `conflict`, `notFound`, `gone` are for the caller.
    func call<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8]? = nil, as type: Answer.Type
    ) async throws(StoreFailure) -> (HTTPResponseStatus, Answer?) {
        let request = try self.request(method, path, body)
        let status: HTTPResponseStatus
        let bytes: [UInt8]
        do {
            (status, bytes) = try await self.calls.answer(
                to: request, within: Self.patience, upTo: Self.answerLimit)
        } catch {
            throw StoreFailure(.unreachable, "the API server cannot be asked: \(error)")
        }
        switch status.code {
        case 200...299:
            guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(bytes)) else {
                throw StoreFailure(.refused, "the API server's answer cannot be read")
            }
            return (status, answer)
        case 404, 409, 410: return (status, nil)
        default: throw Self.failure(status, bytes)
        }
    }

    private static func failure(_ status: HTTPResponseStatus, _ bytes: [UInt8]) -> StoreFailure {
        let answer = try? JSONDecoder().decode(Kubernetes.Object.self, from: Data(bytes))
        let words = BoundedText.prefix(of: answer?.message ?? "\(status)", bytes: 300)
        let isTransient = status.code >= 500 || status == .tooManyRequests
        return StoreFailure(isTransient ? .unreachable : .refused, "the API server says: \(words)")
    }

    /// Follows one kind of objects until that ends, and says why it did.
    func watch(_ path: String, _ take: @escaping @Sendable (Kubernetes.Event) async -> Void) async -> StoreFailure {
        do throws(StoreFailure) {
            let request = try self.request(.GET, path, nil)
            return await self.watch(request, take)
        } catch {
            return error
        }
    }

    private func watch(
        _ request: HTTPClientRequest, _ take: @escaping @Sendable (Kubernetes.Event) async -> Void
    ) async -> StoreFailure {
        do {
            let response = try await self.watches.execute(request, timeout: .milliseconds(Self.patience))
            if response.status == .gone { return Self.expired }
            guard response.status == .ok else {
                let bytes = (try? await response.body.collect(upTo: 1 << 16)).map { Array($0.readableBytesView) } ?? []
                return Self.failure(response.status, bytes)
            }
            var cutter = LineCutter(limit: Self.eventLimit)
            for try await buffer in response.body {
                for line in try cutter.lines(buffer.readableBytesView) {
                    guard let event = try? JSONDecoder().decode(Kubernetes.Event.self, from: Data(line)) else {
                        return StoreFailure(.unreachable, "an event of the watch cannot be read")
                    }
                    if event.type == "ERROR" {
                        return event.object.code == 410
                            ? Self.expired : StoreFailure(.unreachable, event.object.message ?? "the watch ended")
                    }
                    await take(event)
                }
            }
            return StoreFailure(.unreachable, "the watch ended")
        } catch {
            return StoreFailure(.unreachable, "the watch broke off: \(error)")
        }
    }

    private static let expired = StoreFailure(.expired, "the version that was asked for is not remembered any more")
}
