import Glibc
import Reactor
import Traffic

/// Which listeners are open, and where. A change is whole: every new socket listens before a worker learns of one, and
/// the old ones go last.
///
/// Sockets belong to addresses, names only to people: a listener that is renamed, or whose name and another's are
/// swapped, keeps its sockets. So does one whose options change, and a take-over, whatever the predecessor called them.
actor ListenerSet {
    /// Milliseconds for which an address is asked for again that is taken, and between two tries: a process that ends takes a
    /// moment to leave its listeners, and of two that begin to listen at the same instant the kernel may refuse both.
    private static let patience: UInt64 = 750
    private static let pause: ClosedRange<UInt64> = 1...20

    private struct Listener {
        /// As asked for; the port of its address may be 0.
        var spec: ListenerSpec
        let bound: SocketAddress
        let identifier: UInt64
        let inodes: Set<UInt64>

        func serves(_ address: SocketAddress) -> Bool { self.spec.address == address || self.bound == address }
    }

    private struct Opening {
        var listener: Listener
        var descriptors: [Int32]
    }

    /// Sockets of one address that another process gave us.
    private struct Inherited {
        var name: String
        var bound: SocketAddress
        var descriptors: [Int32]

        func suits(_ spec: ListenerSpec) -> Bool {
            self.bound == spec.address
                || self.name == spec.name && spec.address.port == 0 && self.bound.ip == spec.address.ip
        }
    }

    private var open: [Listener] = []
    private var inherited: [Inherited] = []
    /// Of sockets that workers still hold although no listener is theirs, until when (monotonic milliseconds).
    private var leaving: [(inodes: Set<UInt64>, until: UInt64)] = []
    private var nextIdentifier: UInt64 = 0
    private var isClosed = false
    /// Whether another process has sockets of ours and may serve them: then none is hidden, which would hide it there too.
    private var isShared = false

    /// The addresses really bound, by name.
    var bound: [String: SocketAddress] {
        Dictionary(self.open.map { ($0.spec.name, $0.bound) }, uniquingKeysWith: { first, _ in first })
    }

    // MARK: taking over

    /// Sockets to use where `apply` next wants their addresses. Owned from now on.
    func inherit(_ descriptors: ProxyServer.Inheritance) {
        self.isShared = true
        for (name, descriptor) in descriptors {
            var socket = Socket(owning: descriptor)
            guard let bound = socket.boundAddress() else { continue }
            // A predecessor may be older than this.
            socket.keepAlive()
            let kept = socket.release()
            if let index = self.inherited.firstIndex(where: { $0.bound == bound }) {
                self.inherited[index].descriptors.append(kept)
            } else {
                self.inherited.append(Inherited(name: name, bound: bound, descriptors: [kept]))
            }
        }
    }

    /// Ends the inherited listeners that no `apply` wanted: their queues are served to the end, then they are closed. For
    /// when the other process serves no more: until then they are its own.
    func releaseInherited(workers: [Worker]) async {
        self.isShared = false
        let surplus = self.inherited
        self.inherited = []
        for listener in surplus {
            let identifier = self.makeIdentifier()
            self.noteLeaving(Self.inodes(listener.descriptors))
            // How it was to be served only the predecessor's configuration said.
            let spec = ListenerSpec(name: listener.name, address: listener.bound)
            let plan =
                self.secureNames.contains(listener.name) ? ListenerPlan(closing: spec) : ListenerPlan(plain: spec)
            await Self.hand(listener.descriptors, plan, identifier: identifier, to: workers)
            for worker in workers { await worker.leaveListeners([identifier], hiding: true) }
        }
    }

    /// Another process gets duplicates of the sockets; `isShared` false: it has gone without having served.
    func share(_ isShared: Bool) { self.isShared = isShared }

    // MARK: changing

    /// Opens, changes and closes so that exactly `specs` are served. Throws, having changed nothing, if one cannot be bound.
    func apply(_ specs: [ListenerSpec], workers: [Worker]) async throws(ListenerRefused) {
        var old = self.open
        var next: [Listener] = []
        var missing: [ListenerSpec] = []
        var changed: [UInt64: ListenerPlan] = [:]
        var plans: [String: ListenerPlan] = [:]
        for spec in specs where !old.contains(where: { $0.spec == spec }) {
            plans[spec.name] = try self.makePlan(spec, workers: workers.count)
        }
        for spec in specs {
            // By name as well where both fit, so that two listeners on port 0 are not taken for each other.
            let index = old.firstIndex { $0.spec.name == spec.name && $0.serves(spec.address) }
            if let index {
                next.append(Self.change(old.remove(at: index), to: spec, plans[spec.name], &changed))
            } else {
                missing.append(spec)
            }
        }
        var opened: [Opening] = []
        for spec in missing {
            if let index = old.firstIndex(where: { $0.serves(spec.address) }) {
                next.append(Self.change(old.remove(at: index), to: spec, plans[spec.name], &changed))
                continue
            }
            do throws(SystemError) {
                opened.append(try await self.makeListener(spec, count: workers.count))
            } catch {
                for opening in opened { for descriptor in opening.descriptors { Glibc.close(descriptor) } }
                throw ListenerRefused(name: spec.name, cause: "\(error)")
            }
        }
        self.open = next + opened.map(\.listener)
        // All at once in each worker, so that names that are swapped are never the same.
        if !changed.isEmpty { for worker in workers { await worker.adopt(changed) } }
        for opening in opened {
            guard !self.isClosed else {
                for descriptor in opening.descriptors { Glibc.close(descriptor) }
                continue
            }
            let listener = opening.listener
            // One that is not open has been planned above.
            let plan = plans[listener.spec.name] ?? ListenerPlan(closing: listener.spec)
            await Self.hand(opening.descriptors, plan, identifier: listener.identifier, to: workers)
        }
        let wanted = specs.compactMap { $0.tls?.tickets }
        self.ticketKeys.removeAll { entry in !wanted.contains(entry.settings) }
        for listener in old { self.noteLeaving(listener.inodes) }
        let identifiers = Set(old.map(\.identifier))
        guard !identifiers.isEmpty else { return }
        for worker in workers { await worker.leaveListeners(identifiers, hiding: !self.isShared) }
    }

    /// Ends all. `handedOver`: another process serves the same sockets and what waits in their queues.
    func close(handedOver: Bool, workers: [Worker]) async {
        let identifiers = Set(self.open.map(\.identifier))
        self.open = []
        self.isClosed = true
        for listener in self.inherited { for descriptor in listener.descriptors { Glibc.close(descriptor) } }
        self.inherited = []
        for worker in workers {
            if handedOver {
                await worker.closeListeners(identifiers)
            } else {
                await worker.leaveListeners(identifiers, hiding: !self.isShared)
            }
        }
    }

    // MARK: TLS

    /// Keys of tickets, which listeners of the same settings share: one for each settings that were ever used.
    private var ticketKeys: [(settings: ListenerTLS.Tickets, keys: TicketKeys, rotated: UInt64)] = []
    /// What another process of this balancer used for tickets, for the first listener that makes its own.
    private var inheritedTicketKeys: [[UInt8]] = []

    /// One for each worker, once a listener speaks TLS; never given back.
    private var libraries: [TLSLibrary] = []

    private func makePlan(_ spec: ListenerSpec, workers: Int) throws(ListenerRefused) -> ListenerPlan {
        guard let tls = spec.tls else { return ListenerPlan(plain: spec) }
        do throws(TLSRefused) {
            while self.libraries.count < workers {
                guard let library = TLSLibrary() else { throw TLSRefused("no memory for the TLS library") }
                self.libraries.append(library)
            }
            return try ListenerPlan(
                spec, libraries: self.libraries, tickets: tls.tickets.flatMap { self.keys(for: $0) })
        } catch {
            throw ListenerRefused(name: spec.name, cause: "\(error)")
        }
    }

    /// nil: there is no randomness to be had, and sessions are not resumed.
    private func keys(for settings: ListenerTLS.Tickets) -> TicketKeys? {
        if let known = self.ticketKeys.first(where: { $0.settings == settings }) { return known.keys }
        let given = settings.keys.isEmpty ? self.inheritedTicketKeys : settings.keys.map(\.bytes)
        guard let keys = TicketKeys(given) else { return nil }
        // However old the inherited ones are: they decrypt, and a new one encrypts.
        if settings.keys.isEmpty, !given.isEmpty { keys.rotate() }
        self.ticketKeys.append((settings, keys, MonotonicClock.milliseconds()))
        return keys
    }

    /// Makes new keys where the old have been used for long enough. Keys that files give are changed there.
    func rotateTicketKeys() {
        let now = MonotonicClock.milliseconds()
        for (index, entry) in self.ticketKeys.enumerated() where entry.settings.keys.isEmpty {
            guard now >= entry.rotated + UInt64(entry.settings.rotation) * 1_000, entry.keys.rotate() else { continue }
            self.ticketKeys[index].rotated = now
        }
    }

    /// Milliseconds for which the keys in use have encrypted, of the oldest; nil: no listener has any.
    var ticketKeyAge: UInt64? {
        let used = self.open.compactMap { $0.spec.tls?.tickets }
        let now = MonotonicClock.milliseconds()
        return self.ticketKeys.filter { used.contains($0.settings) }.map { now - min(now, $0.rotated) }.max()
    }

    /// For another process of this balancer, so that sessions go on there.
    var ownTicketKeys: [[UInt8]] { self.ticketKeys.first { $0.settings.keys.isEmpty }?.keys.current ?? [] }

    /// Listeners that the process which this one takes over from served by TLS.
    private var secureNames: Set<String> = []

    /// Names of the listeners that speak TLS.
    var ownSecureNames: [String] { self.open.filter { $0.spec.tls != nil }.map(\.spec.name) }

    func inherit(ticketKeys: [[UInt8]], secureNames: [String]) {
        self.inheritedTicketKeys = ticketKeys
        self.secureNames = Set(secureNames)
    }

    // MARK: steps

    /// The same sockets under another specification.
    private static func change(
        _ listener: Listener, to spec: ListenerSpec, _ plan: ListenerPlan?, _ changed: inout [UInt64: ListenerPlan]
    ) -> Listener {
        var listener = listener
        if listener.spec != spec { changed[listener.identifier] = plan }
        listener.spec = spec
        return listener
    }

    /// More sockets than workers: some serve several. Fewer cannot be: a worker without one would idle.
    private static func hand(
        _ descriptors: [Int32], _ plan: ListenerPlan, identifier: UInt64, to workers: [Worker]
    ) async {
        for (index, descriptor) in descriptors.enumerated() {
            await workers[index % workers.count].serve(plan, identifier: identifier, descriptor: descriptor)
        }
    }

    private func makeListener(_ spec: ListenerSpec, count: Int) async throws(SystemError) -> Opening {
        let index =
            self.inherited.firstIndex { $0.name == spec.name && $0.suits(spec) }
            ?? self.inherited.firstIndex { $0.suits(spec) }
        var descriptors: [Int32]
        let bound: SocketAddress
        if let index {
            descriptors = self.inherited[index].descriptors
            bound = self.inherited[index].bound
        } else {
            var first = try await self.listenAlone(on: spec.address)
            guard let address = first.boundAddress() else { throw SystemError(operation: "getsockname") }
            bound = address
            descriptors = [first.release()]
        }
        let given = index == nil ? 0 : descriptors.count
        while descriptors.count < count {
            do throws(SystemError) {
                var socket = try await self.listenBesideLeader(on: bound)
                descriptors.append(socket.release())
            } catch {
                for descriptor in descriptors[given...] { Glibc.close(descriptor) }
                throw error
            }
        }
        if let index { self.inherited.remove(at: index) }
        return Opening(
            listener: Listener(
                spec: spec, bound: bound, identifier: self.makeIdentifier(), inodes: Self.inodes(descriptors)),
            descriptors: descriptors)
    }

    /// A socket where nobody but this process (and the one that it takes over from) listens. SO_REUSEPORT alone would let
    /// two programs of one user share a port unknowingly.
    private func listenAlone(on address: SocketAddress) async throws(SystemError) -> Socket {
        let end = MonotonicClock.milliseconds() + Self.patience
        while true {
            do throws(SystemError) {
                return try Socket.listen(on: address, .exclusive)
            } catch {
                guard error.code == EADDRINUSE else {
                    throw SystemError(operation: "\(error.operation) \(address)", code: error.code)
                }
            }
            if let socket = try self.listenBesideOwn(on: address) { return socket }
            guard MonotonicClock.milliseconds() < end else { throw Self.taken(address) }
            try? await Task.sleep(for: .milliseconds(UInt64.random(in: Self.pause)))
        }
    }

    /// Another socket at an address that this process has alone: who asks for it in vain is in the way for an instant.
    private func listenBesideLeader(on address: SocketAddress) async throws(SystemError) -> Socket {
        let end = MonotonicClock.milliseconds() + Self.patience
        while true {
            do throws(SystemError) {
                return try Socket.listen(on: address, .shared)
            } catch {
                guard error.code == EADDRINUSE, MonotonicClock.milliseconds() < end else {
                    throw SystemError(operation: "\(error.operation) \(address)", code: error.code)
                }
            }
            try? await Task.sleep(for: .milliseconds(UInt64.random(in: Self.pause)))
        }
    }

    /// Where sockets of our own are what is in the way (`127.0.0.1` beside `0.0.0.0`), the new one joins them, if nobody
    /// else is there. Looked up before, so that nothing is taken from another program, and after, because whoever asks the
    /// kernel once ours listens is refused. nil: none of our own is in the way.
    private func listenBesideOwn(on address: SocketAddress) throws(SystemError) -> Socket? {
        let now = MonotonicClock.milliseconds()
        self.leaving.removeAll { $0.until <= now }
        let isInOwnWay =
            self.open.contains { $0.bound.collides(with: address) }
            || self.inherited.contains { $0.bound.collides(with: address) } || !self.leaving.isEmpty
        guard isInOwnWay else { return nil }
        var own = Set<UInt64>()
        for listener in self.open { own.formUnion(listener.inodes) }
        for listener in self.inherited { own.formUnion(Self.inodes(listener.descriptors)) }
        for listener in self.leaving { own.formUnion(listener.inodes) }
        guard ListeningSockets.foreign(on: address, besides: own) == nil else { return nil }
        let socket: Socket
        do throws(SystemError) {
            socket = try Socket.listen(on: address, .shared)
        } catch {
            if error.code == EADDRINUSE { return nil }
            throw SystemError(operation: "\(error.operation) \(address)", code: error.code)
        }
        if let inode = ListeningSockets.inode(socket.descriptor) { own.insert(inode) }
        guard ListeningSockets.foreign(on: address, besides: own) == nil else { throw Self.taken(address) }
        return socket
    }

    private static func taken(_ address: SocketAddress) -> SystemError {
        SystemError(operation: "bind \(address)", code: EADDRINUSE)
    }

    private func noteLeaving(_ inodes: Set<UInt64>) {
        self.leaving.append((inodes, MonotonicClock.milliseconds() + ListenerHandle.patience))
    }

    private func makeIdentifier() -> UInt64 {
        self.nextIdentifier += 1
        return self.nextIdentifier
    }

    private static func inodes(_ descriptors: [Int32]) -> Set<UInt64> {
        Set(descriptors.compactMap { ListeningSockets.inode($0) })
    }
}
