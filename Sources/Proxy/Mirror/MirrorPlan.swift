import HTTPWire
import Traffic

/// What a route's requests are copied by: derived once from its table, shared by all threads.
final class MirrorPlan: Sendable {
    let spec: MigrationTraffic
    let record: MirrorRecord
    /// Of the copies: as the route says, without `drop`, and marked.
    let policy: RequestPolicy
    /// Names in lower case of the fields that are kept of answers.
    let names: [[UInt8]]
    /// Bytes of an answer that are kept.
    let bodyLimit: Int
    /// The bodies of requests that must not be sent twice are kept for their copies.
    let keepsBodies: Bool
    private let methods: [[UInt8]]
    private let except: ExceptedPaths
    private let templates: TemplateHash

    /// nil: nothing is copied. `policy` makes the route's own policy with further fields set and removed.
    init?(_ route: Route, policy: (_ set: HeaderSetting, _ remove: [String]) -> RequestPolicy) {
        guard let spec = route.spec.migration, let record = route.mirror, spec.mirrors else { return nil }
        self.spec = spec
        self.record = record
        self.policy = policy(HeaderSetting(name: "X-Balancer-Mirror", value: spec.name), spec.mirror.drop)
        var names: [String] = []
        for name in spec.mirror.headers.map({ $0.lowercased() }) + ["content-type", "content-encoding"]
        where !names.contains(name) {
            names.append(name)
        }
        self.names = names.map { Array($0.utf8) }
        self.bodyLimit = Int(route.spec.limits.mirrorBody)
        self.methods = spec.mirror.methods.map { Array($0.utf8) }
        self.keepsBodies = spec.mirror.methods.contains { !["GET", "HEAD", "OPTIONS", "PUT", "DELETE"].contains($0) }
        self.except = ExceptedPaths(spec.mirror.except, ignoringCase: route.spec.match.ignoreCase)
        self.templates = TemplateHash(patterns: spec.mirror.templates)
    }

    func takes(method: Span<UInt8>) -> Bool {
        self.methods.contains { Self.equals(method, $0, upTo: $0.count) && method.count == $0.count }
    }

    /// Whether the path lies under one that is not copied, on segment borders.
    func excepts(path: Span<UInt8>) -> Bool { self.except.contains(path) }

    func kind(path: Span<UInt8>, query: Span<UInt8>, route: Int) -> UInt64 {
        self.templates.hash(path: path, query: query) &+ UInt64(route) &* 0x9E37_79B9_7F4A_7C15
    }

    private static func equals(_ bytes: Span<UInt8>, _ text: [UInt8], upTo count: Int) -> Bool {
        guard bytes.count >= count else { return false }
        for index in 0..<count where bytes[index] != text[index] { return false }
        return true
    }
}
