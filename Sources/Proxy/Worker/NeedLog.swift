import Migration
import Traffic

/// Who needed a side that should not be needed any more, as one worker has seen it since it was last asked.
///
/// Such requests are few where a side is about to be retired. Where a route outside the plan leads to it alone they are many: then
/// a few a second are told by their template, and the others by their route.
struct NeedLog {
    private struct Key: Hashable {
        var route: String
        var template: String
        var cause: NeedCause
    }

    /// Kinds kept between two readings; the others have no template.
    static let limit = 512
    /// Templates made a second.
    static let templatesPerSecond = 50

    private var counts: [Key: UInt64] = [:]
    private var second: UInt64 = 0
    private var left = Self.templatesPerSecond
    private let paths = PathTemplate()

    /// `now` in monotonic milliseconds.
    mutating func note(route: RoutePlan, target: UnsafeRawBufferPointer, cause: NeedCause, now: UInt64) {
        if now / 1_000 != self.second {
            self.second = now / 1_000
            self.left = Self.templatesPerSecond
        }
        var template = PathTemplate.rest
        if self.left > 0, target.count <= 4_096 {
            self.left -= 1
            template = self.paths.template(String(decoding: target, as: UTF8.self))
        }
        var key = Key(route: route.name, template: template, cause: cause)
        if self.counts[key] == nil, self.counts.count >= Self.limit { key.template = PathTemplate.rest }
        self.counts[key, default: 0] &+= 1
    }

    /// What there is, and it begins anew.
    mutating func take() -> [NeedCount] {
        defer { self.counts.removeAll(keepingCapacity: true) }
        return self.counts.map {
            NeedCount(route: $0.key.route, template: $0.key.template, cause: $0.key.cause, count: $0.value)
        }
    }
}
