/// What operators say of classes of differences.
extension TablePublisher {
    /// Classes of which all replicas know what was said, bytes of all of it, and bytes of a reason as they share it; the journal has it
    /// whole. A document that this filled would take no weights any more.
    private static let judgementLimit = 1_000
    private static let judgementBytes = 128 << 10
    private static let sharedReason = 200
    /// Classes of a plan that nobody has told of, of which something may be said all the same.
    static let strangerLimit = 64

    /// A class of differences of a plan may stay, or may not any more. Where replicas share what is live, it is agreed on before it
    /// counts anywhere. `known`: numbers of classes that somebody who is there has found; nil: this is one. Answers how many of those
    /// that are there have it; nil: there are no others.
    func judge(
        _ number: String, of migration: String, accepts: Bool, reason: String, origin: ChangeOrigin,
        known: Set<String>? = nil
    ) async throws(ChangeRefused) -> ReplicaCount? {
        let detail = "\(number) \(accepts ? "accepted" : "opened again")"
        guard let agreement else {
            await self.turnstile.enter()
            defer { self.turnstile.leave() }
            self.enter(.difference, detail: detail, origin: origin, subject: migration, reason: reason)
            await self.mendLedger()
            return nil
        }
        // A document with another word in this place would be damaged for all.
        guard LiveDocument.isClassNumber(number) else {
            throw .invalid([ControlProblem(path: "$", message: "\"\(number)\" is no number of a class")])
        }
        var edit = SharedEdit()
        edit.differences[migration] = [
            number: accepts ? BoundedText.prefix(of: reason, bytes: Self.sharedReason) : ""
        ]
        let now = self.clock.wall()
        let change = SharedChange(
            id: ChangeID.make(at: now), at: now, replica: agreement.replica, origin: origin, what: .difference,
            subject: migration, detail: detail, reason: reason)
        return await self.replicas(
            applied: try await self.agree(on: edit, change, agreement) { document in
                let said = document.differences[migration] ?? [:]
                guard let known, !known.contains(number), said[number] == nil else { return nil }
                guard said.keys.count(where: { !known.contains($0) }) >= Self.strangerLimit else { return nil }
                return "no replica that is there has told of \(number), and something is said of \(Self.strangerLimit) "
                    + "such classes already"
            })
    }

    /// `objection`: what is against it, by the document that it would change.
    private func agree(
        on edit: SharedEdit, _ change: SharedChange, _ agreement: Agreement,
        objection: (LiveDocument) -> String?
    ) async throws(ChangeRefused) -> UInt64 {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard !self.state.isHandingOver else { throw .handingOver }
        for _ in 0..<Self.tries {
            if let objection = self.agreed.document.flatMap(objection) {
                throw .invalid([ControlProblem(path: "$", message: objection)])
            }
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
