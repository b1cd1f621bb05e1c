import Traffic

/// Which endpoints a client of the API wants to hear of: a page that shows fifty of a thousand asks for fifty.
struct EndpointRange: Sendable, Equatable {
    /// nil: all upstreams.
    var upstream: String?
    var from = 0
    var limit = Int.max

    /// Whether an upstream is meant.
    func includes(_ name: String) -> Bool { self.upstream.map { $0 == name } ?? true }

    /// Those of `endpoints`, in their order.
    func slice<Element>(_ endpoints: [Element]) -> ArraySlice<Element> {
        endpoints.dropFirst(self.from).prefix(self.limit)
    }
}
