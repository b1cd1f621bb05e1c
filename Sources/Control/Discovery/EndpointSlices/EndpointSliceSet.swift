import Traffic

/// The slices of one Service, and the endpoints that they make together. Pure.
struct EndpointSliceSet: Sendable {
    /// What an event asks for.
    enum Effect: Sendable, Equatable {
        case none
        case changed
        /// The version is too old to go on from: list again.
        case expired
        case failed(String)
    }

    /// Slices of one Service that are kept; a Service of that many would have a hundred thousand endpoints.
    static let limit = 1_024

    private let port: EndpointSliceLookup.Port
    private var slices: [String: [SocketAddress]] = [:]
    /// Where a watch goes on from.
    private(set) var version = ""

    init(port: EndpointSliceLookup.Port) { self.port = port }

    /// Addresses that take new requests, each once, in ascending order.
    var endpoints: [SocketAddress] {
        Set(self.slices.values.joined()).sorted { one, other in
            (one.ip.high, one.ip.low, one.port) < (other.ip.high, other.ip.low, other.port)
        }
    }

    mutating func replace(_ list: EndpointSliceList) {
        self.slices = [:]
        for slice in list.items ?? [] { self.put(slice) }
        self.version = list.metadata?.resourceVersion ?? ""
    }

    mutating func apply(_ event: EndpointSliceEvent) -> Effect {
        if event.type == "ERROR" {
            return event.object.code == 410
                ? .expired : .failed("the watch ends: \(event.object.message ?? "status \(event.object.code ?? 0)")")
        }
        guard let version = event.object.metadata?.resourceVersion, !version.isEmpty else {
            return .failed("an event of the watch has no resource version")
        }
        switch event.type {
        case "ADDED", "MODIFIED": self.put(event.object)
        case "DELETED": if let name = event.object.metadata?.name { self.slices[name] = nil }
        // What is not known (a BOOKMARK is) changes nothing but the version.
        default:
            self.version = version
            return .none
        }
        self.version = version
        return .changed
    }

    private mutating func put(_ slice: EndpointSliceObject) {
        guard let name = slice.metadata?.name, self.slices[name] != nil || self.slices.count < Self.limit else {
            return
        }
        guard slice.addressType != "FQDN", let port = self.number(of: slice) else {
            self.slices[name] = []
            return
        }
        self.slices[name] = (slice.endpoints ?? []).filter(Self.takesNew).compactMap { member in
            // All addresses of one member are the same pod; the first is as good as any.
            member.addresses?.first.flatMap { IPAddress(parsing: $0) }.map { SocketAddress(ip: $0, port: port) }
        }
    }

    /// Ready pods take new requests. One that terminates is not ready, even while it still serves: what runs there
    /// finishes, nothing new comes. Where nothing is said, a pod is ready.
    private static func takesNew(_ member: EndpointSliceObject.Member) -> Bool {
        member.conditions?.ready ?? true
    }

    private func number(of slice: EndpointSliceObject) -> UInt16? {
        switch self.port {
        case .number(let number): number
        case .name(let name):
            slice.ports?.first { $0.name == name && ($0.protocol ?? "TCP") == "TCP" }?.port
                .flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 }
        }
    }
}
