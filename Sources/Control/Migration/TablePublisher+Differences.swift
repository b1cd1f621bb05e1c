/// What operators say of classes of differences.
extension TablePublisher {
    /// Classes of which all replicas know what was said, bytes of all of it, and bytes of a reason as they share it; the journal has it
    /// whole. A document that this filled would take no weights any more.
    private static let judgementLimit = 1_000
    private static let judgementBytes = 128 << 10
    private static let sharedReason = 200

    /// A class of differences of a plan may stay, or may not any more. Where replicas share what is live, it is agreed on before it
    /// counts anywhere. Answers how many of those that are there have it; nil: there are no others.
    func judge(
        _ number: String, of migration: String, accepts: Bool, reason: String, origin: ChangeOrigin
    ) async throws(ChangeRefused) -> ReplicaCount? {
        let detail = "\(number) \(accepts ? "accepted" : "opened again")"
        guard let agreement else {
            await self.turnstile.enter()
            defer { self.turnstile.leave() }
            self.enter(.difference, detail: detail, origin: origin, subject: migration, reason: reason)
            await self.mendLedger()
            return nil
        }
        var edit = SharedEdit()
        edit.differences[migration] = [
            number: accepts ? BoundedText.prefix(of: reason, bytes: Self.sharedReason) : ""
        ]
        let now = self.clock.wall()
        let change = SharedChange(
            id: ChangeID.make(at: now), at: now, replica: agreement.replica, origin: origin, what: .difference,
            subject: migration, detail: detail, reason: reason)
        return await self.replicas(applied: try await self.agree(on: edit, change, agreement))
    }

    private func agree(
        on edit: SharedEdit, _ change: SharedChange, _ agreement: Agreement
    ) async throws(ChangeRefused) -> UInt64 {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard !self.state.isHandingOver else { throw .handingOver }
        for _ in 0..<Self.tries {
            let next = self.agreed.document?.edited(by: edit, changes: [change])
            guard next?.judgements ?? 0 <= Self.judgementLimit, next?.judgementBytes ?? 0 <= Self.judgementBytes else {
                throw .invalid([
                    ControlProblem(
                        path: "$",
                        message: "nothing can be said of more than \(Self.judgementLimit) classes, nor in more than "
                            + "\(Self.judgementBytes) bytes")
                ])
            }
            let proposal = try await agreement.propose(edit, [change], decidedOn: self.agreed.sequence)
            await self.adoptInTurn()
            if case .agreed = proposal { return self.agreed.sequence }
        }
        throw .unreachable(since: nil, reason: "\(Self.tries) times another replica was first")
    }
}
