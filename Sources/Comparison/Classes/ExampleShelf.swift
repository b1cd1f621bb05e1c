/// One comparison in which a class was seen: enough to look for the cause, and nothing that is anybody's own.
package struct Example: Sendable, Equatable {
    package var method: String
    /// Redacted.
    package var target: String
    package var difference: Difference
    package var oldStatus: UInt16?
    package var newStatus: UInt16?

    package init(
        method: String, target: String, difference: Difference, oldStatus: UInt16? = nil, newStatus: UInt16? = nil
    ) {
        self.method = method
        self.target = target
        self.difference = difference
        self.oldStatus = oldStatus
        self.newStatus = newStatus
    }
}

/// The first four examples and the latest four.
package struct ExampleShelf: Sendable {
    package static let half = 4
    private var first: [Example] = []
    private var latest: [Example] = []

    package init() {}

    package var all: [Example] { self.first + self.latest }

    package mutating func add(_ example: Example) {
        if self.first.count < Self.half {
            self.first.append(example)
        } else {
            if self.latest.count == Self.half { self.latest.removeFirst() }
            self.latest.append(example)
        }
    }
}
