import Synchronization

/// Whether something has come.
final class Came: Sendable {
    private let flag = Atomic(false)
    func note() { self.flag.store(true, ordering: .relaxed) }
    var hasCome: Bool { self.flag.load(ordering: .relaxed) }
}
