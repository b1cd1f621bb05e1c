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
    /// Set in the token, so that the first look at a batch passes by what cannot be urgent without finding it.
    var mayBeUrgent: Bool { false }
    /// Whether readiness must be looked at before anything else of the same batch: an idle upstream connection that
    /// became readable must not be leased by a request that stands earlier in the batch.
    var isUrgent: Bool { false }
}

/// The handles of one worker by slot.
struct HandleTable {
    /// Bit 31 of the slot half of a token: the handle may be urgent.
    static let urgencyBit: UInt64 = 1 << 31
    private var handles: ContiguousArray<Handle?> = []
    private var generations: ContiguousArray<UInt32> = []
    private var free: ContiguousArray<Int32> = []

    mutating func insert(_ handle: Handle) {
        let slot: Int
        if let reused = self.free.popLast() {
            slot = Int(reused)
            self.handles[slot] = handle
        } else {
            slot = self.handles.count
            self.handles.append(handle)
            self.generations.append(0)
        }
        handle.slot = slot
        handle.token = UInt64(self.generations[slot]) << 32 | UInt64(slot)
        if handle.mayBeUrgent { handle.token |= Self.urgencyBit }
    }

    mutating func remove(_ handle: Handle) {
        let slot = handle.slot
        guard slot >= 0 else { return }
        self.handles[slot] = nil
        // 31 bits: the all-ones token belongs to the loop.
        self.generations[slot] = (self.generations[slot] &+ 1) & 0x7FFF_FFFF
        self.free.append(Int32(truncatingIfNeeded: slot))
        handle.slot = -1
    }

    @inline(__always)
    func find(_ token: UInt64) -> Handle? {
        let slot = Int(truncatingIfNeeded: token & 0x7FFF_FFFF)
        guard slot < self.handles.count, let handle = self.handles[slot], handle.token == token else { return nil }
        return handle
    }

    func at(slot: Int) -> Handle? {
        slot < self.handles.count ? self.handles[slot] : nil
    }

    /// Visits every handle, for slow work such as draining.
    func forEach(_ body: (Handle) -> Void) {
        for handle in self.handles {
            if let handle { body(handle) }
        }
    }
}
