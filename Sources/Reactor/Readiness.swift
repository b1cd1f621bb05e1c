import CEpoll

/// What epoll says of a descriptor.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32

    @inline(__always)
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Written out: other modules would call that of every set through its witness table, several times an event.
    @inline(__always)
    package func contains(_ member: Readiness) -> Bool { self.rawValue & member.rawValue == member.rawValue }

    /// Bytes, or an end, can be read.
    package static let input = Readiness(rawValue: EPOLLIN.rawValue)
    /// The kernel takes bytes again.
    package static let output = Readiness(rawValue: EPOLLOUT.rawValue)
    /// The peer sent its FIN; bytes may stand before it.
    package static let inputClosing = Readiness(rawValue: EPOLLRDHUP.rawValue)
    /// Both directions have ended.
    package static let hangUp = Readiness(rawValue: EPOLLHUP.rawValue)
    package static let error = Readiness(rawValue: EPOLLERR.rawValue)

    /// A read will say something.
    package static let anyInput: Readiness = [.input, .inputClosing, .hangUp, .error]
    /// A short read no longer proves that nothing is left: the end stands behind it.
    package static let closing: Readiness = [.inputClosing, .hangUp, .error]
}

extension EventBatch {
    @inline(__always)
    package func readiness(_ index: Int) -> Readiness { Readiness(rawValue: self.flags(index)) }
}
