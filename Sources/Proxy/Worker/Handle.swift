/// Something registered at a worker's loop: a listener, a client connection, an upstream connection.
///
/// Confined to its worker: not Sendable, reachable only through the worker actor's own state.
class Handle {
    /// Index in the worker's table; also the identifier of its timer.
    final var slot = -1
    /// What epoll hands back: slot and generation, so that an event of a closed handle's slot finds nobody.
    final var token: UInt64 = 0
    final var isRunnable = false

    /// The loop reports readiness (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR).
    func ready(_ flags: UInt32) {}
    /// Its deadline has passed.
    func expired() {}
    /// It asked to go on later in the same turn.
    func run() {}
}

/// The handles of one worker by slot, which it owns.
///
/// References are counted by hand: an event finds its handle without touching the count. What is removed stays alive until
/// `releaseRemoved`, at the end of the turn, because its own method may be what removed it.
struct HandleTable: ~Copyable {
    private var handles: ContiguousArray<Unmanaged<Handle>?> = []
    private var generations: ContiguousArray<UInt32> = []
    /// By slot: readiness must be looked at before anything else of the same batch. An idle upstream connection that
    /// became readable must not be leased by a request that stands earlier in the batch.
    private var urgent: ContiguousArray<Bool> = []
    private var free: ContiguousArray<Int32> = []
    private var removed: ContiguousArray<Unmanaged<Handle>> = []

    deinit {
        for handle in self.handles { handle?.release() }
        for handle in self.removed { handle.release() }
    }

    mutating func insert(_ handle: Handle) {
        let slot: Int
        if let reused = self.free.popLast() {
            slot = Int(reused)
            self.handles[slot] = .passRetained(handle)
        } else {
            slot = self.handles.count
            self.handles.append(.passRetained(handle))
            self.generations.append(0)
            self.urgent.append(false)
        }
        handle.slot = slot
        handle.token = UInt64(self.generations[slot]) << 32 | UInt64(slot)
    }

    mutating func remove(_ handle: Handle) {
        let slot = handle.slot
        guard slot >= 0, let owned = self.handles[slot] else { return }
        self.removed.append(owned)
        self.handles[slot] = nil
        self.urgent[slot] = false
        // 31 bits: the all-ones token belongs to the loop.
        self.generations[slot] = (self.generations[slot] &+ 1) & 0x7FFF_FFFF
        self.free.append(Int32(truncatingIfNeeded: slot))
        handle.slot = -1
    }

    /// Lets go of what was removed. Never from inside a handle's method.
    mutating func releaseRemoved() {
        while let handle = self.removed.popLast() { handle.release() }
    }

    var hasRemoved: Bool { !self.removed.isEmpty }

    mutating func setUrgent(_ handle: Handle, _ isUrgent: Bool) {
        if handle.slot >= 0 { self.urgent[handle.slot] = isUrgent }
    }

    /// Whether the token's handle, if it still lives, is urgent; a stale token may say yes.
    @inline(__always)
    func isUrgent(_ token: UInt64) -> Bool {
        let slot = Int(truncatingIfNeeded: token & 0x7FFF_FFFF)
        return slot < self.urgent.count && self.urgent[slot]
    }

    /// The handle that the token was given to; valid until the turn ends.
    @inline(__always)
    func find(_ token: UInt64) -> Unmanaged<Handle>? {
        let slot = Int(truncatingIfNeeded: token & 0x7FFF_FFFF)
        guard slot < self.handles.count, let handle = self.handles[slot],
            handle._withUnsafeGuaranteedRef({ $0.token == token })
        else { return nil }
        return handle
    }

    func at(slot: Int) -> Handle? {
        slot < self.handles.count ? self.handles[slot]?.takeUnretainedValue() : nil
    }

    /// Visits every handle, for slow work such as draining.
    func forEach(_ body: (Handle) -> Void) {
        for handle in self.handles {
            if let handle { body(handle.takeUnretainedValue()) }
        }
    }
}
