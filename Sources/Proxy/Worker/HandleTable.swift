/// The handles of one worker by slot, which it owns.
///
/// References are counted by hand: an event finds its handle without touching the count. What is removed stays alive until
/// `releaseRemoved`, at the end of the turn, because its own method may be what removed it.
struct HandleTable: ~Copyable {
    private var handles: ContiguousArray<Unmanaged<Handle>?> = []
    private var generations: ContiguousArray<UInt32> = []
    /// By slot: the worker takes these handles' events before all others of a batch. An idle endpoint connection that
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

    /// Gives a handle that stays in its slot another token: what was kept of the old one finds nothing any more.
    mutating func renew(_ handle: Handle) {
        let slot = handle.slot
        guard slot >= 0 else { return }
        self.generations[slot] = (self.generations[slot] &+ 1) & 0x7FFF_FFFF
        handle.token = UInt64(self.generations[slot]) << 32 | UInt64(slot)
        // Who asked to go on asked by the old token, and is not found: asking anew must not wait for that.
        handle.isRunnable = false
    }

    /// Puts another handle in the place of one, slot, token and timer included: what the loop reports goes to it from now on.
    mutating func replace(_ handle: Handle, with other: Handle) {
        let slot = handle.slot
        guard slot >= 0, let owned = self.handles[slot] else { return }
        self.removed.append(owned)
        self.handles[slot] = .passRetained(other)
        other.slot = slot
        other.token = handle.token
        other.isRunnable = handle.isRunnable
        handle.slot = -1
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

    /// The token of whatever stands in `slot` now; the all-ones token, which no handle has, if nothing does.
    func token(at slot: Int) -> UInt64 {
        guard slot < self.handles.count, let handle = self.handles[slot] else { return .max }
        return handle._withUnsafeGuaranteedRef { $0.token }
    }

    /// The tokens of all handles, for slow work such as draining: what that work removes or adds changes no list that it
    /// walks.
    var tokens: [UInt64] {
        self.handles.compactMap { $0?._withUnsafeGuaranteedRef { $0.token } }
    }
}
