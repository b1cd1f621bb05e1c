import HTTPWire
import Reactor
import Synchronization
import Traffic

/// The tap of exchanges that are copied. What it keeps goes to the mirror's thread when the exchange has ended and been
/// recorded; until then nothing of the copy exists, and nothing here waits for one.
extension Exchange {
    /// As `answerBegan`, of a route that changes or copies answers.
    func watchedAnswerBegan(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece, _ data: UnsafeRawPointer?
    ) {
        guard let route = self.route?.object else { return }
        if let mirror = route.mirror {
            self.considerCopy(mirror, route, head, source)
            if self.tap != nil { self.tapBody(piece, data) }
        }
        if route.changesAnswers { return self.changedAnswerBegan(head, source, piece, data) }
        _ = self.pass(head, source, piece, data)
    }

    /// A piece of the answer's body as the endpoint sent it.
    @inline(never)
    func tapBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        guard piece.data > 0 else { return }
        self.tap?.take(UnsafeRawBufferPointer(start: data, count: piece.data))
    }

    /// The exchange is recorded: what was kept goes to the mirror's thread, or is dropped and counted.
    @inline(never)
    func offerCopy() {
        guard let tap = self.tap else { return }
        self.tap = nil
        let isWhole = self.isProxied && !self.isCut && self.reason == nil
        guard let job = tap.job(isWhole: isWhole, now: self.core.now) else { return }
        let limit = Int(job.request.mirror.spec.mirror.queue)
        if let queue = self.core.admission.mirror, queue.offer(job, limit: limit) { return }
        job.drop(.queue)
    }

    /// Whether this one is copied; if so its request is kept, and its answer will be.
    private func considerCopy(
        _ mirror: MirrorPlan, _ route: RoutePlan, _ head: ResponseHead, _ source: UnsafeRawBufferPointer
    ) {
        // An override and an upgrade are asked for by clients: they choose nothing here.
        guard !self.placement.isForced, !self.grantsUpgrade, self.tap == nil, let request = self.kept.head else {
            return
        }
        let span = self.kept.bytes.bindMemory(to: UInt8.self).span
        let path = span.extracting(request.path.bounds)
        let isMethod = mirror.takes(method: span.extracting(request.methodRange.bounds))
        let isExcepted = mirror.excepts(path: path)
        let isDue = mirror.spec.copies(
            position: route.route.record.copyPosition.wrappingAdd(1, ordering: .relaxed).oldValue)
        let kind = mirror.kind(path: path, query: span.extracting(request.query.bounds), route: route.route.index)
        let hour = self.core.now / 3_600_000
        // What neither side has is no kind of request that anybody needs.
        if head.status != 404, head.status != 405, mirror.record.seen.wants(kind, hour: hour) {
            self.noteSeen(mirror, route, request, head)
        }
        if !isDue {
            guard isMethod, !isExcepted, mirror.record.rare.take(kind, hour: hour) else { return }
        }
        if let reason = self.refusal(isMethod, isExcepted) { return mirror.record.drop(reason) }
        guard let member = self.placement.member, let other = mirror.spec.other(than: member) else {
            return mirror.record.drop(.answeredElsewhere)
        }
        self.keepCopy(mirror, route, other, head, source)
    }

    /// One of the first of its kind, copied or not.
    @inline(never)
    private func noteSeen(_ mirror: MirrorPlan, _ route: RoutePlan, _ request: RequestHead, _ head: ResponseHead) {
        let target = UnsafeRawBufferPointer(rebasing: self.kept.bytes[request.target.bounds])
        guard target.count <= SeenRequests.targetLimit else { return }
        mirror.record.seen.note(
            SeenRequest(
                route: route.name, target: Array(target),
                isAnsweredByNew: self.placement.member == mirror.spec.to && head.status < 500))
    }

    private func refusal(_ isMethod: Bool, _ isExcepted: Bool) -> MirrorDrop? {
        if !isMethod { return .method }
        if isExcepted { return .except }
        if self.retries > 0 || self.placement.isDiverted { return .answeredElsewhere }
        let isKept = self.phase.isRequestWhole && UInt64(self.held.count) == self.requestBytes
        return isKept && self.heldTrailers.isEmpty ? nil : .body
    }

    private func keepCopy(
        _ mirror: MirrorPlan, _ route: RoutePlan, _ member: Int, _ head: ResponseHead, _ source: UnsafeRawBufferPointer
    ) {
        guard let plan = self.plan?.object.shared, let client = self.client?.object else { return }
        let lease = MirrorLease(mirror.record.memory)
        // What the objects themselves take, and the fields of the answer.
        guard lease.grow(by: HeadCopy.size(of: self.kept) + self.held.count + head.length + 1_024),
            let copy = HeadCopy(self.kept)
        else { return mirror.record.drop(.memory) }
        let isAnnounced = route.route.upstream(member).map { $0.spec.sendProxyProtocol != 0 } ?? false
        let request = CopiedRequest(
            plan: plan, route: route, mirror: mirror, head: copy, body: Array(self.held.bytes),
            peer: client.context.peer, scheme: client.context.scheme, isTrusted: self.isTrusted,
            requestID: self.requestID, addedLines: route.addsLines ? Array(self.addedLines(route, client)) : [],
            ends: isAnnounced ? client.announcedAddresses : nil, trace: self.trace?.ofCopy)
        self.tap = MirrorTap(
            request, to: member, status: head.status, fields: mirror.kept(self.core.memory.fields.list, source),
            lease: lease)
    }
}
