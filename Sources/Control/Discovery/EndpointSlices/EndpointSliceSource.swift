import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Traffic

/// Endpoints by the EndpointSlices of a Service: lists them, then watches from the list's version on. A watch that ends
/// goes on from the last version seen; one whose version has expired begins with a new list.
struct EndpointSliceSource: EndpointSource {
    /// Bytes of a list and of one event.
    private static let listLimit = 32 << 20
    private static let eventLimit = 4 << 20
    /// Seconds after which the API server ends a watch, give or take a fifth, so that watches do not end in step.
    private static let watchSeconds: UInt64 = 300
    /// Seconds for the head of an answer.
    private static let patience: Int64 = 10
    /// Without a byte for so long a watch is begun anew: bookmarks come about once a minute where nothing else does, and
    /// a connection that has silently died is not noticed otherwise.
    private static let idle = TimeAmount.seconds(150)
    /// Milliseconds that a watch must have lasted for its end not to be a fault.
    private static let longEnough: UInt64 = 1_000

    let lookup: EndpointSliceLookup
    let access: ClusterAccess
    let clock: ControlClock

    init(_ lookup: EndpointSliceLookup, access: ClusterAccess, clock: ControlClock) {
        self.lookup = lookup
        self.access = access
        self.clock = clock
    }

    func run(_ listener: SourceListener) async {
        let client = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: self.access.configuration(idle: Self.idle))
        await self.follow(client, listener)
        try? await client.shutdown()
    }

    private enum WatchEnd {
        /// As watches do.
        case ended
        /// Its version is too old.
        case expired
    }

    private func follow(_ client: HTTPClient, _ listener: SourceListener) async {
        var backoff = Backoff(first: 200, limit: 30_000)
        var slices: EndpointSliceSet?
        while !Task.isCancelled {
            let began = self.clock.monotonic()
            var isWatching = false
            do throws(DiscoveryFailure) {
                var present: EndpointSliceSet
                if let slices {
                    present = slices
                } else {
                    present = try await self.list(client)
                    slices = present
                    await listener.found(present.endpoints)
                }
                let end: WatchEnd
                do throws(DiscoveryFailure) {
                    end = try await self.watch(client, &present, &isWatching, listener)
                    slices = present
                } catch {
                    slices = present
                    throw error
                }
                if end == .expired { slices = nil }
                if self.clock.monotonic() >= began + Self.longEnough {
                    backoff.reset()
                    continue
                }
            } catch {
                if Task.isCancelled { return }
                await listener.failed(error)
                if isWatching, self.clock.monotonic() >= began + Self.longEnough { backoff.reset() }
            }
            try? await self.clock.sleep(backoff.next())
        }
    }

    // MARK: requests

    private var path: String {
        "/apis/discovery.k8s.io/v1/namespaces/\(self.access.namespace)/endpointslices"
            + "?labelSelector=kubernetes.io%2Fservice-name%3D\(self.lookup.service)"
    }

    private func ask(_ client: HTTPClient, _ path: String) async throws(DiscoveryFailure) -> HTTPClientResponse {
        let server = try self.access.server()
        var request = HTTPClientRequest(url: server + path)
        request.headers.add(name: "Accept", value: "application/json")
        request.headers.add(name: "User-Agent", value: "balancer/\(BalancerVersion.current)")
        if let token = try self.access.token() {
            request.headers.add(name: "Authorization", value: "Bearer \(token)")
        }
        do {
            return try await client.execute(request, timeout: .seconds(Self.patience))
        } catch {
            throw DiscoveryFailure("\(server) cannot be asked: \(error)")
        }
    }

    private func list(_ client: HTTPClient) async throws(DiscoveryFailure) -> EndpointSliceSet {
        let response = try await self.ask(client, self.path)
        guard response.status == .ok else { throw DiscoveryFailure("listing is answered by \(response.status)") }
        do {
            let body = try await response.body.collect(upTo: Self.listLimit)
            let list = try JSONDecoder().decode(EndpointSliceList.self, from: Data(body.readableBytesView))
            var slices = EndpointSliceSet(port: self.lookup.port)
            slices.replace(list)
            guard !slices.version.isEmpty else { throw DiscoveryFailure("the list has no resource version") }
            return slices
        } catch let failure as DiscoveryFailure {
            throw failure
        } catch {
            throw DiscoveryFailure("the list cannot be read: \(error)")
        }
    }

    /// Follows one watch to its end, keeping `slices` up to date, whatever that end is. Says when it has begun.
    private func watch(
        _ client: HTTPClient, _ slices: inout EndpointSliceSet, _ isWatching: inout Bool, _ listener: SourceListener
    ) async throws(DiscoveryFailure) -> WatchEnd {
        let seconds = Self.watchSeconds * UInt64.random(in: 80...120) / 100
        let response = try await self.ask(
            client,
            self.path + "&watch=1&allowWatchBookmarks=true&timeoutSeconds=\(seconds)&resourceVersion="
                + PercentCoding.encoded(slices.version))
        if response.status == .gone { return .expired }
        guard response.status == .ok else { throw DiscoveryFailure("watching is answered by \(response.status)") }
        isWatching = true
        // What was known holds until an event says otherwise.
        await listener.found(slices.endpoints)
        var cutter = LineCutter(limit: Self.eventLimit)
        do {
            for try await buffer in response.body {
                guard let end = try await self.take(buffer, &cutter, &slices, listener) else { continue }
                return end
            }
        } catch let failure as DiscoveryFailure {
            throw failure
        } catch let error as HTTPClientError where error == .readTimeout {
            return .ended
        } catch {
            throw DiscoveryFailure("the watch broke off: \(error)")
        }
        // An event that was cut comes again: the version is still the one before it.
        if cutter.hasRest { throw DiscoveryFailure("the watch broke off within an event") }
        return .ended
    }

    private func take(
        _ buffer: ByteBuffer, _ cutter: inout LineCutter, _ slices: inout EndpointSliceSet, _ listener: SourceListener
    ) async throws(DiscoveryFailure) -> WatchEnd? {
        let lines = try cutter.lines(buffer.readableBytesView)
        var end: WatchEnd?
        for line in lines where end == nil {
            guard let event = try? JSONDecoder().decode(EndpointSliceEvent.self, from: Data(line)) else {
                throw DiscoveryFailure("an event of the watch is not understood")
            }
            switch slices.apply(event) {
            case .none, .changed: break
            case .expired: end = .expired
            case .failed(let reason): throw DiscoveryFailure(reason)
            }
        }
        // Once for all events that came together; bookmarks too say that what is known is right.
        if !lines.isEmpty, end == nil { await listener.found(slices.endpoints) }
        return end
    }
}
