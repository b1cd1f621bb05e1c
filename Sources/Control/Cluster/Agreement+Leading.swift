import Logging

/// What the leader alone does.
extension Agreement {
    /// Asks for the leadership, or renews it, and does what is due. `asked`: when the store was asked to lend anew what the
    /// leadership hangs on, which in etcd is another call than this.
    func lead(asked: UInt64) async throws(StoreFailure) {
        // Whoever cannot read what all have agreed on could move nothing, and would keep others from it.
        guard self.fault == nil else { return await self.yieldLead() }
        let before = self.leadership.standing(at: self.clock.monotonic())
        guard let fence = try await self.store.lead(self.own.text) else {
            self.leadership.lost()
            return
        }
        guard !self.isPaused else { return await self.store.resign() }
        self.leadership.lent(fence, asked: asked)
        guard self.fault == nil, let document = self.document,
            self.leadership.standing(at: self.clock.monotonic()) == .elected
        else { return }
        // Others of an earlier term are told so by this, whatever they believe.
        let change = SharedChange(
            id: ChangeID.make(at: self.clock.wall()), at: self.clock.wall(), replica: self.replica,
            origin: ChangeOrigin(.start), what: .leader, detail: "\(self.replica) leads, term \(document.term + 1)")
        _ = try? await self.propose(SharedEdit(), [change], decidedOn: document.sequence, asLeader: true)
        guard before == .follows, case .leads(let term) = self.leadership.standing(at: self.clock.monotonic()) else {
            return
        }
        self.logger?.notice("this replica leads", metadata: ["term": "\(term)"])
    }

    private func yieldLead() async {
        let holds = self.leader == self.replica || self.leadership.standing(at: self.clock.monotonic()) != .follows
        self.leadership.lost()
        if holds { await self.store.resign() }
    }

    /// Milliseconds that weights stand nowhere, and endpoints are none, before they are forgotten: a roll-out may go back.
    private static let staleTime: UInt64 = 300_000

    /// Takes away what stands nowhere any more, when every replica that is there has the same file.
    func prune(_ publisher: Publisher) async {
        let now = self.clock.monotonic()
        guard self.leadingTerm != nil, self.picture.differing(at: now).isEmpty else {
            self.stale = nil
            return
        }
        // Decided on what the publisher has in force: what came since then it has not judged.
        let (edit, sequence) = await publisher.stale()
        guard !edit.isEmpty, let stale, stale.edit == edit else {
            self.stale = edit.isEmpty ? nil : (edit, now)
            return
        }
        guard now >= stale.since + Self.staleTime else { return }
        let names =
            edit.routes.filter { $0.value == nil }.keys.sorted()
            + edit.endpoints.keys.map { "\($0.upstream)/\($0.address)" }.sorted()
            + Set(edit.migrations.filter { $0.value == nil }.keys).union(edit.differences.keys).sorted()
        let stay = edit.routes.filter { $0.value != nil }.keys.sorted()
        let left = edit.migrations.filter { $0.value != nil }.keys.sorted()
        let details = [
            names.isEmpty ? nil : "no file has what was set over it any more: \(names.joined(separator: ", "))",
            stay.isEmpty ? nil : "stands over the file that all have now: \(stay.joined(separator: ", "))",
            left.isEmpty ? nil : "is where its weights are now: \(left.joined(separator: ", "))",
        ]
        let change = SharedChange(
            id: ChangeID.make(at: self.clock.wall()), at: self.clock.wall(), replica: self.replica,
            origin: ChangeOrigin(.start), what: .cluster,
            detail: details.compactMap(\.self).joined(separator: "; "))
        _ = try? await self.propose(edit, [change], decidedOn: sequence, asLeader: true)
    }
}

/// What whoever moves plans asks of the cluster: whether it may, and what all know.
extension Agreement {
    /// The term in which this replica leads; nil: another does, or nobody.
    package var leadingTerm: UInt64? {
        guard case .leads(let term) = self.leadership.standing(at: self.clock.monotonic()) else { return nil }
        return term
    }

    /// Why no plan may give its new side more; empty: nothing is against it.
    package var holds: [String] {
        let now = self.clock.monotonic()
        var holds = self.picture.holds(at: now, hasLeader: self.leader != nil || self.leadingTerm != nil)
        // Others may have gone back alone meanwhile, and what they told before, or only now arrives, does not say so.
        if let regained, now < regained + self.store.lease {
            holds.append("the store was silent, and has answered for only \((now - min(now, regained)) / 1_000) s")
        }
        return holds
    }

    /// Why changes cannot be agreed on; nil: they can. Milliseconds since 1970.
    package var cutOffSince: UInt64? {
        self.isReachable ? nil : self.contact.map { self.clock.wall(ofMonotonic: $0) } ?? self.clock.wall()
    }

    /// Names of the replicas that are there, and how many were in the last hour.
    var present: (present: [String], known: Int) {
        let replicas = self.picture.replicas(at: self.clock.monotonic())
        return (present: replicas.filter(\.isPresent).map(\.presence.replica), known: replicas.count)
    }
}
